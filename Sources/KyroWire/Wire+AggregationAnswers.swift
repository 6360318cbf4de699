// aggregations.proto, second part: results.
import KyroModel

struct FacetBucketDraft: WireDraft {
    var value = ValueDraft()
    var documents: UInt64 = 0

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): try reader.message("value", into: &value)
        case (2, .varint): documents = try reader.varint("documents")
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> FacetBucket {
        FacetBucket(value: try value.finish("value"), documents: documents)
    }
}

extension FacetBucket: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, value)
        sink.uint(2, documents)
    }
}

struct FacetResultDraft: WireDraft {
    var buckets: [FacetBucketDraft] = []
    var result = FacetResult()

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): try reader.message("buckets", appendingTo: &buckets)
        case (2, .varint): result.otherValues = try reader.varint("other_values")
        case (3, .varint): result.otherDocuments = try reader.varint("other_documents")
        case (4, .varint): result.missing = try reader.varint("missing")
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> FacetResult {
        var finished = result
        finished.buckets = try finishList(buckets, "buckets")
        return finished
    }
}

extension FacetResult: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.messages(1, buckets)
        sink.uint(2, otherValues)
        sink.uint(3, otherDocuments)
        sink.uint(4, missing)
    }
}

extension HistogramBucket: WireDraft, WireEncodable {
    init() { self.init(lower: 0, upper: 0, documents: 0) }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .fixed64): lower = try reader.double("lower")
        case (2, .fixed64): upper = try reader.double("upper")
        case (3, .varint): documents = try reader.varint("documents")
        default: try reader.skip(wire)
        }
    }

    func finish() -> HistogramBucket { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, lower)
        sink.double(2, upper)
        sink.uint(3, documents)
    }
}

extension HistogramResult: WireDraft, WireEncodable {
    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): try reader.message("buckets", appendingTo: &buckets)
        case (2, .varint): missing = try reader.varint("missing")
        default: try reader.skip(wire)
        }
    }

    func finish() -> HistogramResult { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.messages(1, buckets)
        sink.uint(2, missing)
    }
}

extension TimeHistogramBucket: WireDraft, WireEncodable {
    init() { self.init(fromMillis: 0, toMillis: 0, documents: 0) }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .varint): fromMillis = try reader.int64("from_ms")
        case (2, .varint): toMillis = try reader.int64("to_ms")
        case (3, .varint): documents = try reader.varint("documents")
        default: try reader.skip(wire)
        }
    }

    func finish() -> TimeHistogramBucket { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.int(1, fromMillis)
        sink.int(2, toMillis)
        sink.uint(3, documents)
    }
}

extension TimeHistogramResult: WireDraft, WireEncodable {
    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): try reader.message("buckets", appendingTo: &buckets)
        case (2, .varint): missing = try reader.varint("missing")
        default: try reader.skip(wire)
        }
    }

    func finish() -> TimeHistogramResult { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.messages(1, buckets)
        sink.uint(2, missing)
    }
}

extension Quantile: WireDraft, WireEncodable {
    init() { self.init(q: 0, value: 0) }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .fixed64): q = try reader.double("q")
        case (2, .fixed64): value = try reader.double("value")
        default: try reader.skip(wire)
        }
    }

    func finish() -> Quantile { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, q)
        sink.double(2, value)
    }
}

struct StatsResultDraft: WireDraft {
    var result = StatsResult()
    var min: ValueDraft?
    var max: ValueDraft?

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .varint): result.count = try reader.varint("count")
        case (2, .varint): result.missing = try reader.varint("missing")
        case (3, .bytes): try reader.message("min", into: &min)
        case (4, .bytes): try reader.message("max", into: &max)
        case (5, .fixed64): result.sum = try reader.double("sum")
        case (6, .fixed64): result.mean = try reader.double("mean")
        case (7, .bytes): try reader.message("quantiles", appendingTo: &result.quantiles)
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> StatsResult {
        var finished = result
        finished.min = try min?.finish("min")
        finished.max = try max?.finish("max")
        return finished
    }
}

extension StatsResult: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, count)
        sink.uint(2, missing)
        sink.message(3, min)
        sink.message(4, max)
        sink.double(5, sum)
        sink.double(6, mean)
        sink.messages(7, quantiles)
    }
}

struct AggregationResultDraft: WireDraft {
    /// A member of the oneof that comes again merges into itself and replaces any other.
    enum Kind {
        case count
        case facet(FacetResultDraft)
        case histogram(HistogramResult)
        case timeHistogram(TimeHistogramResult)
        case stats(StatsResultDraft)
    }

    var name = ""
    var documents: UInt64 = 0
    var kind = Kind.count

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .varint): documents = try reader.varint("documents")
        case (3, .bytes):
            var facet = FacetResultDraft()
            if case .facet(let present) = kind { facet = present }
            kind = .count
            try reader.message("facet", into: &facet)
            kind = .facet(facet)
        case (4, .bytes):
            var histogram = HistogramResult()
            if case .histogram(let present) = kind { histogram = present }
            kind = .count
            try reader.message("histogram", into: &histogram)
            kind = .histogram(histogram)
        case (5, .bytes):
            var histogram = TimeHistogramResult()
            if case .timeHistogram(let present) = kind { histogram = present }
            kind = .count
            try reader.message("time_histogram", into: &histogram)
            kind = .timeHistogram(histogram)
        case (6, .bytes):
            var stats = StatsResultDraft()
            if case .stats(let present) = kind { stats = present }
            kind = .count
            try reader.message("stats", into: &stats)
            kind = .stats(stats)
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> AggregationResult {
        let made: AggregationResult.Kind =
            switch kind {
            case .count: .count
            case .facet(let draft): .facet(try draft.finish("facet"))
            case .histogram(let histogram): .histogram(histogram)
            case .timeHistogram(let histogram): .timeHistogram(histogram)
            case .stats(let draft): .stats(try draft.finish("stats"))
            }
        return AggregationResult(name: name, documents: documents, kind: made)
    }
}

extension AggregationResult: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, name)
        sink.uint(2, documents)
        switch kind {
        case .count: break
        case .facet(let facet): sink.message(3, facet)
        case .histogram(let histogram): sink.message(4, histogram)
        case .timeHistogram(let histogram): sink.message(5, histogram)
        case .stats(let stats): sink.message(6, stats)
        }
    }
}
