// Typed metadata values in the stored form of a document.
import KyroBytes
import KyroModel

extension DocumentCodec {
    /// A byte of type and the value.
    public static func encode(_ value: MetadataValue, into writer: inout ByteWriter) {
        writer.writeByte(value.type.rawValue)
        switch value {
        case .string(let value): writer.writeString(value)
        case .int64(let value), .timestamp(let value):
            writer.writeFixed64(UInt64(bitPattern: value))
        case .double(let value): writer.writeFixed64(value.bitPattern)
        case .bool(let value): writer.writeByte(value ? 1 : 0)
        case .strings(let values):
            writer.writeVarint(UInt64(values.count))
            for value in values { writer.writeString(value) }
        case .int64s(let values), .timestamps(let values):
            writer.writeVarint(UInt64(values.count))
            for value in values { writer.writeFixed64(UInt64(bitPattern: value)) }
        case .doubles(let values):
            writer.writeVarint(UInt64(values.count))
            for value in values { writer.writeFixed64(value.bitPattern) }
        case .bools(let values):
            writer.writeVarint(UInt64(values.count))
            for value in values { writer.writeByte(value ? 1 : 0) }
        case .geoPoint(let point): encode(point, into: &writer)
        case .geoPoints(let points):
            writer.writeVarint(UInt64(points.count))
            for point in points { encode(point, into: &writer) }
        }
    }

    private static func encode(_ point: GeoPoint, into writer: inout ByteWriter) {
        writer.writeFixed64(point.latitude.bitPattern)
        writer.writeFixed64(point.longitude.bitPattern)
    }

    static func decodeValue(from reader: inout RecordReader) throws(StoreError) -> MetadataValue {
        let raw = try reader.byte()
        guard let type = ValueType(rawValue: raw) else {
            throw reader.malformed("metadata of type \(raw)")
        }
        switch type {
        case .string: return .string(try reader.string())
        case .int64: return .int64(try decodeInt64(from: &reader))
        case .double: return .double(Double(bitPattern: try reader.fixed64()))
        case .bool: return .bool(try decodeBool(from: &reader))
        case .timestamp: return .timestamp(try decodeInt64(from: &reader))
        case .strings:
            return .strings(
                try decodeList(from: &reader, bytesEach: 1) { reader throws(StoreError) in
                    try reader.string()
                })
        case .int64s:
            return .int64s(try decodeList(from: &reader, bytesEach: 8, decodeInt64))
        case .doubles:
            return .doubles(
                try decodeList(from: &reader, bytesEach: 8) { reader throws(StoreError) in
                    Double(bitPattern: try reader.fixed64())
                })
        case .bools:
            return .bools(try decodeList(from: &reader, bytesEach: 1, decodeBool))
        case .timestamps:
            return .timestamps(try decodeList(from: &reader, bytesEach: 8, decodeInt64))
        case .geoPoint: return .geoPoint(try decodePoint(from: &reader))
        case .geoPoints:
            return .geoPoints(try decodeList(from: &reader, bytesEach: 16, decodePoint))
        }
    }

    private static func decodeInt64(from reader: inout RecordReader) throws(StoreError) -> Int64 {
        Int64(bitPattern: try reader.fixed64())
    }

    private static func decodePoint(
        from reader: inout RecordReader
    ) throws(StoreError) -> GeoPoint {
        let latitude = Double(bitPattern: try reader.fixed64())
        return GeoPoint(
            latitude: latitude, longitude: Double(bitPattern: try reader.fixed64()))
    }

    private static func decodeBool(from reader: inout RecordReader) throws(StoreError) -> Bool {
        switch try reader.byte() {
        case 0: return false
        case 1: return true
        case let other: throw reader.malformed("a bool of \(other)")
        }
    }

    private static func decodeList<Element>(
        from reader: inout RecordReader, bytesEach: Int,
        _ element: (inout RecordReader) throws(StoreError) -> Element
    ) throws(StoreError) -> [Element] {
        let count = try reader.count(bytesEach: bytesEach)
        var values: [Element] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try element(&reader)) }
        return values
    }
}
