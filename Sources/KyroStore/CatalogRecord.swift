// One change to the catalog, and the catalog that the changes add up to.
//
//   u8       version, 5
//   u8       1 created, 2 schema, 3 dropped, 4 next id, 5 moment, 6 retention, 7 tunings
//   varint   collection id (for 4: the lowest id not yet given out; for 5: zero)
//   created: string tenant, string namespace, varint schema version, schema, durability
//   schema:  varint schema version, schema
//   retention: varint milliseconds; from version 4 on
//   moment:  u64 sequence of the changes that follow, up to the next moment
//   tunings: a tuning history, see TuningCodec.swift; from version 4 on
//
// A schema is five maps in strictly rising order of names, each a varint count and entries:
//   dense vectors: name, varint dimension, u8 metric, indexing
//   sparse vectors: name
//   texts: name, u8 analyser, string language, f64 k1, f64 b, u8 options, stop words
//   metadata: name, u8 type
//   multi-vectors: name, varint dimension; from version 5 on
//
// An indexing is u8 kind, u8 codes, u8 rerank, u8 storage, and five varints: m, efConstruction,
// efSearch, lists, probes. Zeros are the defaults. Versions 1 and 2 have none, which reads as zeros.
//
// A text's options are 1 diacritics folded, 2 not stemmed, 4 no stop words, 8 own stop words: with 8
// follow a varint count and so many strings. Versions below 4 have neither, which reads as no options.
//
// A durability is u8: 0 the server's own, 1 always, 2 interval, then varint milliseconds, 3 never.
// Version 1 has none, which reads as the server's own.
import KyroBytes
import KyroModel

public enum CatalogRecord: Equatable, Sendable {
    /// - Parameter durability: nil for the server's own.
    case created(
        CollectionID, Scope, schemaVersion: UInt32, Schema, durability: Durability? = nil)
    /// The whole schema as of this version.
    case schemaChanged(CollectionID, schemaVersion: UInt32, Schema)
    case dropped(CollectionID)
    /// Ids below were given out, even if no collection has them any more.
    case nextID(CollectionID)
    /// The changes that follow were made at this sequence.
    case moment(Sequence)
    /// How long dead versions are kept.
    case retention(CollectionID, millis: Int64)
    /// The whole history as of this change.
    case tunings(CollectionID, TuningHistory)

    static let versions: ClosedRange<UInt8> = 1...5

    func encode(into writer: inout ByteWriter) {
        writer.writeByte(Self.versions.upperBound)
        switch self {
        case .created(let id, let scope, let schemaVersion, let schema, let durability):
            writer.writeByte(1)
            writer.writeVarint(UInt64(id.raw))
            writer.writeString(scope.tenant)
            writer.writeString(scope.namespace)
            writer.writeVarint(UInt64(schemaVersion))
            schema.encode(into: &writer)
            Durability.encode(durability, into: &writer)
        case .schemaChanged(let id, let schemaVersion, let schema):
            writer.writeByte(2)
            writer.writeVarint(UInt64(id.raw))
            writer.writeVarint(UInt64(schemaVersion))
            schema.encode(into: &writer)
        case .dropped(let id):
            writer.writeByte(3)
            writer.writeVarint(UInt64(id.raw))
        case .nextID(let id):
            writer.writeByte(4)
            writer.writeVarint(UInt64(id.raw))
        case .moment(let seq):
            writer.writeByte(5)
            writer.writeVarint(0)
            writer.writeFixed64(seq.raw)
        case .retention(let id, let millis):
            writer.writeByte(6)
            writer.writeVarint(UInt64(id.raw))
            writer.writeVarint(UInt64(millis))
        case .tunings(let id, let history):
            writer.writeByte(7)
            writer.writeVarint(UInt64(id.raw))
            history.encode(into: &writer)
        }
    }

    static func decode(_ bytes: [UInt8], range: Range<Int>) throws(StoreError) -> CatalogRecord {
        var reader = RecordReader(bytes, range: range, subject: "catalog record")
        let version = try reader.byte()
        guard Self.versions.contains(version) else {
            throw reader.malformed(
                "encoding version \(version), expected at most \(Self.versions.upperBound)")
        }
        let kind = try reader.byte()
        let id = CollectionID(try reader.varint32())
        let record: CatalogRecord
        switch kind {
        case 1:
            let tenant = try reader.string()
            let scope = Scope(tenant: tenant, namespace: try reader.string())
            record = .created(
                id, scope, schemaVersion: try reader.varint32(),
                try Schema.decode(from: &reader, version: version),
                durability: version == 1 ? nil : try Durability.decode(from: &reader))
        case 2:
            record = .schemaChanged(
                id, schemaVersion: try reader.varint32(),
                try Schema.decode(from: &reader, version: version))
        case 3: record = .dropped(id)
        case 4: record = .nextID(id)
        case 5: record = .moment(Sequence(try reader.fixed64()))
        case 6:
            let millis = try reader.varint()
            guard millis <= UInt64(Limits.retentionMillisMax) else {
                throw reader.malformed("a retention of \(millis) ms")
            }
            record = .retention(id, millis: Int64(millis))
        case 7: record = .tunings(id, try TuningHistory.decode(from: &reader))
        default: throw reader.malformed("kind \(kind)")
        }
        try reader.end()
        return record
    }
}

extension Durability {
    static func encode(_ durability: Durability?, into writer: inout ByteWriter) {
        switch durability {
        case nil: writer.writeByte(0)
        case .always: writer.writeByte(1)
        case .interval(let millis):
            writer.writeByte(2)
            writer.writeVarint(UInt64(millis))
        case .never: writer.writeByte(3)
        }
    }

    static func decode(from reader: inout RecordReader) throws(StoreError) -> Durability? {
        let kind = try reader.byte()
        switch kind {
        case 0: return nil
        case 1: return .always
        case 2:
            let millis = try reader.varint()
            guard let millis = Int64(exactly: millis), intervalMillisRange.contains(millis) else {
                throw reader.malformed("an interval of \(millis) ms")
            }
            return .interval(millis: millis)
        case 3: return .never
        default: throw reader.malformed("durability \(kind)")
        }
    }
}

extension VectorIndexing {
    func encode(into writer: inout ByteWriter) {
        writer.writeByte(kind.rawValue)
        writer.writeByte(codes.rawValue)
        writer.writeByte(rerank.rawValue)
        writer.writeByte(storage.rawValue)
        for number in [m, efConstruction, efSearch, lists, probes] {
            writer.writeVarint(UInt64(number))
        }
    }

    static func decode(from reader: inout RecordReader) throws(StoreError) -> VectorIndexing {
        let raw = (
            try reader.byte(), try reader.byte(), try reader.byte(), try reader.byte()
        )
        guard let kind = VectorIndexKind(rawValue: raw.0), let codes = VectorCodes(rawValue: raw.1),
            let rerank = VectorRerank(rawValue: raw.2),
            let storage = VectorStorage(rawValue: raw.3)
        else { throw reader.malformed("indexing \(raw.0), \(raw.1), \(raw.2), \(raw.3)") }
        let (m, efConstruction) = (try reader.varint32(), try reader.varint32())
        let efSearch = try reader.varint32()
        let (lists, probes) = (try reader.varint32(), try reader.varint32())
        return VectorIndexing(
            kind: kind, codes: codes, rerank: rerank, storage: storage, m: m,
            efConstruction: efConstruction, efSearch: efSearch, lists: lists, probes: probes)
    }
}

extension Schema {
    func encode(into writer: inout ByteWriter) {
        writer.writeVarint(UInt64(vectors.count))
        for entry in vectors {
            writer.writeString(entry.name)
            writer.writeVarint(UInt64(entry.value.dimension))
            writer.writeByte(entry.value.metric.rawValue)
            entry.value.indexing.encode(into: &writer)
        }
        writer.writeVarint(UInt64(sparseVectors.count))
        for entry in sparseVectors { writer.writeString(entry.name) }
        writer.writeVarint(UInt64(texts.count))
        for entry in texts {
            writer.writeString(entry.name)
            writer.writeByte(entry.value.analyzer.rawValue)
            writer.writeString(entry.value.language)
            writer.writeFixed64(entry.value.bm25.k1.bitPattern)
            writer.writeFixed64(entry.value.bm25.b.bitPattern)
            entry.value.encodeOptions(into: &writer)
        }
        writer.writeVarint(UInt64(metadata.count))
        for entry in metadata {
            writer.writeString(entry.name)
            writer.writeByte(entry.value.rawValue)
        }
        writer.writeVarint(UInt64(multiVectors.count))
        for entry in multiVectors {
            writer.writeString(entry.name)
            writer.writeVarint(UInt64(entry.value.dimension))
        }
    }

    /// - Parameter version: of the record.
    static func decode(
        from reader: inout RecordReader, version: UInt8
    ) throws(StoreError) -> Schema {
        var schema = Schema()
        schema.vectors = try decodeMap(from: &reader) { reader throws(StoreError) in
            let dimension = try reader.varint32()
            let raw = try reader.byte()
            guard let metric = Metric(rawValue: raw) else {
                throw reader.malformed("metric \(raw)")
            }
            return VectorField(
                dimension: Int(dimension), metric: metric,
                indexing: version < 3 ? .default : try VectorIndexing.decode(from: &reader))
        }
        schema.sparseVectors = try decodeMap(from: &reader, bytesEach: 1) { _ in SparseField() }
        schema.texts = try decodeMap(from: &reader) { reader throws(StoreError) in
            let raw = try reader.byte()
            guard let analyzer = AnalyzerKind(rawValue: raw) else {
                throw reader.malformed("analyser \(raw)")
            }
            let language = try reader.string()
            let k1 = Double(bitPattern: try reader.fixed64())
            let b = Double(bitPattern: try reader.fixed64())
            var field = TextField(
                analyzer: analyzer, language: language, bm25: BM25Parameters(k1: k1, b: b))
            if version >= 4 { try field.decodeOptions(from: &reader) }
            return field
        }
        schema.metadata = try decodeMap(from: &reader) { reader throws(StoreError) in
            let raw = try reader.byte()
            guard let type = ValueType(rawValue: raw) else { throw reader.malformed("type \(raw)") }
            return type
        }
        guard version >= 5 else { return schema }
        schema.multiVectors = try decodeMap(from: &reader) { reader throws(StoreError) in
            MultiVectorField(dimension: Int(try reader.varint32()))
        }
        return schema
    }
}

/// Options of some vector fields, for a snapshot: varint count, then name and indexing of each, in
/// strictly rising order of names.
extension FieldMap where Value == VectorIndexing {
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 16 + count * 48)
        writer.writeVarint(UInt64(count))
        for entry in self {
            writer.writeString(entry.name)
            entry.value.encode(into: &writer)
        }
        return writer.bytes
    }

    public init(decoding bytes: [UInt8]) throws(StoreError) {
        var reader = RecordReader(bytes, range: 0..<bytes.count, subject: "options of vectors")
        self = try decodeMap(from: &reader) { reader throws(StoreError) in
            try VectorIndexing.decode(from: &reader)
        }
        try reader.end()
    }
}

/// The catalog as its records add up.
public struct CatalogState: Equatable, Sendable {
    public private(set) var collections: [CollectionID: CollectionDescription] = [:]
    /// The lowest id not yet given out.
    public private(set) var nextID = CollectionID(1)
    /// Of the latest change; zero where none tells.
    public private(set) var seq = Sequence.zero
    /// Of collections that have learnt something.
    public private(set) var tunings: [CollectionID: TuningHistory] = [:]

    public init() {}

    /// - Throws: `.malformed` when the record does not follow from those before it.
    public mutating func apply(_ record: CatalogRecord) throws(StoreError) {
        switch record {
        case .created(let id, let scope, let schemaVersion, let schema, let durability):
            guard collections[id] == nil else {
                throw .malformed("catalog: collection id \(id.raw) is given out twice")
            }
            collections[id] = CollectionDescription(
                scope: scope, id: id, schemaVersion: schemaVersion, schema: schema,
                durability: durability)
            nextID = max(nextID, CollectionID(id.raw + 1))
        case .schemaChanged(let id, let schemaVersion, let schema):
            guard let known = collections[id], known.schemaVersion < schemaVersion else {
                throw .malformed(
                    "catalog: schema version \(schemaVersion) of collection id \(id.raw)")
            }
            collections[id]?.schemaVersion = schemaVersion
            collections[id]?.schema = schema
        case .dropped(let id):
            guard collections.removeValue(forKey: id) != nil else {
                throw .malformed("catalog: collection id \(id.raw) is dropped and was not there")
            }
            tunings[id] = nil
        case .nextID(let id):
            nextID = max(nextID, id)
        case .moment(let moment):
            seq = max(seq, moment)
        case .retention(let id, let millis):
            guard collections[id] != nil else {
                throw .malformed("catalog: a retention of collection id \(id.raw), not there")
            }
            collections[id]?.retentionMillis = millis
        case .tunings(let id, let history):
            guard collections[id] != nil else {
                throw .malformed("catalog: a tuning of collection id \(id.raw), which is not there")
            }
            tunings[id] = history
        }
    }

    /// The shortest list of records that adds up to this.
    public var records: [CatalogRecord] {
        let created = collections.values.sorted { $0.id < $1.id }.map { collection in
            CatalogRecord.created(
                collection.id, collection.scope, schemaVersion: collection.schemaVersion,
                collection.schema, durability: collection.durability)
        }
        let retentions = collections.values.sorted { $0.id < $1.id }
            .filter { $0.retentionMillis > 0 }
            .map { CatalogRecord.retention($0.id, millis: $0.retentionMillis) }
        let moment: [CatalogRecord] = seq > .zero ? [.moment(seq)] : []
        let learned = tunings.sorted { $0.key < $1.key }.map { CatalogRecord.tunings($0, $1) }
        return moment + created + retentions + learned + [.nextID(nextID)]
    }
}
