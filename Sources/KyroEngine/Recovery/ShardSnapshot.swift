// A shard's snapshot, version 3: which sections there are. Document data is kept apart from what
// can be derived from it, so that damage to the latter costs time and nothing else.
//
//   shard               u32 version, 2 · i64 wall time, Unix ms · varint collections · varint producers
//                         per collection: varint id, varint rows, and three lists of names
//                           (vectors, sparse vectors, texts): varint count, then varint length + UTF-8
//                         per producer: varint collection id, varint length + UTF-8, varint sequence
//   times               derived: when sequences were committed (CommitTimes.swift); left out where no
//                         collection keeps dead versions
//   rows-ID             document data: RowSections.swift
//   horizon-ID          document data: u64 sequence: versions that died at or below it were dropped
//                         by a rebuild; the section is left out where none was
//   indexing-ID         document data: options that the vector indexes were made with, which are
//                         not those of the schema while a change is under way; the section is left
//                         out, and a field is left out of it, where they are the defaults
//   vectors-ID-NAME     document data: rows of a VectorIndex
//   codes-ID-NAME       derived: codes of a VectorIndex, where they were trained or stand for rows
//   graph-ID-NAME       derived: graph or inverted lists of a VectorIndex
//   metadata-ID         derived: MetadataIndex
//   sparse-ID-NAME      derived: SparseIndex
//   text-ID-NAME        derived: TextIndex
//
// Version 2 differs in `vectors` alone (VectorIndex+Snapshot.swift). Version 1 has no wall time, rows
// of another shape (RowSections1.swift), and instead of `vectors` and `graph` one section
// vector-ID-NAME (VectorIndex+Snapshot1.swift).
import KyroBytes
import KyroIndex
import KyroModel
import KyroStore

/// What the section `shard` says of one collection.
struct SnapshotContents {
    struct CollectionPart {
        var id: CollectionID
        var slotCount: Int
        var vectors: [String]
        var sparse: [String]
        var texts: [String]
    }

    static let version: UInt32 = 2
    static let section = "shard"

    /// When the snapshot was taken; zero in version 1.
    var wallMillis: Int64 = 0

    var collections: [CollectionPart] = []
    var producers: [ProducerKey: UInt64] = [:]

    static let times = "times"
    static func rows(_ id: CollectionID) -> String { "rows-\(id.raw)" }
    static func horizon(_ id: CollectionID) -> String { "horizon-\(id.raw)" }
    static func indexing(_ id: CollectionID) -> String { "indexing-\(id.raw)" }
    static func metadata(_ id: CollectionID) -> String { "metadata-\(id.raw)" }
    static func vectors(_ id: CollectionID, _ name: String) -> String {
        "vectors-\(id.raw)-\(name)"
    }
    static func codes(_ id: CollectionID, _ name: String) -> String { "codes-\(id.raw)-\(name)" }
    static func graph(_ id: CollectionID, _ name: String) -> String { "graph-\(id.raw)-\(name)" }
    /// Version 1 alone.
    static func vector(_ id: CollectionID, _ name: String) -> String { "vector-\(id.raw)-\(name)" }
    static func sparse(_ id: CollectionID, _ name: String) -> String { "sparse-\(id.raw)-\(name)" }
    static func text(_ id: CollectionID, _ name: String) -> String { "text-\(id.raw)-\(name)" }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 1_024)
        writer.writeFixed32(Self.version)
        writer.writeFixed64(UInt64(bitPattern: wallMillis))
        writer.writeVarint(UInt64(collections.count))
        writer.writeVarint(UInt64(producers.count))
        for part in collections {
            writer.writeVarint(UInt64(part.id.raw))
            writer.writeVarint(UInt64(part.slotCount))
            for names in [part.vectors, part.sparse, part.texts] {
                writer.writeVarint(UInt64(names.count))
                for name in names { writer.writeLengthAndUTF8(name) }
            }
        }
        // In their order, so that the same state gives the same bytes.
        for (key, sequence) in producers.sorted(by: { $0.key < $1.key }) {
            writer.writeVarint(UInt64(key.collection.raw))
            writer.writeLengthAndUTF8(key.producer)
            writer.writeVarint(sequence)
        }
        return writer.bytes
    }

    init(
        wallMillis: Int64, collections: [CollectionPart], producers: [ProducerKey: UInt64]
    ) {
        self.wallMillis = wallMillis
        self.collections = collections
        self.producers = producers
    }

    init(decoding bytes: [UInt8]) throws(KyroError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let version = try reader.readFixed32()
            guard version == 1 || version == Self.version else { throw ByteError.truncated }
            if version > 1 { wallMillis = Int64(bitPattern: try reader.readFixed64()) }
            let collectionCount = try reader.readVarint()
            let producerCount = try reader.readVarint()
            for _ in 0..<collectionCount {
                let id = CollectionID(UInt32(truncatingIfNeeded: try reader.readVarint()))
                let slotCount = try reader.readCount(max: Int(UInt32.max))
                let vectors = try reader.readNames()
                let sparse = try reader.readNames()
                collections.append(
                    CollectionPart(
                        id: id, slotCount: slotCount, vectors: vectors, sparse: sparse,
                        texts: try reader.readNames()))
            }
            for _ in 0..<producerCount {
                let id = CollectionID(UInt32(truncatingIfNeeded: try reader.readVarint()))
                let name = try reader.readLengthAndString()
                producers[ProducerKey(collection: id, producer: name)] = try reader.readVarint()
            }
        } catch {
            throw Self.damaged("section \(Self.section) does not decode: \(error)")
        }
    }

    static func damaged(_ what: String) -> KyroError {
        KyroError(.internal, "the checksums hold, but \(what)")
    }
}

extension ByteWriter {
    mutating func writeLengthAndUTF8(_ text: String) {
        writeVarint(UInt64(text.utf8.count))
        writeUTF8(text)
    }
}

extension ByteReader {
    mutating func readCount(max: Int) throws(ByteError) -> Int {
        let value = try readVarint()
        guard value <= UInt64(max) else { throw .truncated }
        return Int(value)
    }

    mutating func readLengthAndString() throws(ByteError) -> String {
        try readString(count: try readCount(max: remaining))
    }

    mutating func readNames() throws(ByteError) -> [String] {
        var names: [String] = []
        for _ in 0..<(try readCount(max: Limits.fieldsMax)) {
            names.append(try readLengthAndString())
        }
        return names
    }
}
