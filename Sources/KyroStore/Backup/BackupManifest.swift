// What a backup consists of, and how far the archive reaches: small files, written last.
//
//    0  16  "KYROBKM", version 1, CRC-32C of everything: see FilePrefix.swift
//   16   4  bytes of payload behind this field
//   20      payload:
//           u8        1 full, 2 incremental, 3 archive
//           u64       number of the backup, or of the archive's run
//           u64       incremental: the backup before it; 0 otherwise
//           u64 u64   id of the data directory
//           u64       seq: every shard's state at it can be restored
//           i64       wall time when that seq was taken, Unix ms
//           u64       bytes that this backup has added to the repository
//           u64       full: nothing below this seq can be restored from its snapshots
//           u64 u64   catalog: ordinal of its file, entries of it that count
//           varint    number of shards; for each:
//                        u64 u64  log range [from, to) that it needs, LSNs
//                        u8 0, or u8 1 and the snapshot at its start: u64 seq, u64 LSN,
//                          u64 bytes of its file in the repository
//
// Ranges of the log are named by their LSNs and not by files: files hold what lies between two
// LSNs, and may be put together into larger ones while backups go on needing the range.
import KyroBytes
import KyroModel
import KyroPlatform

public struct BackupManifest: Equatable, Sendable {
    public enum Kind: UInt8, Sendable {
        case full = 1
        case incremental = 2
        case archive = 3
    }

    public struct Snapshot: Equatable, Sendable {
        public var seq: Sequence
        public var lsn: LSN
        public var storedBytes: UInt64

        public init(seq: Sequence, lsn: LSN, storedBytes: UInt64) {
            self.seq = seq
            self.lsn = lsn
            self.storedBytes = storedBytes
        }
    }

    public struct Shard: Equatable, Sendable {
        public var from: LSN
        public var to: LSN
        public var snapshot: Snapshot?

        public init(from: LSN, to: LSN, snapshot: Snapshot? = nil) {
            self.from = from
            self.to = to
            self.snapshot = snapshot
        }
    }

    public var kind: Kind
    public var id: UInt64
    /// 0 when there is none.
    public var parent: UInt64 = 0
    public var directory: DirectoryID
    public var seq: Sequence
    public var wallMillis: Int64
    public var addedBytes: UInt64 = 0
    public var catalogOrdinal: UInt64 = 0
    public var catalogCount: UInt64 = 0
    /// Of a full backup: its snapshots hold records up to here, and lack collections dropped below.
    public var baseSeq = Sequence.zero
    public var shards: [Shard] = []

    public init(
        kind: Kind, id: UInt64, directory: DirectoryID, seq: Sequence, wallMillis: Int64
    ) {
        self.kind = kind
        self.id = id
        self.directory = directory
        self.seq = seq
        self.wallMillis = wallMillis
    }

    static let prefix = FilePrefix(
        magic: "KYROBKM", versions: 1...1, subject: "a backup's manifest", affected: "this backup")
    static let prefixCount = 20
    static let backupPrefix = "backup-"
    static let archivePrefix = "archive-"

    public var fileName: String {
        (kind == .archive ? Self.archivePrefix : Self.backupPrefix) + hex16(id)
    }

    func encode() -> [UInt8] {
        var writer = Self.prefix.begin(capacity: 128 + shards.count * 48)
        writer.writeFixed32(0)
        writer.writeByte(kind.rawValue)
        writer.writeFixed64(id)
        writer.writeFixed64(parent)
        writer.writeFixed64(directory.high)
        writer.writeFixed64(directory.low)
        writer.writeFixed64(seq.raw)
        writer.writeFixed64(UInt64(bitPattern: wallMillis))
        writer.writeFixed64(addedBytes)
        writer.writeFixed64(baseSeq.raw)
        writer.writeFixed64(catalogOrdinal)
        writer.writeFixed64(catalogCount)
        writer.writeVarint(UInt64(shards.count))
        for shard in shards {
            writer.writeFixed64(shard.from.raw)
            writer.writeFixed64(shard.to.raw)
            writer.writeByte(shard.snapshot == nil ? 0 : 1)
            guard let snapshot = shard.snapshot else { continue }
            writer.writeFixed64(snapshot.seq.raw)
            writer.writeFixed64(snapshot.lsn.raw)
            writer.writeFixed64(snapshot.storedBytes)
        }
        writer.patchFixed32(UInt32(writer.count - Self.prefixCount), at: 16)
        Self.prefix.seal(&writer)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> BackupManifest {
        try prefix.check(bytes, path: path)
        do throws(StoreError) {
            return try decodePayload(bytes)
        } catch {
            throw prefix.damage(path, UInt64(prefixCount), "the checksum holds, but \(error)")
        }
    }

    private static func decodePayload(_ bytes: [UInt8]) throws(StoreError) -> BackupManifest {
        var reader = RecordReader(
            bytes, range: FilePrefix.byteCount..<bytes.count, subject: "backup manifest")
        let payloadCount = try reader.fixed32()
        guard Int(payloadCount) == bytes.count - prefixCount else {
            throw reader.malformed("\(payloadCount) bytes are announced in \(bytes.count)")
        }
        guard let kind = Kind(rawValue: try reader.byte()) else {
            throw reader.malformed("a kind of backup that is not known")
        }
        let id = try reader.fixed64()
        let parent = try reader.fixed64()
        let directory = DirectoryID(high: try reader.fixed64(), low: try reader.fixed64())
        let seq = Sequence(try reader.fixed64())
        var manifest = BackupManifest(
            kind: kind, id: id, directory: directory, seq: seq,
            wallMillis: Int64(bitPattern: try reader.fixed64()))
        manifest.parent = parent
        manifest.addedBytes = try reader.fixed64()
        manifest.baseSeq = Sequence(try reader.fixed64())
        manifest.catalogOrdinal = try reader.fixed64()
        manifest.catalogCount = try reader.fixed64()
        for _ in 0..<(try reader.count(bytesEach: 17)) {
            var shard = Shard(from: LSN(try reader.fixed64()), to: LSN(try reader.fixed64()))
            if try reader.byte() == 1 {
                shard.snapshot = Snapshot(
                    seq: Sequence(try reader.fixed64()), lsn: LSN(try reader.fixed64()),
                    storedBytes: try reader.fixed64())
            }
            manifest.shards.append(shard)
        }
        try reader.end()
        guard !manifest.shards.isEmpty else { throw reader.malformed("no shard") }
        return manifest
    }
}
