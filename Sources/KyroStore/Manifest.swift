// What a data directory consists of. One small file, `MANIFEST`, replaced as a whole.
//
//    0  16  "KYROMAN", version 1, CRC-32C of everything: see FilePrefix.swift
//   16   4  bytes of payload behind this field
//   20      payload:
//           u64 u64   id of the data directory
//           u64       generation, one more with every replacement
//           varint    number of shards; for each:
//                     latest snapshot, snapshot before it; each:
//                        u8 0, or u8 1, string file name, u64 seq, u64 LSN
import KyroBytes
import KyroModel
import KyroPlatform

/// A snapshot file that is complete, and where the log goes on from it.
public struct SnapshotReference: Equatable, Sendable {
    /// Within the shard's directory.
    public var fileName: String
    /// Holds what is visible at this sequence.
    public var seq: Sequence
    /// Replay begins here. Must have been synced before the manifest names it: a log that ends
    /// below is damaged.
    public var lsn: LSN

    public init(fileName: String, seq: Sequence, lsn: LSN) {
        self.fileName = fileName
        self.seq = seq
        self.lsn = lsn
    }
}

public struct ShardManifest: Equatable, Sendable {
    public var snapshot: SnapshotReference?
    /// Kept for a second chance.
    public var previousSnapshot: SnapshotReference?

    public init(snapshot: SnapshotReference? = nil, previousSnapshot: SnapshotReference? = nil) {
        self.snapshot = snapshot
        self.previousSnapshot = previousSnapshot
    }

    /// Where replay begins.
    public var replayLSN: LSN { snapshot?.lsn ?? .zero }
    /// What the log may give up while both snapshots shall stay usable.
    public var truncationLSN: LSN { previousSnapshot?.lsn ?? .zero }
}

public struct Manifest: Equatable, Sendable {
    public static let fileName = "MANIFEST"
    static let unfinishedName = "MANIFEST.new"
    static let prefixCount = 20

    public var directory: DirectoryID
    public var generation: UInt64
    /// By shard number; their count never changes.
    public var shards: [ShardManifest]

    public init(directory: DirectoryID, generation: UInt64 = 1, shards: [ShardManifest]) {
        self.directory = directory
        self.generation = generation
        self.shards = shards
    }

    func encode() -> [UInt8] {
        var writer = FilePrefix.manifest.begin(capacity: 64 + shards.count * 128)
        writer.writeFixed32(0)
        writer.writeFixed64(directory.high)
        writer.writeFixed64(directory.low)
        writer.writeFixed64(generation)
        writer.writeVarint(UInt64(shards.count))
        for shard in shards {
            for snapshot in [shard.snapshot, shard.previousSnapshot] {
                writer.writeByte(snapshot == nil ? 0 : 1)
                guard let snapshot else { continue }
                writer.writeString(snapshot.fileName)
                writer.writeFixed64(snapshot.seq.raw)
                writer.writeFixed64(snapshot.lsn.raw)
            }
        }
        writer.patchFixed32(UInt32(writer.count - Self.prefixCount), at: 16)
        FilePrefix.manifest.seal(&writer)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> Manifest {
        try FilePrefix.manifest.check(bytes, path: path)
        do throws(StoreError) {
            return try decodePayload(bytes)
        } catch {
            throw FilePrefix.manifest.damage(
                path, UInt64(prefixCount), "the checksum holds, but \(error)")
        }
    }

    private static func decodePayload(_ bytes: [UInt8]) throws(StoreError) -> Manifest {
        var reader = RecordReader(
            bytes, range: FilePrefix.byteCount..<bytes.count, subject: "manifest")
        let payloadCount = try reader.fixed32()
        guard Int(payloadCount) == bytes.count - prefixCount else {
            throw reader.malformed("\(payloadCount) bytes are announced in \(bytes.count)")
        }
        let directory = DirectoryID(high: try reader.fixed64(), low: try reader.fixed64())
        let generation = try reader.fixed64()
        var shards: [ShardManifest] = []
        for _ in 0..<(try reader.count(bytesEach: 2)) {
            let latest = try decodeSnapshot(from: &reader)
            let previous = try decodeSnapshot(from: &reader)
            shards.append(ShardManifest(snapshot: latest, previousSnapshot: previous))
        }
        try reader.end()
        guard !shards.isEmpty else { throw reader.malformed("no shard") }
        return Manifest(directory: directory, generation: generation, shards: shards)
    }

    private static func decodeSnapshot(
        from reader: inout RecordReader
    ) throws(StoreError) -> SnapshotReference? {
        guard try reader.byte() == 1 else { return nil }
        return SnapshotReference(
            fileName: try reader.string(), seq: Sequence(try reader.fixed64()),
            lsn: LSN(try reader.fixed64()))
    }

    /// Replaces the manifest in `directory`: write, fsync, rename, fsync of the directory. A stop
    /// in between leaves the old one or the new one.
    func write(to directory: String, _ fileSystem: any FileSystem) throws(StoreError) {
        try prepare(in: directory, fileSystem)
        try Self.install(in: directory, fileSystem)
    }

    /// The first half: an error leaves the old manifest.
    func prepare(in directory: String, _ fileSystem: any FileSystem) throws(StoreError) {
        try storing { () throws(FileError) in
            let file = try fileSystem.open("\(directory)/\(Self.unfinishedName)", .createEmpty)
            try file.write(encode(), at: 0)
            try file.sync()
        }
    }

    /// The second half: an error leaves the old one or the new one.
    static func install(in directory: String, _ fileSystem: any FileSystem) throws(StoreError) {
        try storing { () throws(FileError) in
            do throws(FileError) {
                try fileSystem.rename(
                    "\(directory)/\(unfinishedName)", to: "\(directory)/\(fileName)")
            } catch {
                // Renamed by an attempt that failed to sync the directory.
                if error.errno != .notFound { throw error }
            }
            try fileSystem.syncDirectory(directory)
        }
    }
}
