// Map fields: on the wire a repeated message of a key (1) and a value (2).
import KyroModel

/// One entry while its fields arrive. Within an entry the value merges; between entries of one key
/// the last wins. A missing key is "" and a missing value the empty message. An entry with a field
/// that is not known is itself unknown to protobuf's own parsers, and skipped.
struct MapEntryDraft<Item: WireDraft>: WireDraft {
    var key = ""
    var value = Item()
    var isUnknown = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): key = try reader.string("key")
        case (2, .bytes): try reader.message("value", into: &value)
        default:
            isUnknown = true
            try reader.skip(field)
        }
    }

    func finish() -> (key: String, value: Item) { (key, value) }
}

/// An entry of a map from strings to strings.
struct TextEntryDraft: WireDraft {
    var key = ""
    var value = ""
    var isUnknown = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): key = try reader.string("key")
        case (2, .bytes): value = try reader.string("value")
        default:
            isUnknown = true
            try reader.skip(field)
        }
    }

    func finish() -> (key: String, value: String) { (key, value) }
}

extension WireReader {
    mutating func mapEntry<Item: WireDraft>(
        _ name: StaticString, into map: inout FieldMap<Item>
    ) throws(WireError) {
        var entry = MapEntryDraft<Item>()
        try message(name, into: &entry)
        if !entry.isUnknown { map[entry.key] = entry.value }
    }

    mutating func mapEntry(
        _ name: StaticString, into map: inout FieldMap<String>
    ) throws(WireError) {
        var entry = TextEntryDraft()
        try message(name, into: &entry)
        if !entry.isUnknown { map[entry.key] = entry.value }
    }
}

/// Finishes every value of a map.
func finishMap<Item: WireDraft>(
    _ map: FieldMap<Item>, _ name: StaticString
) throws(WireError) -> FieldMap<Item.Value> {
    var finished: FieldMap<Item.Value> = [:]
    for entry in map.entries {
        do throws(WireError) { finished[entry.name] = try entry.value.finish() } catch {
            throw error.inside(name, key: entry.name)
        }
    }
    return finished
}

struct MapEntry<Item: WireEncodable>: WireEncodable {
    let key: String
    let value: Item

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.presentString(1, key)
        sink.message(2, value)
    }
}

struct TextEntry: WireEncodable {
    let key: String
    let value: String

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.presentString(1, key)
        sink.presentString(2, value)
    }
}
