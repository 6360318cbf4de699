// Records on their way into a log: encoded into one buffer that is written with one call.
import KyroBytes

/// Header first, filled in when the batch is appended.
public struct LogBatch: ~Copyable {
    private(set) var writer: ByteWriter
    public private(set) var recordCount = 0

    public init(capacity: Int = 4096) {
        writer = ByteWriter(capacity: capacity)
        writer.writeZeros(count: BatchHeader.byteCount)
    }

    public var isEmpty: Bool { recordCount == 0 }
    /// Bytes so far, header included.
    public var byteCount: Int { writer.count }

    public mutating func add(_ record: LogRecord) {
        add { record.encode(into: &$0) }
    }

    mutating func add(_ encode: (inout ByteWriter) -> Void) {
        let start = writer.count
        writer.writeFixed32(0)
        encode(&writer)
        let count = writer.count - start - 4
        precondition(count <= Int(UInt32.max), "a record of \(count) bytes")
        writer.patchFixed32(UInt32(count), at: start)
        recordCount += 1
    }

    /// Pads, fills the header in and adds the terminator.
    ///
    /// - Returns: the batch's bytes without the terminator, and its CRC field.
    mutating func finish(
        lsn: LSN, synced: LSN, chain: UInt32, isSeal: Bool, wallMillis: Int64
    ) -> (byteCount: Int, crc: UInt32) {
        let payloadCount = writer.count - BatchHeader.byteCount
        precondition(payloadCount <= Int(UInt32.max), "a batch of \(payloadCount) bytes")
        let byteCount = BatchHeader.paddedCount(writer.count)
        writer.writeZeros(count: byteCount - writer.count)
        writer.patchFixed32(BatchHeader.magic, at: 0)
        writer.patchFixed32(UInt32(payloadCount), at: 8)
        writer.patchFixed32(UInt32(recordCount), at: 12)
        writer.patchFixed64(lsn.raw, at: 16)
        writer.patchFixed64(synced.raw, at: 24)
        writer.patchFixed32(chain, at: 32)
        writer.patchFixed32(isSeal ? BatchHeader.sealFlag : 0, at: 36)
        writer.patchFixed64(UInt64(bitPattern: wallMillis), at: 40)
        let crc = crc32c(writer.bytes, range: 8..<byteCount)
        writer.patchFixed32(crc, at: 4)
        writer.writeZeros(count: LogBatch.terminatorCount)
        return (byteCount, crc)
    }

    static let terminatorCount = 8
}
