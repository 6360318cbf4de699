// collections.proto: how far a change of a text field's analyser is.
import KyroModel

struct TextIndexStatusDraft: WireDraft {
    var status = TextIndexStatus(field: "")

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): status.field = try reader.string("field")
        case (2, .varint): status.rebuildRowsDone = try reader.varint("rebuild_rows_done")
        case (3, .varint): status.rebuildRowsTotal = try reader.varint("rebuild_rows_total")
        default: try reader.skip(field)
        }
    }

    func finish() -> TextIndexStatus { status }
}

extension TextIndexStatus: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.uint(2, rebuildRowsDone)
        sink.uint(3, rebuildRowsTotal)
    }
}
