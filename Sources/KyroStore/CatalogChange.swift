// The catalog's changes with the sequence and the time of each, for whoever restores the past.
import KyroBytes
import KyroModel
import KyroPlatform

public struct CatalogChange: Equatable, Sendable {
    /// One of its own, or that of the latest change before; zero where none is known.
    public var seq: Sequence
    /// Unix milliseconds; 0 when it is not known.
    public var wallMillis: Int64
    public var record: CatalogRecord

    /// Adds a batch's changes to `changes` and to `state`.
    static func read(
        _ walk: BatchWalk, _ batch: WalkedBatch, into changes: inout [CatalogChange],
        _ state: inout CatalogState
    ) throws(StoreError) {
        for range in try walk.records(of: batch) {
            let record = try CatalogRecord.decode(walk.bytes, range: range)
            try state.apply(record)
            if case .moment = record { continue }
            changes.append(
                CatalogChange(
                    seq: state.seq, wallMillis: batch.header.wallMillis, record: record))
        }
    }

    /// The changes in a catalog's file that nobody writes; nothing is changed, and a torn tail is
    /// left out.
    static func read(
        path: String, fileSystem: any FileSystem, id: DirectoryID
    ) throws(StoreError) -> (ordinal: UInt64, changes: [CatalogChange]) {
        let bytes = try storing { () throws(FileError) in
            try fileSystem.open(path, .read).readAll()
        }
        let header = try SegmentHeader.decode(
            Array(bytes.prefix(SegmentHeader.byteCount)), path: path)
        guard header.identity == LogIdentity(directory: id, shard: LogIdentity.catalogShard) else {
            throw FilePrefix.segment.damage(
                path, 16, "the catalog of directory \(header.identity.directory)")
        }
        var walk = BatchWalk(bytes, header)
        var state = CatalogState()
        var changes: [CatalogChange] = []
        while let batch = walk.next() { try read(walk, batch, into: &changes, &state) }
        _ = try walk.judgeEnd(path: path, known: .zero)
        return (header.ordinal, changes)
    }

    /// The state that the changes up to `seq` add up to.
    static func state(
        _ changes: [CatalogChange], upTo seq: Sequence
    ) throws(StoreError) -> CatalogState {
        var state = CatalogState()
        for change in changes where change.seq <= seq {
            if change.seq > .zero { try state.apply(.moment(change.seq)) }
            try state.apply(change.record)
        }
        return state
    }

    // MARK: In a backup: varint count, then per change u64 seq, i64 wall time, varint length, record

    static func encode(_ changes: [CatalogChange]) -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + changes.count * 128)
        writer.writeVarint(UInt64(changes.count))
        for change in changes {
            var record = ByteWriter(capacity: 128)
            change.record.encode(into: &record)
            writer.writeFixed64(change.seq.raw)
            writer.writeFixed64(UInt64(bitPattern: change.wallMillis))
            writer.writeVarint(UInt64(record.count))
            writer.writeBytes(record.bytes)
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(StoreError) -> [CatalogChange] {
        var reader = RecordReader(bytes, range: 0..<bytes.count, subject: "catalog in a backup")
        var changes: [CatalogChange] = []
        for _ in 0..<(try reader.count(bytesEach: 17)) {
            let seq = Sequence(try reader.fixed64())
            let wallMillis = Int64(bitPattern: try reader.fixed64())
            let count = try reader.count(bytesEach: 1)
            let range = try reader.range(count: count)
            changes.append(
                CatalogChange(
                    seq: seq, wallMillis: wallMillis,
                    record: try CatalogRecord.decode(bytes, range: range)))
        }
        try reader.end()
        return changes
    }
}
