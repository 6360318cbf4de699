// search.proto, second part: Hit, Explain, SearchResponse and SearchManyResponse.
import KyroModel

// MARK: Hit

extension LegScore: WireDraft, WireEncodable {
    init() { self.init(score: 0, rank: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed32): score = try reader.float("score")
        case (2, .varint): rank = try reader.uint32("rank")
        default: try reader.skip(field)
        }
    }

    func finish() -> LegScore { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.float(1, score)
        sink.uint(2, rank)
    }
}

struct HitDraft: WireDraft {
    var id = DocumentIDDraft()
    var score = 0.0
    var vector: LegScore?
    var sparse: LegScore?
    var text: LegScore?
    var document: DocumentDraft?
    var seq: UInt64 = 0
    var highlights: [Highlight] = []
    var details: ScoreDetails?
    var group: ValueDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("id", into: &id)
        case (2, .fixed64): score = try reader.double("score")
        case (3, .bytes): try reader.message("vector", into: &vector)
        case (4, .bytes): try reader.message("sparse", into: &sparse)
        case (5, .bytes): try reader.message("text", into: &text)
        case (6, .bytes): try reader.message("document", into: &document)
        case (7, .varint): seq = try reader.varint("seq")
        case (8, .bytes): try reader.message("highlights", appendingTo: &highlights)
        case (10, .bytes): try reader.message("details", into: &details)
        case (11, .bytes): try reader.message("group", into: &group)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Hit {
        var hit = Hit(id: try id.finish("id"), score: score, seq: Sequence(seq))
        hit.vector = vector
        hit.sparse = sparse
        hit.text = text
        hit.document = try document?.finish("document")
        hit.highlights = highlights
        hit.details = details
        hit.group = try group?.finish("group")
        return hit
    }
}

private struct HitOnWire: WireEncodable {
    let hit: Hit
    let encoding: VectorEncoding

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, hit.id)
        sink.double(2, hit.score)
        sink.message(3, hit.vector)
        sink.message(4, hit.sparse)
        sink.message(5, hit.text)
        if let document = hit.document { sink.message(6, DocumentOnWire(document, encoding)) }
        sink.uint(7, hit.seq.raw)
        sink.messages(8, hit.highlights)
        sink.message(10, hit.details)
        sink.message(11, hit.group)
    }
}

// MARK: Explain

struct ShardExplainDraft: WireDraft {
    var explain = ShardExplain(shard: 0)
    var vectorStrategy: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): explain.shard = try reader.uint32("shard")
        case (2, .varint): vectorStrategy = try reader.int32("vector_strategy")
        case (3, .varint): explain.rows = try reader.varint("rows")
        case (4, .varint): explain.graphRows = try reader.varint("graph_rows")
        case (5, .varint): explain.tailRows = try reader.varint("tail_rows")
        case (6, .varint): explain.filterMatches = try reader.varint("filter_matches")
        case (7, .varint): explain.rowsScored = try reader.varint("rows_scored")
        case (8, .varint): explain.postingsScored = try reader.varint("postings_scored")
        case (9, .varint): explain.estimatedCost = try reader.varint("estimated_cost")
        case (10, .varint): explain.micros = try reader.varint("micros")
        case (11, .bytes): explain.vectorReason = try reader.string("vector_reason")
        case (12, .varint): explain.postingsListed = try reader.varint("postings_listed")
        case (16, .varint): explain.vectorCandidates = try reader.varint("vector_candidates")
        case (17, .varint): explain.sparseCandidates = try reader.varint("sparse_candidates")
        case (18, .varint): explain.textCandidates = try reader.varint("text_candidates")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> ShardExplain {
        var finished = explain
        finished.vectorStrategy = try enumValue(
            vectorStrategy, "vector_strategy", VectorStrategy.init(rawValue:))
        return finished
    }
}

extension ShardExplain: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, shard)
        sink.uint(2, UInt32(vectorStrategy.rawValue))
        sink.uint(3, rows)
        sink.uint(4, graphRows)
        sink.uint(5, tailRows)
        sink.uint(6, filterMatches)
        sink.uint(7, rowsScored)
        sink.uint(8, postingsScored)
        sink.uint(9, estimatedCost)
        sink.uint(10, micros)
        sink.string(11, vectorReason)
        sink.uint(12, postingsListed)
        sink.uint(16, vectorCandidates)
        sink.uint(17, sparseCandidates)
        sink.uint(18, textCandidates)
    }
}

struct ExplainDraft: WireDraft {
    var shards: [ShardExplainDraft] = []
    var notes: [String] = []
    var planMicros: UInt64 = 0
    var searchMicros: UInt64 = 0
    var mergeMicros: UInt64 = 0
    var vector: LegExplain?
    var sparse: LegExplain?
    var text: LegExplain?
    var stages: StageMicros?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("shards", appendingTo: &shards)
        case (2, .bytes): notes.append(try reader.string("notes"))
        case (3, .varint): planMicros = try reader.varint("plan_micros")
        case (4, .varint): searchMicros = try reader.varint("search_micros")
        case (5, .varint): mergeMicros = try reader.varint("merge_micros")
        case (6, .bytes): try reader.message("vector", into: &vector)
        case (7, .bytes): try reader.message("sparse", into: &sparse)
        case (8, .bytes): try reader.message("text", into: &text)
        case (9, .bytes): try reader.message("stages", into: &stages)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Explain {
        var explain = Explain()
        explain.shards = try finishList(shards, "shards")
        explain.notes = notes
        explain.planMicros = planMicros
        explain.searchMicros = searchMicros
        explain.mergeMicros = mergeMicros
        explain.vector = vector
        explain.sparse = sparse
        explain.text = text
        explain.stages = stages
        return explain
    }
}

extension Explain: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.messages(1, shards)
        sink.strings(2, notes)
        sink.uint(3, planMicros)
        sink.uint(4, searchMicros)
        sink.uint(5, mergeMicros)
        sink.message(6, vector)
        sink.message(7, sparse)
        sink.message(8, text)
        sink.message(9, stages)
    }
}

// MARK: SearchResponse

extension RecallEstimate: WireDraft, WireEncodable {
    init() { self.init(target: 0, mean: 0, worstDecile: 0, samples: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): target = try reader.double("target")
        case (2, .fixed64): mean = try reader.double("mean")
        case (3, .fixed64): worstDecile = try reader.double("worst_decile")
        case (4, .varint): samples = try reader.uint32("samples")
        case (5, .varint): efSearch = try reader.uint32("ef_search")
        case (6, .varint): probes = try reader.uint32("probes")
        default: try reader.skip(field)
        }
    }

    func finish() -> RecallEstimate { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, target)
        sink.double(2, mean)
        sink.double(3, worstDecile)
        sink.uint(4, samples)
        sink.uint(5, efSearch)
        sink.uint(6, probes)
    }
}

struct SearchResponseDraft: WireDraft {
    var hits: [HitDraft] = []
    var seq: UInt64 = 0
    var explain: ExplainDraft?
    var recall: RecallEstimate?
    var aggregations: [AggregationResultDraft] = []
    var nextPageToken: [UInt8] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("hits", appendingTo: &hits)
        case (2, .varint): seq = try reader.varint("seq")
        case (3, .bytes): try reader.message("explain", into: &explain)
        case (4, .bytes): try reader.message("recall", into: &recall)
        case (5, .bytes): try reader.message("aggregations", appendingTo: &aggregations)
        case (6, .bytes): nextPageToken = try reader.byteString("next_page_token")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> SearchResponse {
        var response = SearchResponse(
            hits: try finishList(hits, "hits"), seq: Sequence(seq),
            explain: try explain?.finish("explain"))
        response.recall = recall
        response.aggregations = try finishList(aggregations, "aggregations")
        response.nextPageToken = nextPageToken
        return response
    }
}

extension SearchResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> SearchResponse {
        try decodeMessage(SearchResponseDraft.self, bytes)
    }

    /// Vectors are written as `vectorEncoding` says.
    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        for hit in hits { sink.message(1, HitOnWire(hit: hit, encoding: vectorEncoding)) }
        sink.uint(2, seq.raw)
        sink.message(3, explain)
        sink.message(4, recall)
        sink.messages(5, aggregations)
        sink.bytes(6, nextPageToken)
    }
}

// MARK: SearchManyResponse

struct SearchManyResponseDraft: WireDraft {
    enum Answer {
        case empty
        case response(SearchResponseDraft)
        case error(ItemErrorDraft)
    }

    var tag: UInt64 = 0
    var answer = Answer.empty

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): tag = try reader.varint("tag")
        case (2, .bytes):
            var response = SearchResponseDraft()
            if case .response(let present) = answer { response = present }
            answer = .empty
            try reader.message("response", into: &response)
            answer = .response(response)
        case (3, .bytes):
            var itemError = ItemErrorDraft()
            if case .error(let present) = answer { itemError = present }
            try reader.message("error", into: &itemError)
            answer = .error(itemError)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> SearchManyResponse {
        switch answer {
        case .empty: throw .invalid(path: "", problem: "has no result: set response or error")
        case .response(let response):
            SearchManyResponse(tag: tag, result: .success(try response.finish("response")))
        case .error(let itemError):
            SearchManyResponse(tag: tag, result: .failure(itemError.finish()))
        }
    }
}

extension SearchManyResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> SearchManyResponse {
        try decodeMessage(SearchManyResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, tag)
        switch result {
        case .success(let response): sink.message(2, response)
        case .failure(let error): sink.message(3, ItemErrorOnWire(error))
        }
    }
}
