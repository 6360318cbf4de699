// collections.proto: MetadataStatistics.
import KyroModel

struct MetadataStatisticsDraft: WireDraft {
    var statistics = MetadataStatistics(field: "")
    var lowest: ValueDraft?
    var highest: ValueDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): statistics.field = try reader.string("field")
        case (2, .varint): statistics.rows = try reader.varint("rows")
        case (3, .varint): statistics.distinctStrings = try reader.varint("distinct_strings")
        case (4, .bytes): try reader.message("lowest", into: &lowest)
        case (5, .bytes): try reader.message("highest", into: &highest)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> MetadataStatistics {
        var finished = statistics
        finished.lowest = try lowest?.finish("lowest")
        finished.highest = try highest?.finish("highest")
        return finished
    }
}

extension MetadataStatistics: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.uint(2, rows)
        sink.uint(3, distinctStrings)
        sink.message(4, lowest)
        sink.message(5, highest)
    }
}
