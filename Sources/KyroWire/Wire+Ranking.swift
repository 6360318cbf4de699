// ranking.proto, and what a search explains of legs and stages.
import KyroModel

// MARK: Ranking

extension RankingOptions: WireDraft, WireEncodable {
    init() { self.init(formula: "") }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): formula = try reader.string("formula")
        default: try reader.skip(field)
        }
    }

    func finish() -> RankingOptions { self }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.string(1, formula) }
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
