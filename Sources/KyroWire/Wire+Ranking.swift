// ranking.proto, and what a search explains of legs and stages.
import KyroModel

// MARK: Ranking

struct GroupingDraft: WireDraft {
    var grouping = Grouping(field: "")
    var missing: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): grouping.field = try reader.string("field")
        case (2, .varint): grouping.hitsPerGroup = try reader.uint32("hits_per_group")
        case (3, .varint): missing = try reader.int32("missing")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Grouping {
        var finished = grouping
        finished.missing = try enumValue(missing, "missing", MissingGroup.init(rawValue:))
        return finished
    }
}

extension Grouping: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.uint(2, hitsPerGroup)
        sink.uint(3, UInt32(missing.rawValue))
    }
}

extension Diversity: WireDraft, WireEncodable {
    init() { self.init(lambda: 0) }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .fixed64): lambda = try reader.double("lambda")
        case (2, .varint): pool = try reader.uint32("pool")
        case (3, .bytes): field = try reader.string("field")
        default: try reader.skip(wire)
        }
    }

    func finish() -> Diversity { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, lambda)
        sink.uint(2, pool)
        sink.string(3, field)
    }
}

struct RescoreDraft: WireDraft {
    var field = ""
    var query: MultiVectorDraft?
    var top: UInt32 = 0
    var weight = 0.0
    var scoreWeight = 0.0

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes): try reader.message("query", into: &query)
        case (3, .varint): top = try reader.uint32("top")
        case (4, .fixed64): weight = try reader.double("weight")
        case (5, .fixed64): scoreWeight = try reader.double("score_weight")
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> Rescore {
        guard let query else { throw .invalid(path: "query", problem: "is missing") }
        return Rescore(
            field: field, query: try query.finish("query"), top: top, weight: weight,
            scoreWeight: scoreWeight)
    }
}

extension Rescore: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.message(2, MultiVectorOnWire(vector: query, encoding: .floats))
        sink.uint(3, top)
        sink.double(4, weight)
        sink.double(5, scoreWeight)
    }
}

struct RankingDraft: WireDraft {
    var formula = ""
    var grouping: GroupingDraft?
    var diversity: Diversity?
    var rescore: RescoreDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): formula = try reader.string("formula")
        case (2, .bytes): try reader.message("grouping", into: &grouping)
        case (3, .bytes): try reader.message("diversity", into: &diversity)
        case (4, .bytes): try reader.message("rescore", into: &rescore)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> RankingOptions {
        RankingOptions(
            formula: formula, grouping: try grouping?.finish("grouping"), diversity: diversity,
            rescore: try rescore?.finish("rescore"))
    }
}

extension RankingOptions: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, formula)
        sink.message(2, grouping)
        sink.message(3, diversity)
        sink.message(4, rescore)
    }
}

// MARK: ScoreDetails

extension LegContribution: WireDraft, WireEncodable {
    init() { self.init(normalised: 0, weighted: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): normalised = try reader.double("normalised")
        case (2, .fixed64): weighted = try reader.double("weighted")
        default: try reader.skip(field)
        }
    }

    func finish() -> LegContribution { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, normalised)
        sink.double(2, weighted)
    }
}

extension DiversityDetails: WireDraft, WireEncodable {
    init() { self.init(relevance: 0, similarity: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): relevance = try reader.double("relevance")
        case (2, .fixed64): similarity = try reader.double("similarity")
        default: try reader.skip(field)
        }
    }

    func finish() -> DiversityDetails { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, relevance)
        sink.double(2, similarity)
    }
}

extension RescoreDetails: WireDraft, WireEncodable {
    init() { self.init(score: 0, maxSim: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): score = try reader.double("score")
        case (2, .fixed64): maxSim = try reader.double("max_sim")
        default: try reader.skip(field)
        }
    }

    func finish() -> RescoreDetails { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, score)
        sink.double(2, maxSim)
    }
}

extension ScoreDetails: WireDraft, WireEncodable {
    init() { self.init(fused: 0, decay: 0) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("vector", into: &vector)
        case (2, .bytes): try reader.message("sparse", into: &sparse)
        case (3, .bytes): try reader.message("text", into: &text)
        case (4, .fixed64): fused = try reader.double("fused")
        case (5, .fixed64): decay = try reader.double("decay")
        case (6, .fixed64): formula = try reader.double("formula")
        case (7, .bytes): try reader.message("diversity", into: &diversity)
        case (8, .bytes): try reader.message("rescore", into: &rescore)
        default: try reader.skip(field)
        }
    }

    func finish() -> ScoreDetails { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, vector)
        sink.message(2, sparse)
        sink.message(3, text)
        sink.double(4, fused)
        sink.double(5, decay)
        if let formula { sink.presentDouble(6, formula) }
        sink.message(7, diversity)
        sink.message(8, rescore)
    }
}

// MARK: Explain

extension LegExplain: WireDraft, WireEncodable {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): asked = try reader.varint("asked")
        case (2, .varint): candidates = try reader.varint("candidates")
        case (3, .fixed64): weight = try reader.double("weight")
        case (4, .fixed64): best = try reader.double("best")
        case (5, .fixed64): worst = try reader.double("worst")
        case (6, .fixed64): mean = try reader.double("mean")
        case (7, .fixed64): deviation = try reader.double("deviation")
        default: try reader.skip(field)
        }
    }

    func finish() -> LegExplain { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, asked)
        sink.uint(2, candidates)
        sink.double(3, weight)
        sink.double(4, best)
        sink.double(5, worst)
        sink.double(6, mean)
        sink.double(7, deviation)
    }
}

extension StageMicros: WireDraft, WireEncodable {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): filter = try reader.varint("filter")
        case (2, .varint): vector = try reader.varint("vector")
        case (3, .varint): sparse = try reader.varint("sparse")
        case (4, .varint): text = try reader.varint("text")
        case (5, .varint): merge = try reader.varint("merge")
        case (6, .varint): fuse = try reader.varint("fuse")
        case (7, .varint): rank = try reader.varint("rank")
        case (8, .varint): fetch = try reader.varint("fetch")
        case (9, .varint): aggregate = try reader.varint("aggregate")
        default: try reader.skip(field)
        }
    }

    func finish() -> StageMicros { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, filter)
        sink.uint(2, vector)
        sink.uint(3, sparse)
        sink.uint(4, text)
        sink.uint(5, merge)
        sink.uint(6, fuse)
        sink.uint(7, rank)
        sink.uint(8, fetch)
        sink.uint(9, aggregate)
    }
}
