// The stored form of a document, in log records, document stores and snapshots.
//
//   u8       version: 1, or 2 where something below is there that version 1 has not
//   id       u8 0 + u64, or u8 1 + string
//   u8       bit 0: event time present; bit 1: expiry present
//   i64      event time, when present;  i64 expiry, when present
//   map      dense vectors:  name, varint dimension, dimension × f32
//   map      sparse vectors: name, varint n, n × u32 indices, n × f32 values
//   map      texts:          name, string
//   map      metadata:       name, u8 type (ValueType), value
//   map      multi-vectors:  name, varint dimension, varint n, n × f32      (version 2)
//
// A map is a varint count and entries in strictly rising order of their names' UTF-8; a string is a
// varint length and UTF-8. Numbers are little-endian. A metadata list is a varint count and its
// elements: strings, i64 (int64 and timestamp), f64 bits, or one byte a bool. A geo point is the f64
// bits of its latitude and of its longitude.
import KyroBytes
import KyroModel

public enum DocumentCodec {
    static let versions: ClosedRange<UInt8> = 1...2

    public static func encode(_ document: Document, includingVectors: Bool = true) -> [UInt8] {
        var writer = ByteWriter(capacity: byteCountEstimate(document, includingVectors))
        encode(document, includingVectors: includingVectors, into: &writer)
        return writer.bytes
    }

    /// - Parameter includingVectors: without them the dense vectors' map is empty.
    public static func encode(
        _ document: Document, includingVectors: Bool = true, into writer: inout ByteWriter
    ) {
        // What version 1 can say is said in it: documents that were always possible keep their bytes.
        let version: UInt8 = document.multiVectors.isEmpty ? 1 : 2
        writer.writeByte(version)
        encode(document.id, into: &writer)
        let hasEventTime: UInt8 = document.eventTimeMillis == nil ? 0 : 1
        let hasExpiry: UInt8 = document.expiresAtMillis == nil ? 0 : 2
        writer.writeByte(hasEventTime | hasExpiry)
        if let time = document.eventTimeMillis { writer.writeFixed64(UInt64(bitPattern: time)) }
        if let time = document.expiresAtMillis { writer.writeFixed64(UInt64(bitPattern: time)) }
        writer.writeVarint(includingVectors ? UInt64(document.vectors.count) : 0)
        if includingVectors {
            for entry in document.vectors {
                writer.writeString(entry.name)
                writer.writeVarint(UInt64(entry.value.count))
                writer.writeFloats(entry.value)
            }
        }
        writer.writeVarint(UInt64(document.sparseVectors.count))
        for entry in document.sparseVectors {
            let vector = entry.value
            precondition(
                vector.indices.count == vector.values.count,
                "\(vector.indices.count) indices, \(vector.values.count) values")
            writer.writeString(entry.name)
            writer.writeVarint(UInt64(vector.indices.count))
            for index in vector.indices { writer.writeFixed32(index) }
            writer.writeFloats(vector.values)
        }
        writer.writeVarint(UInt64(document.texts.count))
        for entry in document.texts {
            writer.writeString(entry.name)
            writer.writeString(entry.value)
        }
        writer.writeVarint(UInt64(document.metadata.count))
        for entry in document.metadata {
            writer.writeString(entry.name)
            encode(entry.value, into: &writer)
        }
        guard version >= 2 else { return }
        writer.writeVarint(UInt64(document.multiVectors.count))
        for entry in document.multiVectors {
            writer.writeString(entry.name)
            writer.writeVarint(UInt64(entry.value.dimension))
            writer.writeVarint(UInt64(entry.value.values.count))
            writer.writeFloats(entry.value.values)
        }
    }

    /// - Throws: `.malformed` for anything that `encode` does not write.
    public static func decode(
        _ bytes: [UInt8], range: Range<Int>? = nil
    ) throws(StoreError) -> Document {
        var reader = RecordReader(bytes, range: range ?? 0..<bytes.count, subject: "document")
        let document = try decode(from: &reader)
        try reader.end()
        return document
    }

    public static func encode(_ id: DocumentID, into writer: inout ByteWriter) {
        switch id {
        case .number(let value):
            writer.writeByte(0)
            writer.writeFixed64(value)
        case .text(let value):
            writer.writeByte(1)
            writer.writeString(value)
        }
    }

    /// The counterpart of `encode(_:into:)` of an id alone.
    public static func decodeID(_ bytes: [UInt8]) throws(StoreError) -> DocumentID {
        var reader = RecordReader(bytes, range: 0..<bytes.count, subject: "document id")
        return try decodeID(from: &reader)
    }

    static func decodeID(from reader: inout RecordReader) throws(StoreError) -> DocumentID {
        switch try reader.byte() {
        case 0: return .number(try reader.fixed64())
        case 1: return .text(try reader.string())
        case let kind: throw reader.malformed("document id of kind \(kind)")
        }
    }

    static func decode(from reader: inout RecordReader) throws(StoreError) -> Document {
        let version = try reader.byte()
        guard versions.contains(version) else {
            throw reader.malformed("encoding version \(version), expected 1 or 2")
        }
        var document = Document(id: try decodeID(from: &reader))
        let presence = try reader.byte()
        guard presence & ~3 == 0 else { throw reader.malformed("presence bits \(presence)") }
        if presence & 1 != 0 {
            document.eventTimeMillis = Int64(bitPattern: try reader.fixed64())
        }
        if presence & 2 != 0 {
            document.expiresAtMillis = Int64(bitPattern: try reader.fixed64())
        }
        document.vectors = try decodeMap(from: &reader) { reader throws(StoreError) in
            let dimension = try reader.count(bytesEach: 4)
            return try reader.floats(count: dimension)
        }
        document.sparseVectors = try decodeMap(from: &reader) { reader throws(StoreError) in
            let count = try reader.count(bytesEach: 8)
            var vector = SparseVector()
            vector.indices.reserveCapacity(count)
            for _ in 0..<count { vector.indices.append(try reader.fixed32()) }
            vector.values = try reader.floats(count: count)
            return vector
        }
        document.texts = try decodeMap(from: &reader) { reader throws(StoreError) in
            try reader.string()
        }
        document.metadata = try decodeMap(from: &reader) { reader throws(StoreError) in
            try decodeValue(from: &reader)
        }
        guard version >= 2 else { return document }
        document.multiVectors = try decodeMap(from: &reader) { reader throws(StoreError) in
            let dimension = try reader.varint32()
            let count = try reader.count(bytesEach: 4)
            guard dimension > 0, count % Int(dimension) == 0 else {
                throw reader.malformed("\(count) values in rows of \(dimension)")
            }
            return MultiVector(dimension: Int(dimension), values: try reader.floats(count: count))
        }
        return document
    }

    private static func byteCountEstimate(_ document: Document, _ includingVectors: Bool) -> Int {
        var count = 64
        if includingVectors {
            for entry in document.vectors { count += 32 + entry.value.count * 4 }
        }
        for entry in document.sparseVectors { count += 32 + entry.value.indices.count * 8 }
        for entry in document.texts { count += 32 + entry.value.utf8.count }
        count += 64 * document.metadata.count
        for entry in document.multiVectors { count += 32 + entry.value.values.count * 4 }
        return count
    }
}

/// A map by name, whose names rise strictly.
func decodeMap<Value: Sendable>(
    from reader: inout RecordReader, bytesEach: Int = 2,
    _ value: (inout RecordReader) throws(StoreError) -> Value
) throws(StoreError) -> FieldMap<Value> {
    var map = FieldMap<Value>()
    let count = try reader.count(bytesEach: bytesEach)
    if count == 0 { return map }
    map.reserveCapacity(min(count, 16))
    var last: String?
    for _ in 0..<count {
        let name = try reader.string()
        if let last, !last.utf8.lexicographicallyPrecedes(name.utf8) {
            throw reader.malformed("field \"\(name)\" after \"\(last)\"")
        }
        map.append(rising: name, try value(&reader))
        last = name
    }
    return map
}
