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

/// An entry of a map from strings to doubles.
struct NumberEntryDraft: WireDraft {
    var key = ""
    var value = 0.0
    var isUnknown = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): key = try reader.string("key")
        case (2, .fixed64): value = try reader.double("value")
        default:
            isUnknown = true
            try reader.skip(field)
        }
    }

    func finish() -> (key: String, value: Double) { (key, value) }
}

extension WireReader {
    /// - Returns: false when the entry was left out because the map is full.
    @discardableResult
    mutating func mapEntry<Item: WireDraft>(
        _ name: StaticString, into map: inout FieldMap<Item>
    ) throws(WireError) -> Bool {
        var entry = MapEntryDraft<Item>()
        try message(name, into: &entry)
        return entry.isUnknown || map.put(entry.value, as: entry.key)
    }

    /// - Returns: false when the entry was left out because the map is full.
    @discardableResult
    mutating func mapEntry(
        _ name: StaticString, into map: inout FieldMap<String>
    ) throws(WireError) -> Bool {
        var entry = TextEntryDraft()
        try message(name, into: &entry)
        return entry.isUnknown || map.put(entry.value, as: entry.key)
    }

    /// - Returns: false when the entry was left out because the map is full.
    @discardableResult
    mutating func mapEntry(
        _ name: StaticString, into map: inout FieldMap<Double>
    ) throws(WireError) -> Bool {
        var entry = NumberEntryDraft()
        try message(name, into: &entry)
        return entry.isUnknown || map.put(entry.value, as: entry.key)
    }
}

extension FieldMap {
    /// False when the name is one too many. The bound must hold while reading: a sorted array moves
    /// what lies behind a new name, and three bytes on the wire make one.
    fileprivate mutating func put(_ value: Value, as name: String) -> Bool {
        guard count < Limits.fieldsMax || self[name] != nil else { return false }
        self[name] = value
        return true
    }
}

extension WireError {
    /// A list of field names, or a map by them, is longer than `Limits.fieldsMax`.
    static func tooManyFields(_ name: StaticString) -> WireError {
        .overLimit(
            path: name.description,
            problem: "has more than \(Limits.fieldsMax) fields: use fewer of this kind")
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

struct NumberEntry: WireEncodable {
    let key: String
    let value: Double

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.presentString(1, key)
        sink.presentDouble(2, value)
    }
}
