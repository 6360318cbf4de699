// A range of a shard's log as the repository keeps it: batches without the form of any log file, so
// that what was archived does not change with the format of the log.
//
// The data of an object of kind log, per batch:
//    u64       LSN of the batch
//    u64       LSN behind it, which is that of the next
//    i64       wall time, Unix ms; 0 when it is not known
//    u8        1 for a seal, 0 otherwise
//    varint    number of records; for each: varint length and the record (LogRecord.swift)
import KyroBytes
import KyroModel
import KyroPlatform

struct ArchivedBatch {
    var lsn: LSN
    var endLSN: LSN
    var wallMillis: Int64
    var isSeal: Bool
    /// In the bytes that the batch was read from.
    var records: [Range<Int>]
}

/// What a record says before its content.
struct RecordHead {
    var collection: CollectionID
    var seq: Sequence
    var hasProducer: Bool
}

extension LogRecord {
    /// The beginning of an encoded record, without its document.
    static func head(_ bytes: [UInt8], _ range: Range<Int>) throws(StoreError) -> RecordHead {
        var reader = RecordReader(bytes, range: range, subject: "log record")
        let version = try reader.byte()
        guard version >= 1, version <= Self.version else {
            throw reader.malformed("encoding version \(version), expected \(Self.version)")
        }
        _ = try reader.byte()
        let collection = CollectionID(try reader.varint32())
        _ = try reader.varint32()
        let seq = Sequence(try reader.fixed64())
        return RecordHead(
            collection: collection, seq: seq, hasProducer: try reader.varint() != 0)
    }
}

/// Collects batches until there is enough for an object.
struct ArchivedLogBuilder {
    private var writer = ByteWriter(capacity: 1 << 16)
    private(set) var from: LSN
    private(set) var to: LSN
    private var chainBefore: UInt32?
    private(set) var chainBehind: UInt32 = 0
    private var firstSeq = Sequence.zero
    private var lastSeq = Sequence.zero
    private var earliestMillis: Int64 = 0
    private var latestMillis: Int64 = 0

    init(from lsn: LSN) {
        from = lsn
        to = lsn
    }

    var isEmpty: Bool { from == to }
    var byteCount: Int { writer.count }

    mutating func add(_ batch: LoggedBatch) throws(StoreError) {
        precondition(batch.lsn == to, "batch \(batch.lsn) behind \(to)")
        if chainBefore == nil { chainBefore = batch.chain }
        chainBehind = batch.crc
        begin(
            ArchivedBatch(
                lsn: batch.lsn, endLSN: batch.endLSN, wallMillis: batch.wallMillis,
                isSeal: batch.isSeal, records: batch.records))
        for range in batch.records { try add(batch.segmentBytes, range) }
    }

    /// A batch from another object.
    mutating func add(_ batch: ArchivedBatch, _ bytes: [UInt8]) throws(StoreError) {
        begin(batch)
        for range in batch.records { try add(bytes, range) }
    }

    private mutating func begin(_ batch: ArchivedBatch) {
        writer.writeFixed64(batch.lsn.raw)
        writer.writeFixed64(batch.endLSN.raw)
        writer.writeFixed64(UInt64(bitPattern: batch.wallMillis))
        writer.writeByte(batch.isSeal ? 1 : 0)
        writer.writeVarint(UInt64(batch.records.count))
        to = batch.endLSN
        guard batch.wallMillis != 0, !batch.isSeal else { return }
        earliestMillis =
            earliestMillis == 0 ? batch.wallMillis : min(earliestMillis, batch.wallMillis)
        latestMillis = max(latestMillis, batch.wallMillis)
    }

    private mutating func add(_ bytes: [UInt8], _ range: Range<Int>) throws(StoreError) {
        let seq = try LogRecord.head(bytes, range).seq
        if firstSeq == .zero { firstSeq = seq }
        lastSeq = max(lastSeq, seq)
        writer.writeVarint(UInt64(range.count))
        writer.writeBytes(bytes, range)
    }

    /// Takes over the ends of objects that are put together.
    mutating func join(chainBefore: UInt32, chainBehind: UInt32) {
        self.chainBefore = self.chainBefore ?? chainBefore
        self.chainBehind = chainBehind
    }

    func header(_ identity: LogIdentity) -> BackupObjectHeader {
        var header = BackupObjectHeader(
            kind: .log, identity: identity, first: from.raw, second: to.raw,
            dataCount: UInt64(writer.count))
        header.chainBefore = chainBefore ?? 0
        header.chainBehind = chainBehind
        header.firstSeq = firstSeq
        header.lastSeq = lastSeq
        header.earliestMillis = earliestMillis
        header.latestMillis = latestMillis
        return header
    }

    var bytes: [UInt8] { writer.bytes }
}

/// Reads an object's batches in order.
struct ArchivedLogReader {
    let bytes: [UInt8]
    private var reader: RecordReader
    private var lsn: LSN
    private let end: LSN

    init(_ bytes: [UInt8], _ header: BackupObjectHeader) {
        self.bytes = bytes
        reader = RecordReader(bytes, range: 0..<bytes.count, subject: "archived log")
        lsn = LSN(header.first)
        end = LSN(header.second)
    }

    mutating func next() throws(StoreError) -> ArchivedBatch? {
        if reader.isAtEnd {
            guard lsn == end else { throw reader.malformed("it ends at LSN \(lsn), not \(end)") }
            return nil
        }
        var batch = ArchivedBatch(
            lsn: LSN(try reader.fixed64()), endLSN: LSN(try reader.fixed64()),
            wallMillis: Int64(bitPattern: try reader.fixed64()), isSeal: try reader.byte() == 1,
            records: [])
        guard batch.lsn == lsn, batch.endLSN > lsn else {
            throw reader.malformed("LSN \(batch.lsn) where \(lsn) belongs")
        }
        for _ in 0..<(try reader.count(bytesEach: 1)) {
            let count = try reader.count(bytesEach: 1)
            batch.records.append(try reader.range(count: count))
        }
        lsn = batch.endLSN
        return batch
    }
}

extension LoggedBatch {
    /// CRC field of the batch, the same place in both versions of LogFormat.swift.
    var crc: UInt32 { fixed32(at: 4) }
    /// CRC field of the batch before it.
    var chain: UInt32 { fixed32(at: 32) }

    private func fixed32(at offset: Int) -> UInt32 {
        let start = range.lowerBound + offset
        return (0..<4).reduce(0) { $0 | UInt32(segmentBytes[start + $1]) << (8 * UInt32($1)) }
    }
}

extension ByteWriter {
    mutating func writeBytes(_ bytes: [UInt8], _ range: Range<Int>) {
        writeBytes(Array(bytes[range]))
    }
}
