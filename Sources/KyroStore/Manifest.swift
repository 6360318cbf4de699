// What a data directory consists of. One small file, `MANIFEST`, replaced as a whole.
//
//    0   8  "KYROMAN\0"
//    8   4  format version, 1
//   12   4  CRC-32C of bytes 16 to the end
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
    static let magic: [UInt8] = Array("KYROMAN".utf8) + [0]
    static let version: UInt32 = 1
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
        var writer = ByteWriter(capacity: 64 + shards.count * 128)
        writer.writeBytes(Self.magic)
        writer.writeFixed32(Self.version)
        writer.writeFixed32(0)
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
        writer.patchFixed32(crc32c(writer.bytes, range: 16..<writer.count), at: 12)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> Manifest {
        func damage(_ offset: UInt64, _ finding: String) -> StoreError {
            .damaged(
                StoreError.Damage(
                    path: path, offset: offset, finding: finding,
                    affected: "the whole data directory"))
        }
        guard bytes.count >= prefixCount, Array(bytes[0..<8]) == magic else {
            throw damage(0, "not a manifest")
        }
        var prefix = RecordReader(bytes, range: 8..<prefixCount, subject: "manifest")
        let version = try prefix.fixed32()
        let crc = try prefix.fixed32()
        let payloadCount = try prefix.fixed32()
        let isIntact = crc == crc32c(bytes, range: 16..<bytes.count)
        if version > Self.version, isIntact {
            throw .newerFormat(path: path, found: version, supported: Self.version)
        }
        guard isIntact, version == Self.version else {
            throw damage(8, "the checksum is wrong")
        }
        guard Int(payloadCount) == bytes.count - prefixCount else {
            throw damage(16, "\(payloadCount) bytes announced in a file of \(bytes.count)")
        }
        do throws(StoreError) {
            return try decodePayload(bytes)
        } catch {
            throw damage(UInt64(prefixCount), "the checksum holds, but \(error)")
        }
    }

    private static func decodePayload(_ bytes: [UInt8]) throws(StoreError) -> Manifest {
        var reader = RecordReader(bytes, range: prefixCount..<bytes.count, subject: "manifest")
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
        try storing { () throws(FileError) in
            let unfinished = "\(directory)/\(Self.unfinishedName)"
            let file = try fileSystem.open(unfinished, .createEmpty)
            try file.write(encode(), at: 0)
            try file.sync()
            try fileSystem.rename(unfinished, to: "\(directory)/\(Self.fileName)")
            try fileSystem.syncDirectory(directory)
        }
    }
}
