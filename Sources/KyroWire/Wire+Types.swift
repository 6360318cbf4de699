// types.proto, first part: Scope, DocumentId, DenseVector, SparseVector, Selection, Projection and
// ItemError.
import KyroBytes
import KyroModel

// MARK: Scope

struct ScopeDraft: WireDraft {
    var tenant = ""
    var namespace = ""

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): tenant = try reader.string("tenant_id")
        case (2, .bytes): namespace = try reader.string("namespace")
        default: try reader.skip(field)
        }
    }

    func finish() -> Scope { Scope(tenant: tenant, namespace: namespace) }
}

extension Scope: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, tenant)
        sink.string(2, namespace)
    }
}

// MARK: DocumentId

struct DocumentIDDraft: WireDraft {
    var kind: DocumentID?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): kind = .number(try reader.varint("number"))
        case (2, .bytes): kind = .text(try reader.string("text"))
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> DocumentID {
        guard let kind else { throw .invalid(path: "", problem: "is missing: set number or text") }
        return kind
    }
}

extension DocumentID: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .number(let value): sink.presentUInt(1, value)
        case .text(let value): sink.presentString(2, value)
        }
    }
}

// MARK: DenseVector

struct DenseVectorDraft: WireDraft {
    var values: [Float] = []
    /// Where the packed bytes lie in `message`; how they are laid out is known at the end.
    var packed = 0..<0
    var message: [UInt8] = []
    var format: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.packedFloats("values", into: &values)
        case (1, .fixed32): values.append(try reader.float("values"))
        case (2, .bytes):
            packed = try reader.byteRange("packed")
            message = reader.bytes
        case (3, .varint): format = try reader.int32("format")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> [Float] {
        guard let format = PackedFormat(rawValue: format) else {
            throw .invalid(path: "format", problem: "\(format) is no VectorFormat")
        }
        if packed.isEmpty { return values }
        guard values.isEmpty else {
            throw .invalid(
                path: "", problem: "has both values and packed: send the components once")
        }
        guard packed.count % format.byteCount == 0 else {
            throw .invalid(
                path: "packed",
                problem: "has \(packed.count) bytes, not a multiple of \(format.byteCount)")
        }
        return try format.unpack(message, packed)
    }
}

/// The raw values are those of `kyrodb.v2.VectorFormat`.
enum PackedFormat: Int32 {
    case f32 = 0
    case f16 = 1
    case int8 = 2

    var byteCount: Int {
        switch self {
        case .f32: 4
        case .f16: 2
        case .int8: 1
        }
    }

    /// - Precondition: `range` lies in `bytes` and is a multiple of `byteCount`.
    func unpack(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) -> [Float] {
        var values: [Float] = []
        let count = range.count / byteCount
        switch self {
        case .f32:
            var reader = ByteReader(bytes, range: range)
            do { try reader.readFloats(count: count, into: &values) } catch {
                throw .invalid(path: "packed", problem: "is truncated")
            }
        case .f16:
            values.reserveCapacity(count)
            for i in stride(from: range.lowerBound, to: range.upperBound, by: 2) {
                values.append(floatFromHalf(UInt16(bytes[i]) | UInt16(bytes[i + 1]) << 8))
            }
        case .int8:
            values.reserveCapacity(count)
            for byte in bytes[range] { values.append(Float(Int8(bitPattern: byte))) }
        }
        return values
    }
}

/// IEEE 754 binary16 to binary32, exact; the payload of a NaN is kept.
func floatFromHalf(_ half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10) & 0x1F
    let fraction = UInt32(half & 0x3FF)
    switch exponent {
    case 0:
        // Subnormal: fraction × 2^−24.
        let magnitude = Float(fraction) * 0x1p-24
        return Float(bitPattern: magnitude.bitPattern | sign)
    case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
}

struct DenseVectorOnWire: WireEncodable {
    let values: [Float]
    let encoding: VectorEncoding

    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch encoding {
        case .floats: sink.floats(1, values)
        case .packedF32: sink.floats(2, values)
        }
    }
}

// MARK: SparseVector

struct SparseVectorDraft: WireDraft {
    var vector = SparseVector()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            try reader.packedVarints("indices", into: &vector.indices) {
                UInt32(truncatingIfNeeded: $0)
            }
        case (1, .varint): vector.indices.append(try reader.uint32("indices"))
        case (2, .bytes): try reader.packedFloats("values", into: &vector.values)
        case (2, .fixed32): vector.values.append(try reader.float("values"))
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> SparseVector {
        guard vector.indices.count == vector.values.count else {
            throw .invalid(
                path: "",
                problem: "has \(vector.indices.count) indices and \(vector.values.count) values")
        }
        return vector
    }
}

extension SparseVector: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.packedVarints(1, indices) { UInt64($0) }
        sink.floats(2, values)
    }
}

// MARK: Selection, Projection

extension Selection: WireDraft, WireEncodable {
    init() { self.init(isAll: false) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): isAll = try reader.bool("all")
        case (2, .bytes): names.append(try reader.string("names"))
        default: try reader.skip(field)
        }
    }

    func finish() -> Selection { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.bool(1, isAll)
        sink.strings(2, names)
    }
}

struct ProjectionDraft: WireDraft {
    var projection = Projection()
    var vectorEncoding: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("metadata", into: &projection.metadata)
        case (2, .bytes): try reader.message("texts", into: &projection.texts)
        case (3, .bytes): try reader.message("vectors", into: &projection.vectors)
        case (4, .bytes): try reader.message("sparse_vectors", into: &projection.sparseVectors)
        case (5, .varint): vectorEncoding = try reader.int32("vector_encoding")
        case (6, .bytes): try reader.message("multi_vectors", into: &projection.multiVectors)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Projection {
        var finished = projection
        finished.vectorEncoding = try enumValue(
            vectorEncoding, "vector_encoding", VectorEncoding.init(rawValue:))
        return finished
    }
}

extension Projection: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, metadata.isNone ? nil : metadata)
        sink.message(2, texts.isNone ? nil : texts)
        sink.message(3, vectors.isNone ? nil : vectors)
        sink.message(4, sparseVectors.isNone ? nil : sparseVectors)
        sink.uint(5, UInt32(vectorEncoding.rawValue))
        sink.message(6, multiVectors.isNone ? nil : multiVectors)
    }
}

extension Projection {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> Projection {
        try decodeMessage(ProjectionDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }
}

/// The enum's value for a number from the wire; what this version does not know is an error.
func enumValue<Value>(
    _ raw: Int32, _ name: StaticString, _ make: (UInt8) -> Value?
) throws(WireError) -> Value {
    guard let byte = UInt8(exactly: raw), let value = make(byte) else {
        throw .invalid(path: name.description, problem: "has no value \(raw)")
    }
    return value
}

// MARK: ItemError

struct ItemErrorDraft: WireDraft {
    var code: Int32 = 0
    var reason = ""
    var message = ""
    var fieldPath = ""

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): code = try reader.int32("code")
        case (2, .bytes): reason = try reader.string("reason")
        case (3, .bytes): message = try reader.string("message")
        case (4, .bytes): fieldPath = try reader.string("field")
        default: try reader.skip(field)
        }
    }

    /// A code that gRPC does not define is UNKNOWN, as gRPC's clients treat it.
    func finish() -> KyroError {
        KyroError(
            code: StatusCode(rawValue: code) ?? .unknown, reason: reason, message: message,
            field: fieldPath.isEmpty ? nil : fieldPath)
    }
}

struct ItemErrorOnWire: WireEncodable {
    let error: KyroError

    init(_ error: KyroError) { self.error = error }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, UInt64(bitPattern: Int64(error.code.rawValue)))
        sink.string(2, error.reason)
        sink.string(3, error.message)
        sink.string(4, error.field ?? "")
    }
}
