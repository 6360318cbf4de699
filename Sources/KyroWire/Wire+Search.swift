// search.proto, first part: the parts of a question, SearchRequest and SearchManyRequest.
import KyroModel

// MARK: Legs

struct VectorQueryDraft: WireDraft {
    var field = ""
    var vector: DenseVectorDraft?
    var efSearch: UInt32 = 0
    var probes: UInt32 = 0
    var recall = 0.0

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes): try reader.message("vector", into: &vector)
        case (3, .varint): efSearch = try reader.uint32("ef_search")
        case (4, .varint): probes = try reader.uint32("probes")
        case (5, .fixed64): recall = try reader.double("recall")
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> VectorQuery {
        guard let vector else { throw .invalid(path: "vector", problem: "is missing") }
        return VectorQuery(
            field: field, vector: try vector.finish("vector"), efSearch: efSearch, probes: probes,
            recall: recall)
    }
}

extension VectorQuery: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.message(2, DenseVectorOnWire(values: vector, encoding: .floats))
        sink.uint(3, efSearch)
        sink.uint(4, probes)
        sink.double(5, recall)
    }
}

struct SparseQueryDraft: WireDraft {
    var field = ""
    var vector: SparseVectorDraft?

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes): try reader.message("vector", into: &vector)
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> SparseQuery {
        guard let vector else { throw .invalid(path: "vector", problem: "is missing") }
        return SparseQuery(field: field, vector: try vector.finish("vector"))
    }
}

extension SparseQuery: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.message(2, vector)
    }
}

struct TextQueryDraft: WireDraft {
    var query = TextQuery(query: "")
    var node: TextNodeDraft?
    var textOperator: Int32 = 0
    var scoring: Int32 = 0
    var hasTooManyBoosts = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): query.query = try reader.string("query")
        case (2, .bytes): query.fields.append(try reader.string("fields"))
        case (3, .bytes): try reader.message("node", into: &node)
        case (4, .varint): textOperator = try reader.int32("operator")
        case (5, .varint):
            query.minimumShouldMatch = try reader.uint32("minimum_should_match")
        case (6, .bytes): try reader.message("highlight", into: &query.highlight)
        case (10, .bytes):
            if try !reader.mapEntry("boosts", into: &query.boosts) { hasTooManyBoosts = true }
        case (11, .varint): scoring = try reader.int32("scoring")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TextQuery {
        if hasTooManyBoosts { throw .tooManyFields("boosts") }
        var finished = query
        finished.node = try node?.finish("node")
        finished.textOperator = try enumValue(
            textOperator, "operator", TextOperator.init(rawValue:))
        finished.scoring = try enumValue(scoring, "scoring", TextScoring.init(rawValue:))
        return finished
    }
}

extension TextQuery: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, query)
        sink.strings(2, fields)
        sink.message(3, node)
        sink.uint(4, UInt32(textOperator.rawValue))
        sink.uint(5, minimumShouldMatch)
        sink.message(6, highlight)
        for entry in boosts {
            sink.message(10, NumberEntry(key: entry.name, value: entry.value))
        }
        sink.uint(11, UInt32(scoring.rawValue))
    }
}

// MARK: TimeDecay, Fusion

struct TimeDecayDraft: WireDraft {
    var decay = TimeDecay(halfLifeMillis: 0)
    var shape: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): decay.halfLifeMillis = try reader.int64("half_life_ms")
        case (2, .varint): decay.originMillis = try reader.int64("origin_ms")
        case (3, .varint): shape = try reader.int32("shape")
        case (4, .varint): decay.offsetMillis = try reader.int64("offset_ms")
        case (5, .fixed64): decay.floor = try reader.double("floor")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TimeDecay {
        var finished = decay
        finished.shape = try enumValue(shape, "shape", DecayShape.init(rawValue:))
        return finished
    }
}

extension TimeDecay: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.int(1, halfLifeMillis)
        if let originMillis { sink.presentInt(2, originMillis) }
        sink.uint(3, UInt32(shape.rawValue))
        sink.int(4, offsetMillis)
        sink.double(5, floor)
    }
}

extension LegWeights: WireDraft, WireEncodable {
    /// Of a message that is there: what it does not name weighs nothing.
    init() { self.init(vector: 0, sparse: 0, text: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): vector = try reader.double("vector")
        case (2, .fixed64): sparse = try reader.double("sparse")
        case (3, .fixed64): text = try reader.double("text")
        default: try reader.skip(field)
        }
    }

    func finish() -> LegWeights { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, vector)
        sink.double(2, sparse)
        sink.double(3, text)
    }
}

extension LegCandidates: WireDraft, WireEncodable {
    init() { self.init(vector: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): vector = try reader.uint32("vector")
        case (2, .varint): sparse = try reader.uint32("sparse")
        case (3, .varint): text = try reader.uint32("text")
        default: try reader.skip(field)
        }
    }

    func finish() -> LegCandidates { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, vector)
        sink.uint(2, sparse)
        sink.uint(3, text)
    }
}

struct FusionDraft: WireDraft {
    var method: Int32 = 0
    var rrfK: UInt32 = 0
    var weights: LegWeights?
    var normalisation: Int32 = 0
    var candidates: LegCandidates?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): method = try reader.int32("method")
        case (2, .varint): rrfK = try reader.uint32("rrf_k")
        case (3, .bytes): try reader.message("weights", into: &weights)
        case (4, .varint): normalisation = try reader.int32("normalisation")
        case (5, .bytes): try reader.message("candidates", into: &candidates)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Fusion {
        Fusion(
            method: try enumValue(method, "method", FusionMethod.init(rawValue:)), rrfK: rrfK,
            weights: weights,
            normalisation: try enumValue(
                normalisation, "normalisation", ScoreNormalisation.init(rawValue:)),
            candidates: candidates)
    }
}

extension Fusion: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, UInt32(method.rawValue))
        sink.uint(2, rrfK)
        sink.message(3, weights)
        sink.uint(4, UInt32(normalisation.rawValue))
        sink.message(5, candidates)
    }
}

// MARK: SearchRequest

struct SearchRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var vector: VectorQueryDraft?
    var sparse: SparseQueryDraft?
    var text: TextQueryDraft?
    var filter: FilterDraft?
    var timeRange: TimeRange?
    var timeDecay: TimeDecayDraft?
    var fusion: FusionDraft?
    var limit: UInt32 = 0
    var offset: UInt32 = 0
    var candidates: UInt32 = 0
    var projection: ProjectionDraft?
    var minSeq: UInt64 = 0
    var exact = false
    var explain = false
    var ranking: RankingDraft?
    var aggregations: [AggregationDraft] = []
    var pageToken: [UInt8] = []
    var paged = false
    var asOf: AsOfDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .bytes): try reader.message("vector", into: &vector)
        case (3, .bytes): try reader.message("sparse", into: &sparse)
        case (4, .bytes): try reader.message("text", into: &text)
        case (5, .bytes): try reader.message("filter", into: &filter)
        case (6, .bytes): try reader.message("time_range", into: &timeRange)
        case (7, .bytes): try reader.message("time_decay", into: &timeDecay)
        case (8, .bytes): try reader.message("fusion", into: &fusion)
        case (9, .varint): limit = try reader.uint32("limit")
        case (10, .varint): offset = try reader.uint32("offset")
        case (11, .varint): candidates = try reader.uint32("candidates")
        case (12, .bytes): try reader.message("projection", into: &projection)
        case (13, .varint): minSeq = try reader.varint("min_seq")
        case (14, .varint): exact = try reader.bool("exact")
        case (15, .varint): explain = try reader.bool("explain")
        case (16, .bytes): try reader.message("ranking", into: &ranking)
        case (17, .bytes): try reader.aggregation(into: &aggregations)
        case (18, .bytes): pageToken = try reader.byteString("page_token")
        case (19, .bytes): try reader.message("as_of", into: &asOf)
        case (20, .varint): paged = try reader.bool("paged")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> SearchRequest {
        var request = SearchRequest(scope: scope.finish())
        request.vector = try vector?.finish("vector")
        request.sparse = try sparse?.finish("sparse")
        request.text = try text?.finish("text")
        request.filter = try filter?.finish("filter")
        request.timeRange = timeRange
        request.timeDecay = try timeDecay?.finish("time_decay")
        request.fusion = try fusion?.finish("fusion")
        request.limit = limit
        request.offset = offset
        request.candidates = candidates
        request.projection = try projection?.finish("projection")
        request.minSeq = Sequence(minSeq)
        request.exact = exact
        request.explain = explain
        request.ranking = try ranking?.finish("ranking")
        request.aggregations = try finishList(aggregations, "aggregations")
        request.pageToken = pageToken
        request.paged = paged
        request.asOf = try asOf?.finish("as_of")
        return request
    }
}

extension SearchRequest: WireEncodable {
    /// A missing limit stays 0: the engine refuses it.
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> SearchRequest {
        try decodeMessage(SearchRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.message(2, vector)
        sink.message(3, sparse)
        sink.message(4, text)
        sink.message(5, filter)
        sink.message(6, timeRange)
        sink.message(7, timeDecay)
        sink.message(8, fusion)
        sink.uint(9, limit)
        sink.uint(10, offset)
        sink.uint(11, candidates)
        sink.message(12, projection)
        sink.uint(13, minSeq.raw)
        sink.bool(14, exact)
        sink.bool(15, explain)
        sink.message(16, ranking)
        sink.messages(17, aggregations)
        sink.bytes(18, pageToken)
        sink.message(19, asOf)
        sink.bool(20, paged)
    }
}

// MARK: SearchManyRequest

struct SearchManyRequestDraft: WireDraft {
    var tag: UInt64 = 0
    var search: SearchRequestDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): tag = try reader.varint("tag")
        case (2, .bytes): try reader.message("search", into: &search)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> SearchManyRequest {
        guard let search else { throw .invalid(path: "search", problem: "is missing") }
        return SearchManyRequest(tag: tag, search: try search.finish("search"))
    }
}

extension SearchManyRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> SearchManyRequest {
        try decodeMessage(SearchManyRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, tag)
        sink.message(2, search)
    }
}
