// The bytes of a log: what a segment file and a batch look like, and when a batch is valid.
//
// A log is a stream of batches; an LSN is a position in that stream, in bytes. The stream is cut
// into segment files, which are written in advance, filled in order and used again, so that what
// lies behind the last batch of a segment may be an older segment's content.
//
// Segment header, 64 bytes:
//    0  16  "KYROLOG", version 2, CRC-32C: see FilePrefix.swift
//   16  16  id of the data directory
//   32   4  shard; 0xFFFFFFFF for the catalog
//   36   4  CRC field of the last batch before this segment, 0 at the start of the log
//   40   8  ordinal of the segment
//   48   8  LSN of the segment's first batch; everything below it was synced before this was written
//   56   8  wall time of the last batch before this segment, as in a batch; 0 when there is none
//
// Batch, begins at a multiple of 8:
//    0   4  "KYB2"
//    4   4  CRC-32C of bytes 8 ..< 48 + payload + padding
//    8   4  payload bytes
//   12   4  number of records
//   16   8  LSN of the batch's first byte
//   24   8  LSN below which everything was synced when the batch was written
//   32   4  CRC field of the batch before it: the chain
//   36   4  flags; bit 0: seal
//   40   8  wall time when it was written, Unix ms; never lower than the one of the batch before
//   48      payload: per record u32 length and the record; then zeros up to a multiple of 8
//
// Version 1, read and no longer written: a batch begins with "KYB1", has no wall time, and its
// payload begins at 40; byte 56 of the segment header is zero. A segment has batches of its own
// version alone: the first append behind one of version 1 begins a new segment.
//
// Behind the last batch stand 8 zero bytes where there is room, overwritten by the next batch.
//
// A batch is valid when magic and CRC hold, its LSN is that of its position, and its chain is the
// CRC of the batch before. Position rejects what an older use of the file left there; the chain
// rejects what a crash left behind a torn batch after that one was cut and written anew at the same
// length. For proof of what was synced the chain is not asked: a batch that survives a cut at LSN t
// names no synced LSN above t, or the cut would have been damage.
import KyroBytes

/// A position in a log's stream of batches, in bytes. Grows with every batch and is never reused
/// for a batch that was synced.
public struct LSN: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let raw: UInt64

    public init(_ raw: UInt64) { self.raw = raw }

    public static let zero = LSN(0)

    public static func < (a: LSN, b: LSN) -> Bool { a.raw < b.raw }

    public static func + (a: LSN, byteCount: Int) -> LSN { LSN(a.raw + UInt64(byteCount)) }

    public var description: String { String(raw) }
}

/// Distinguishes data directories, so that a file moved from one to another is noticed.
public struct DirectoryID: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public var description: String {
        let digits = [high, low].map { word in
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits.joined()
    }
}

/// Whose log it is.
public struct LogIdentity: Hashable, Sendable {
    public var directory: DirectoryID
    public var shard: UInt32

    public init(directory: DirectoryID, shard: UInt32) {
        self.directory = directory
        self.shard = shard
    }

    static let catalogShard = UInt32.max
}

/// When a log is synced; the shard's writer acts on it.
public enum FsyncPolicy: Equatable, Sendable {
    /// Before every acknowledgement.
    case always
    case interval(millis: Int64)
    case never
}

struct SegmentHeader: Equatable {
    static let byteCount = 64

    var version = FilePrefix.segment.versions.upperBound
    var identity: LogIdentity
    var ordinal: UInt64
    var base: LSN
    var chain: UInt32
    /// Unix milliseconds; 0 when it is not known.
    var wallMillis: Int64

    /// Whether what is written today may stand in it.
    var isCurrent: Bool { version == FilePrefix.segment.versions.upperBound }

    func encode() -> [UInt8] {
        var writer = FilePrefix.segment.begin(capacity: Self.byteCount)
        writer.writeFixed64(identity.directory.high)
        writer.writeFixed64(identity.directory.low)
        writer.writeFixed32(identity.shard)
        writer.writeFixed32(chain)
        writer.writeFixed64(ordinal)
        writer.writeFixed64(base.raw)
        writer.writeFixed64(UInt64(bitPattern: wallMillis))
        FilePrefix.segment.seal(&writer)
        return writer.bytes
    }

    /// - Throws: `.damaged` or `.newerFormat` for `path`.
    static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> SegmentHeader {
        guard bytes.count == byteCount else {
            throw FilePrefix.segment.damage(path, 0, "\(bytes.count) bytes of a header")
        }
        let version = try FilePrefix.segment.check(bytes, path: path)
        var reader = RecordReader(
            bytes, range: FilePrefix.byteCount..<byteCount, subject: "log segment header")
        let directory = DirectoryID(high: try reader.fixed64(), low: try reader.fixed64())
        let shard = try reader.fixed32()
        let chain = try reader.fixed32()
        return SegmentHeader(
            version: version, identity: LogIdentity(directory: directory, shard: shard),
            ordinal: try reader.fixed64(), base: LSN(try reader.fixed64()), chain: chain,
            wallMillis: Int64(bitPattern: try reader.fixed64()))
    }
}

struct BatchHeader: Equatable {
    /// Of the batches that are written.
    static let byteCount = 48
    static let magic: UInt32 = 0x3242_594B  // "KYB2"
    static let alignment = 8
    static let sealFlag: UInt32 = 1

    /// Of the segment that the batch stands in.
    var version: UInt32
    var crc: UInt32
    var payloadCount: Int
    var recordCount: Int
    var lsn: LSN
    var synced: LSN
    var chain: UInt32
    var isSeal: Bool
    /// Unix milliseconds; 0 when the batch is of version 1.
    var wallMillis: Int64

    /// Header, payload and padding.
    var byteCount: Int { Self.paddedCount(Self.byteCount(version) + payloadCount) }

    static func paddedCount(_ count: Int) -> Int { (count + alignment - 1) & ~(alignment - 1) }

    /// Bytes before the payload.
    static func byteCount(_ version: UInt32) -> Int { version == 1 ? 40 : byteCount }

    static func magic(_ version: UInt32) -> UInt32 { version == 1 ? 0x3142_594B : magic }

    /// The batch at `offset`, if its magic, length, checksum and LSN hold.
    static func decode(
        _ bytes: [UInt8], at offset: Int, version: UInt32, expecting lsn: LSN
    ) -> BatchHeader? {
        let headerCount = byteCount(version)
        guard bytes.count - offset >= headerCount, fixed32(bytes, offset) == magic(version) else {
            return nil
        }
        let payloadCount = Int(fixed32(bytes, offset + 8))
        guard payloadCount <= bytes.count - offset - headerCount else { return nil }
        let header = BatchHeader(
            version: version, crc: fixed32(bytes, offset + 4), payloadCount: payloadCount,
            recordCount: Int(fixed32(bytes, offset + 12)), lsn: LSN(fixed64(bytes, offset + 16)),
            synced: LSN(fixed64(bytes, offset + 24)), chain: fixed32(bytes, offset + 32),
            isSeal: fixed32(bytes, offset + 36) & sealFlag != 0,
            wallMillis: version == 1 ? 0 : Int64(bitPattern: fixed64(bytes, offset + 40)))
        guard header.lsn == lsn, offset + header.byteCount <= bytes.count else { return nil }
        guard header.crc == crc32c(bytes, range: (offset + 8)..<(offset + header.byteCount)) else {
            return nil
        }
        return header
    }

    private static func fixed32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        var value: UInt32 = 0
        for i in 0..<4 { value |= UInt32(bytes[offset + i]) << (8 * UInt32(i)) }
        return value
    }

    private static func fixed64(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        UInt64(fixed32(bytes, offset)) | UInt64(fixed32(bytes, offset + 4)) << 32
    }
}
