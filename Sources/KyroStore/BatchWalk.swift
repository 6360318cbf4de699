// Walks the batches of one segment and judges where and why they end.
import KyroBytes

/// One valid batch and where its payload lies.
struct WalkedBatch {
    var header: BatchHeader
    var offset: Int

    var payload: Range<Int> {
        let start = offset + BatchHeader.byteCount(header.version)
        return start..<(start + header.payloadCount)
    }

    var endLSN: LSN { header.lsn + header.byteCount }
}

struct BatchWalk {
    enum Ending {
        /// Zeros, or no room for a header.
        case clean
        /// Bytes that are not the next batch.
        case unreadable
    }

    let bytes: [UInt8]
    let segment: SegmentHeader
    private(set) var offset = SegmentHeader.byteCount
    private(set) var chain: UInt32
    /// The highest LSN that a valid batch names as synced.
    private(set) var synced: LSN
    private(set) var lastIsSeal = false
    /// Of the last batch, or of those before the segment; 0 when it is not known.
    private(set) var wallMillis: Int64

    init(_ bytes: [UInt8], _ segment: SegmentHeader) {
        self.bytes = bytes
        self.segment = segment
        chain = segment.chain
        synced = segment.base
        wallMillis = segment.wallMillis
    }

    /// Where the next batch belongs.
    var lsn: LSN { lsn(at: offset) }

    private func lsn(at offset: Int) -> LSN { segment.base + (offset - SegmentHeader.byteCount) }

    /// Steps over the next valid batch.
    mutating func next() -> WalkedBatch? {
        guard
            let header = BatchHeader.decode(
                bytes, at: offset, version: segment.version, expecting: lsn),
            header.chain == chain
        else { return nil }
        let batch = WalkedBatch(header: header, offset: offset)
        offset += header.byteCount
        chain = header.crc
        synced = max(synced, header.synced)
        lastIsSeal = header.isSeal
        wallMillis = max(wallMillis, header.wallMillis)
        return batch
    }

    /// What stands where `next` found no batch.
    var ending: Ending {
        let rest = bytes[offset..<min(bytes.count, offset + LogBatch.terminatorCount)]
        return rest.allSatisfy { $0 == 0 } ? .clean : .unreadable
    }

    /// The highest LSN that any valid batch behind this point names as synced, and where it is.
    func proofOfSyncBehind() -> (synced: LSN, offset: Int)? {
        var proof: (synced: LSN, offset: Int)?
        var position = offset + BatchHeader.alignment
        while position + BatchHeader.byteCount(segment.version) <= bytes.count {
            if bytes[position] == UInt8(truncatingIfNeeded: BatchHeader.magic),
                let header = BatchHeader.decode(
                    bytes, at: position, version: segment.version,
                    expecting: lsn(at: position)),
                header.synced > proof?.synced ?? .zero
            {
                proof = (header.synced, position)
            }
            position += BatchHeader.alignment
        }
        return proof
    }

    /// Whether what `next` could not read is the torn tail of the last write.
    ///
    /// - Parameters:
    ///   - path: of the segment, which is the last one of its log.
    ///   - known: everything below was synced, as somebody else knows.
    /// - Returns: the tear, nil when the log ends cleanly here.
    /// - Throws: `.damaged` when something below a synced LSN cannot be read.
    func judgeEnd(path: String, known: LSN) throws(StoreError) -> RecoveryReport.Tear? {
        let proof = proofOfSyncBehind()
        let syncedAtLeast = max(synced, known, proof?.synced ?? .zero)
        if lsn < syncedAtLeast {
            let witness = proof.map { ", as the batch at offset \($0.offset) tells" } ?? ""
            throw .damaged(
                StoreError.Damage(
                    path: path, offset: UInt64(offset),
                    finding:
                        "no readable batch, though LSN \(syncedAtLeast) was synced\(witness)",
                    affected:
                        "records from LSN \(lsn) on, which were acknowledged up to \(syncedAtLeast)"
                ))
        }
        guard ending == .unreadable else { return nil }
        return RecoveryReport.Tear(path: path, offset: UInt64(offset), lsn: lsn)
    }

    /// Where each record of a batch lies.
    func records(of batch: WalkedBatch) throws(StoreError) -> [Range<Int>] {
        var reader = RecordReader(bytes, range: batch.payload, subject: "log batch")
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(min(batch.header.recordCount, batch.header.payloadCount / 4))
        while !reader.isAtEnd {
            let count = Int(try reader.fixed32())
            ranges.append(try reader.range(count: count))
        }
        guard ranges.count == batch.header.recordCount else {
            throw reader.malformed("\(ranges.count) records, not \(batch.header.recordCount)")
        }
        return ranges
    }
}
