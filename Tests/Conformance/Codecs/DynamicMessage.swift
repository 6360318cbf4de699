// A message of any type that has a table: read, merged and written with KyroWire's primitives.
import KyroModel

/// Fields by number, and those that the table does not have as they came.
public struct DynamicMessage: Sendable {
    let type: MessageType
    private var fields: [UInt32: FieldValue] = [:]
    /// Tag and value of each, in the order of arrival.
    private var unknown: [UInt8] = []

    init(_ type: MessageType) { self.type = type }

    /// - Throws: MALFORMED_MESSAGE for what is not protobuf.
    public static func decode(_ bytes: [UInt8], as type: MessageType) throws(KyroError)
        -> DynamicMessage
    {
        do throws(WireError) {
            var reader = WireReader(bytes)
            var message = DynamicMessage(type)
            try reader.readFields(into: &message)
            return message
        } catch {
            throw KyroError(error)
        }
    }

    public func encode() -> [UInt8] { encodeMessage(self) }

    /// A message of one field.
    init(_ type: MessageType, _ number: UInt32, _ value: FieldValue) {
        self.type = type
        fields[number] = value
    }

    func string(_ number: UInt32) -> String {
        if case .strings(let values)? = fields[number] { values.first ?? "" } else { "" }
    }

    func bytes(_ number: UInt32) -> [UInt8]? {
        if case .bytes(let values)? = fields[number] { values.first } else { nil }
    }

    func number(_ number: UInt32) -> UInt64 {
        if case .numbers(let values)? = fields[number] { values.first ?? 0 } else { 0 }
    }
}

/// One field: a singular one is a list of at most one.
enum FieldValue: Sendable {
    /// Bits as they travel: varints, and what has a fixed width of 4 or 8 bytes.
    case numbers([UInt64])
    case floats([Float])
    case doubles([Double])
    case strings([String])
    case bytes([[UInt8]])
    case messages([DynamicMessage])
    case entries([MapItem])
}

struct MapItem: Sendable {
    var key: FieldValue
    var value: FieldValue
}

extension DynamicMessage: WireDraft {
    init() { self.init(.testAllTypes) }

    func finish() -> DynamicMessage { self }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        guard let schema = type.fields[field.number] else { return try keep(field, &reader) }
        if case .map(let key) = schema.shape {
            guard field.type == .bytes else { return try keep(field, &reader) }
            return try readEntry(field.number, key: key, value: schema.kind, &reader)
        }
        var value = FieldValue(schema.kind)
        switch schema.shape {
        case .packed, .repeated: value = fields[field.number] ?? value
        case .singular, .oneof:
            // Of a scalar the last one counts; a message merges into what came before.
            if case .message = schema.kind { value = fields[field.number] ?? value }
        case .map: break
        }
        let isList =
            switch schema.shape {
            case .packed, .repeated: true
            case .singular, .oneof, .map: false
            }
        if field.type == schema.kind.wireType {
            try value.read(schema.kind, isList: isList, from: &reader)
        } else if isList, field.type == .bytes {
            try value.readPacked(schema.kind, from: &reader)
        } else {
            return try keep(field, &reader)
        }
        if case .oneof = schema.shape {
            for (number, other) in type.fields where number != field.number {
                if case .oneof = other.shape { fields[number] = nil }
            }
        }
        fields[field.number] = value
    }

    private mutating func keep(
        _ field: WireField, _ reader: inout WireReader
    ) throws(WireError) {
        let start = reader.position
        try reader.skip(field)
        let end = reader.position
        var sizes = SizeSink()
        sizes.tag(field.number, field.type)
        var tag = BufferSink(sizes)
        tag.tag(field.number, field.type)
        unknown += tag.bytes + reader.bytes[start..<end]
    }

    private mutating func readEntry(
        _ number: UInt32, key: FieldKind, value: FieldKind, _ reader: inout WireReader
    ) throws(WireError) {
        var entry = DynamicMessage(.entry(key: key, value: value))
        try reader.message("entry", into: &entry)
        let item = MapItem(
            key: entry.fields[1] ?? FieldValue(defaultOf: key),
            value: entry.fields[2] ?? FieldValue(defaultOf: value))
        var items: [MapItem] = []
        if case .entries(let known)? = fields[number] { items = known }
        let old = items.firstIndex { $0.key.isSameKey(as: item.key) }
        if let old { items[old] = item } else { items.append(item) }
        fields[number] = .entries(items)
    }
}

extension DynamicMessage: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        for number in fields.keys.sorted() {
            guard let schema = type.fields[number], let value = fields[number] else { continue }
            value.encode(number, schema, into: &sink)
        }
        sink.put(bytes: unknown)
    }
}

/// An entry of a map while it is written: both parts, whatever they are.
private struct EncodedEntry: WireEncodable {
    let item: MapItem
    let key: FieldKind
    let value: FieldKind

    func encode<Sink: WireSink>(into sink: inout Sink) {
        item.key.encode(1, FieldSchema(key, .repeated), into: &sink)
        item.value.encode(2, FieldSchema(value, .repeated), into: &sink)
    }
}

extension FieldKind {
    var wireType: WireType {
        switch self {
        case .int32, .int64, .uint32, .uint64, .sint32, .sint64, .bool, .enumeration: .varint
        case .fixed32, .float: .fixed32
        case .fixed64, .double: .fixed64
        case .string, .bytes, .message: .bytes
        }
    }

    /// A varint, as wide as the type is and written back.
    func narrowed(_ raw: UInt64) -> UInt64 {
        switch self {
        case .int32, .enumeration:
            UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: raw)))
        case .uint32, .sint32: UInt64(UInt32(truncatingIfNeeded: raw))
        case .bool: raw == 0 ? 0 : 1
        default: raw
        }
    }
}

extension FieldValue {
    /// Nothing of a type.
    init(_ kind: FieldKind) {
        switch kind {
        case .float: self = .floats([])
        case .double: self = .doubles([])
        case .string: self = .strings([])
        case .bytes: self = .bytes([])
        case .message: self = .messages([])
        default: self = .numbers([])
        }
    }

    /// What a part of a map's entry is that did not come.
    init(defaultOf kind: FieldKind) {
        switch kind {
        case .float: self = .floats([0])
        case .double: self = .doubles([0])
        case .string: self = .strings([""])
        case .bytes: self = .bytes([[]])
        case .message(let type): self = .messages([DynamicMessage(type)])
        default: self = .numbers([0])
        }
    }

    func isSameKey(as other: FieldValue) -> Bool {
        switch (self, other) {
        case (.numbers(let a), .numbers(let b)): a == b
        case (.strings(let a), .strings(let b)): a == b
        default: false
        }
    }

    mutating func read(
        _ kind: FieldKind, isList: Bool, from reader: inout WireReader
    ) throws(WireError) {
        switch (self, kind) {
        case (.floats(let old), _): self = .floats(old + [try reader.float("float")])
        case (.doubles(let old), _): self = .doubles(old + [try reader.double("double")])
        case (.strings(let old), _): self = .strings(old + [try reader.string("string")])
        case (.bytes(let old), _): self = .bytes(old + [try reader.byteString("bytes")])
        case (.messages(var all), .message(let type)):
            var message = isList ? DynamicMessage(type) : all.first ?? DynamicMessage(type)
            try reader.message("message", into: &message)
            if !isList { all = [] }
            self = .messages(all + [message])
        case (.numbers(let old), .fixed32):
            self = .numbers(old + [UInt64(try reader.fixed32("fixed32"))])
        case (.numbers(let old), .fixed64):
            self = .numbers(old + [try reader.fixed64("fixed64")])
        case (.numbers(let old), _):
            self = .numbers(old + [kind.narrowed(try reader.varint("varint"))])
        case (.messages, _), (.entries, _): preconditionFailure("\(self) is no \(kind)")
        }
    }

    mutating func readPacked(_ kind: FieldKind, from reader: inout WireReader) throws(WireError) {
        switch (self, kind) {
        case (.floats(var values), _):
            try reader.packedFloats("floats", into: &values)
            self = .floats(values)
        case (.doubles(var values), _):
            try reader.packedDoubles("doubles", into: &values)
            self = .doubles(values)
        case (.numbers(let values), .fixed32), (.numbers(let values), .fixed64):
            let bytes = try reader.byteString("fixed")
            var fixed = FieldValue.numbers(values)
            var inner = WireReader(bytes)
            while !inner.isAtEnd { try fixed.read(kind, isList: true, from: &inner) }
            self = fixed
        case (.numbers(var values), _):
            try reader.packedVarints("varints", into: &values) { kind.narrowed($0) }
            self = .numbers(values)
        default: preconditionFailure("\(kind) is never packed")
        }
    }

    func encode<Sink: WireSink>(_ number: UInt32, _ schema: FieldSchema, into sink: inout Sink) {
        let isPresent =
            switch schema.shape {
            case .singular: false
            case .oneof, .packed, .repeated, .map: true
            }
        if case .packed = schema.shape { return encodePacked(number, schema.kind, into: &sink) }
        switch self {
        case .numbers(let values):
            for value in values where isPresent || value != 0 {
                schema.kind.put(number, value, into: &sink)
            }
        case .floats(let values):
            for value in values where isPresent || value.bitPattern != 0 {
                sink.tag(number, .fixed32)
                sink.put(fixed32: value.bitPattern)
            }
        case .doubles(let values):
            for value in values {
                if isPresent {
                    sink.presentDouble(number, value)
                } else {
                    sink.double(number, value)
                }
            }
        case .strings(let values):
            for value in values {
                if isPresent {
                    sink.presentString(number, value)
                } else {
                    sink.string(number, value)
                }
            }
        case .bytes(let values):
            for value in values where isPresent || !value.isEmpty {
                sink.tag(number, .bytes)
                sink.put(varint: UInt64(value.count))
                sink.put(bytes: value)
            }
        case .messages(let values): sink.messages(number, values)
        case .entries(let items):
            guard case .map(let key) = schema.shape else { return }
            sink.messages(
                number, items.map { EncodedEntry(item: $0, key: key, value: schema.kind) })
        }
    }

    private func encodePacked<Sink: WireSink>(
        _ number: UInt32, _ kind: FieldKind, into sink: inout Sink
    ) {
        switch (self, kind) {
        case (.floats(let values), _): sink.floats(number, values)
        case (.doubles(let values), _): sink.packedDoubles(number, values)
        case (.numbers(let values), .fixed32), (.numbers(let values), .fixed64):
            guard !values.isEmpty else { return }
            let isShort = kind.wireType == .fixed32
            sink.tag(number, .bytes)
            sink.put(varint: UInt64(values.count * (isShort ? 4 : 8)))
            for value in values {
                if isShort {
                    sink.put(fixed32: UInt32(truncatingIfNeeded: value))
                } else {
                    sink.put(fixed64: value)
                }
            }
        case (.numbers(let values), _): sink.packedVarints(number, values) { $0 }
        default: preconditionFailure("\(kind) is never packed")
        }
    }
}

extension FieldKind {
    fileprivate func put<Sink: WireSink>(
        _ number: UInt32, _ value: UInt64, into sink: inout Sink
    ) {
        switch wireType {
        case .fixed32:
            sink.tag(number, .fixed32)
            sink.put(fixed32: UInt32(truncatingIfNeeded: value))
        case .fixed64:
            sink.tag(number, .fixed64)
            sink.put(fixed64: value)
        default: sink.presentUInt(number, value)
        }
    }
}
