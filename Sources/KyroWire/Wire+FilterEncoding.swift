// types.proto, third part: how a Filter is written; and TimeRange.
import KyroModel

extension Filter: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .all(let filters): sink.message(1, FilterListOnWire(filters: filters))
        case .any(let filters): sink.message(2, FilterListOnWire(filters: filters))
        case .not(let filter): sink.message(3, filter)
        case .equals(let field, let value):
            sink.message(4, EqualsOnWire(field: field, value: value))
        case .isIn(let field, let values): sink.message(5, InOnWire(field: field, values: values))
        case .range(let field, let lower, let upper):
            sink.message(6, RangeOnWire(field: field, lower: lower, upper: upper))
        case .exists(let field): sink.message(7, ExistsOnWire(field: field))
        case .prefix(let field, let prefix):
            sink.message(8, PrefixOnWire(field: field, prefix: prefix))
        case .withinDistance(let field, let center, let metres):
            sink.message(9, GeoDistanceDraft(field: field, center: center, metres: metres))
        case .withinBox(let field, let box): sink.message(10, GeoBoxDraft(field: field, box: box))
        case .containsAny(let field, let values):
            sink.message(11, InOnWire(field: field, values: values))
        case .containsAll(let field, let values):
            sink.message(12, InOnWire(field: field, values: values))
        case .sqlNot(let filter): sink.message(13, filter)
        }
    }
}

struct FilterListOnWire: WireEncodable {
    let filters: [Filter]

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.messages(1, filters) }
}

struct EqualsOnWire: WireEncodable {
    let field: String
    let value: MetadataValue

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.message(2, value)
    }
}

struct InOnWire: WireEncodable {
    let field: String
    let values: [MetadataValue]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.messages(2, values)
    }
}

struct RangeOnWire: WireEncodable {
    let field: String
    let lower: Filter.Bound?
    let upper: Filter.Bound?

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        if let lower { sink.message(lower.isInclusive ? 3 : 2, lower.value) }
        if let upper { sink.message(upper.isInclusive ? 5 : 4, upper.value) }
    }
}

struct ExistsOnWire: WireEncodable {
    let field: String

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.string(1, field) }
}

struct PrefixOnWire: WireEncodable {
    let field: String
    let prefix: String

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.string(2, prefix)
    }
}

// MARK: TimeRange

extension TimeRange: WireDraft, WireEncodable {
    init() { self.init(fromMillis: nil) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): fromMillis = try reader.int64("from_ms")
        case (2, .varint): toMillis = try reader.int64("to_ms")
        default: try reader.skip(field)
        }
    }

    func finish() -> TimeRange { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        if let fromMillis { sink.presentInt(1, fromMillis) }
        if let toMillis { sink.presentInt(2, toMillis) }
    }
}
