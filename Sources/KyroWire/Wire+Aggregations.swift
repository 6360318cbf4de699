// aggregations.proto, first part: what is asked.
import KyroModel

extension WireReader {
    /// Two bytes on the wire become hundreds in memory: the bound must hold while reading.
    mutating func aggregation(into drafts: inout [AggregationDraft]) throws(WireError) {
        guard drafts.count < Limits.aggregationsMax else {
            throw .overLimit(
                path: "aggregations", problem: "are more than \(Limits.aggregationsMax)")
        }
        try message("aggregations", appendingTo: &drafts)
    }
}

extension FacetAggregation: WireDraft, WireEncodable {
    init() { self.init(field: "") }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .varint): limit = try reader.uint32("limit")
        case (3, .varint): minCount = try reader.varint("min_count")
        default: try reader.skip(wire)
        }
    }

    func finish() -> FacetAggregation { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.uint(2, limit)
        sink.uint(3, minCount)
    }
}

extension HistogramAggregation: WireDraft, WireEncodable {
    init() { self.init(field: "", interval: 0) }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .fixed64): interval = try reader.double("interval")
        case (3, .fixed64): offset = try reader.double("offset")
        default: try reader.skip(wire)
        }
    }

    func finish() -> HistogramAggregation { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.double(2, interval)
        sink.double(3, offset)
    }
}

struct TimeHistogramAggregationDraft: WireDraft {
    var histogram = TimeHistogramAggregation()
    var calendar: Int32 = 0

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): histogram.field = try reader.string("field")
        case (2, .varint): histogram.intervalMillis = try reader.int64("interval_ms")
        case (3, .varint): histogram.offsetMillis = try reader.int64("offset_ms")
        case (4, .varint): calendar = try reader.int32("calendar")
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> TimeHistogramAggregation {
        var finished = histogram
        finished.calendar = try enumValue(
            calendar, "calendar", CalendarInterval.init(rawValue:))
        return finished
    }
}

extension TimeHistogramAggregation: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.int(2, intervalMillis)
        sink.int(3, offsetMillis)
        sink.uint(4, UInt32(calendar.rawValue))
    }
}

extension StatsAggregation: WireDraft, WireEncodable {
    init() { self.init(field: "") }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .fixed64): quantiles.append(try reader.double("quantiles"))
        case (2, .bytes): try reader.packedDoubles("quantiles", into: &quantiles)
        default: try reader.skip(wire)
        }
    }

    func finish() -> StatsAggregation { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.packedDoubles(2, quantiles)
    }
}

/// A message without fields.
struct CountAggregationOnWire: WireDraft, WireEncodable {
    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        try reader.skip(wire)
    }

    func finish() -> CountAggregationOnWire { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {}
}

struct AggregationDraft: WireDraft {
    /// A member of the oneof that comes again merges into itself and replaces any other.
    enum Kind {
        case empty
        case count
        case facet(FacetAggregation)
        case histogram(HistogramAggregation)
        case timeHistogram(TimeHistogramAggregationDraft)
        case stats(StatsAggregation)
    }

    var name = ""
    var over: Int32 = 0
    var filter: FilterDraft?
    var kind = Kind.empty

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .varint): over = try reader.int32("over")
        case (3, .bytes): try reader.message("filter", into: &filter)
        case (4, .bytes):
            var count = CountAggregationOnWire()
            try reader.message("count", into: &count)
            kind = .count
        case (5, .bytes):
            var facet = FacetAggregation()
            if case .facet(let present) = kind { facet = present }
            try reader.message("facet", into: &facet)
            kind = .facet(facet)
        case (6, .bytes):
            var histogram = HistogramAggregation()
            if case .histogram(let present) = kind { histogram = present }
            try reader.message("histogram", into: &histogram)
            kind = .histogram(histogram)
        case (7, .bytes):
            var histogram = TimeHistogramAggregationDraft()
            if case .timeHistogram(let present) = kind { histogram = present }
            try reader.message("time_histogram", into: &histogram)
            kind = .timeHistogram(histogram)
        case (8, .bytes):
            var stats = StatsAggregation()
            if case .stats(let present) = kind { stats = present }
            // An array with two owners would be copied at every append.
            kind = .empty
            try reader.message("stats", into: &stats)
            kind = .stats(stats)
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> Aggregation {
        let made: Aggregation.Kind =
            switch kind {
            case .empty:
                throw .invalid(
                    path: "",
                    problem: "has no kind: set count, facet, histogram, time_histogram or stats")
            case .count: .count
            case .facet(let facet): .facet(facet)
            case .histogram(let histogram): .histogram(histogram)
            case .timeHistogram(let draft): .timeHistogram(try draft.finish("time_histogram"))
            case .stats(let stats): .stats(stats)
            }
        return Aggregation(
            made, name: name,
            over: try enumValue(over, "over", AggregationSource.init(rawValue:)),
            filter: try filter?.finish("filter"))
    }
}

extension Aggregation: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, name)
        sink.uint(2, UInt32(over.rawValue))
        sink.message(3, filter)
        switch kind {
        case .count: sink.message(4, CountAggregationOnWire())
        case .facet(let facet): sink.message(5, facet)
        case .histogram(let histogram): sink.message(6, histogram)
        case .timeHistogram(let histogram): sink.message(7, histogram)
        case .stats(let stats): sink.message(8, stats)
        }
    }
}
