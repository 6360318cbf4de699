// types.proto, second part: Value and Document.
import KyroModel

// MARK: Value

/// A member of the oneof that comes again replaces a scalar and merges into a list. `kind` lets go
/// of the list before it grows: an array with two owners is copied at every append.
struct ValueDraft: WireDraft {
    var kind: MetadataValue?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): kind = .string(try reader.string("string_value"))
        case (2, .varint): kind = .int64(try reader.int64("int_value"))
        case (3, .fixed64): kind = .double(try reader.double("double_value"))
        case (4, .varint): kind = .bool(try reader.bool("bool_value"))
        case (5, .varint): kind = .timestamp(try reader.int64("timestamp_ms"))
        case (6, .bytes):
            var list = StringListDraft()
            if case .strings(let values) = kind { list.values = values }
            kind = nil
            try reader.message("strings", into: &list)
            kind = .strings(list.values)
        case (7, .bytes):
            var list = Int64ListDraft()
            if case .int64s(let values) = kind { list.values = values }
            kind = nil
            try reader.message("ints", into: &list)
            kind = .int64s(list.values)
        case (8, .bytes):
            var list = DoubleListDraft()
            if case .doubles(let values) = kind { list.values = values }
            kind = nil
            try reader.message("doubles", into: &list)
            kind = .doubles(list.values)
        case (9, .bytes):
            var list = BoolListDraft()
            if case .bools(let values) = kind { list.values = values }
            kind = nil
            try reader.message("bools", into: &list)
            kind = .bools(list.values)
        case (10, .bytes):
            var list = Int64ListDraft()
            if case .timestamps(let values) = kind { list.values = values }
            kind = nil
            try reader.message("timestamps_ms", into: &list)
            kind = .timestamps(list.values)
        case (11, .bytes):
            var point = GeoPoint()
            if case .geoPoint(let present) = kind { point = present }
            try reader.message("geo_point", into: &point)
            kind = .geoPoint(point)
        case (12, .bytes):
            var list = GeoPointListDraft()
            if case .geoPoints(let points) = kind { list.points = points }
            kind = nil
            try reader.message("geo_points", into: &list)
            kind = .geoPoints(list.points)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> MetadataValue {
        guard let kind else {
            throw .invalid(path: "", problem: "has no value: set one of the kinds of Value")
        }
        return kind
    }
}

struct StringListDraft: WireDraft {
    var values: [String] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): values.append(try reader.string("values"))
        default: try reader.skip(field)
        }
    }

    func finish() -> [String] { values }
}

struct Int64ListDraft: WireDraft {
    var values: [Int64] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            try reader.packedVarints("values", into: &values) { Int64(bitPattern: $0) }
        case (1, .varint): values.append(try reader.int64("values"))
        default: try reader.skip(field)
        }
    }

    func finish() -> [Int64] { values }
}

struct DoubleListDraft: WireDraft {
    var values: [Double] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.packedDoubles("values", into: &values)
        case (1, .fixed64): values.append(try reader.double("values"))
        default: try reader.skip(field)
        }
    }

    func finish() -> [Double] { values }
}

struct BoolListDraft: WireDraft {
    var values: [Bool] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.packedVarints("values", into: &values) { $0 != 0 }
        case (1, .varint): values.append(try reader.bool("values"))
        default: try reader.skip(field)
        }
    }

    func finish() -> [Bool] { values }
}

extension MetadataValue: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .string(let value): sink.presentString(1, value)
        case .int64(let value): sink.presentInt(2, value)
        case .double(let value): sink.presentDouble(3, value)
        case .bool(let value): sink.presentUInt(4, value ? 1 : 0)
        case .timestamp(let value): sink.presentInt(5, value)
        case .strings(let values): sink.message(6, StringListOnWire(values: values))
        case .int64s(let values): sink.message(7, Int64ListOnWire(values: values))
        case .doubles(let values): sink.message(8, DoubleListOnWire(values: values))
        case .bools(let values): sink.message(9, BoolListOnWire(values: values))
        case .timestamps(let values): sink.message(10, Int64ListOnWire(values: values))
        case .geoPoint(let point): sink.message(11, point)
        case .geoPoints(let points): sink.message(12, GeoPointListOnWire(points: points))
        }
    }
}

struct StringListOnWire: WireEncodable {
    let values: [String]

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.strings(1, values) }
}

struct Int64ListOnWire: WireEncodable {
    let values: [Int64]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.packedVarints(1, values) { UInt64(bitPattern: $0) }
    }
}

struct DoubleListOnWire: WireEncodable {
    let values: [Double]

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.packedDoubles(1, values) }
}

struct BoolListOnWire: WireEncodable {
    let values: [Bool]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.packedVarints(1, values) { $0 ? 1 : 0 }
    }
}

extension MetadataValue {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> MetadataValue {
        try decodeMessage(ValueDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }
}

// MARK: Document

struct DocumentDraft: WireDraft {
    var id = DocumentIDDraft()
    var vectors: FieldMap<DenseVectorDraft> = [:]
    var sparseVectors: FieldMap<SparseVectorDraft> = [:]
    var texts: FieldMap<String> = [:]
    var metadata: FieldMap<ValueDraft> = [:]
    var eventTimeMillis: Int64?
    var expiresAtMillis: Int64?
    var multiVectors: FieldMap<MultiVectorDraft> = [:]
    /// A map that had more entries than a document may have.
    var overfull: StaticString?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("id", into: &id)
        case (2, .bytes):
            if try !reader.mapEntry("vectors", into: &vectors) { overfull = "vectors" }
        case (3, .bytes):
            if try !reader.mapEntry("sparse_vectors", into: &sparseVectors) {
                overfull = "sparse_vectors"
            }
        case (4, .bytes):
            if try !reader.mapEntry("texts", into: &texts) { overfull = "texts" }
        case (5, .bytes):
            if try !reader.mapEntry("metadata", into: &metadata) { overfull = "metadata" }
        case (6, .varint): eventTimeMillis = try reader.int64("event_time_ms")
        case (7, .varint): expiresAtMillis = try reader.int64("expires_at_ms")
        case (8, .bytes):
            if try !reader.mapEntry("multi_vectors", into: &multiVectors) {
                overfull = "multi_vectors"
            }
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Document {
        if let overfull { throw .tooManyFields(overfull) }
        var document = Document(id: try id.finish("id"))
        document.vectors = try finishMap(vectors, "vectors")
        document.sparseVectors = try finishMap(sparseVectors, "sparse_vectors")
        document.texts = texts
        document.metadata = try finishMap(metadata, "metadata")
        document.eventTimeMillis = eventTimeMillis
        document.expiresAtMillis = expiresAtMillis
        document.multiVectors = try finishMap(multiVectors, "multi_vectors")
        return document
    }
}

struct DocumentOnWire: WireEncodable {
    let document: Document
    let encoding: VectorEncoding

    init(_ document: Document, _ encoding: VectorEncoding = .floats) {
        self.document = document
        self.encoding = encoding
    }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, document.id)
        for entry in document.vectors.entries {
            let vector = DenseVectorOnWire(values: entry.value, encoding: encoding)
            sink.message(2, MapEntry(key: entry.name, value: vector))
        }
        for entry in document.sparseVectors.entries {
            sink.message(3, MapEntry(key: entry.name, value: entry.value))
        }
        for entry in document.texts.entries {
            sink.message(4, TextEntry(key: entry.name, value: entry.value))
        }
        for entry in document.metadata.entries {
            sink.message(5, MapEntry(key: entry.name, value: entry.value))
        }
        if let time = document.eventTimeMillis { sink.presentInt(6, time) }
        if let time = document.expiresAtMillis { sink.presentInt(7, time) }
        for entry in document.multiVectors.entries {
            let vector = MultiVectorOnWire(vector: entry.value, encoding: encoding)
            sink.message(8, MapEntry(key: entry.name, value: vector))
        }
    }
}

extension Document {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> Document {
        try decodeMessage(DocumentDraft.self, bytes)
    }

    public func encodeWire(_ encoding: VectorEncoding = .floats) -> [UInt8] {
        encodeMessage(DocumentOnWire(self, encoding))
    }
}
