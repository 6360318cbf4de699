// One log segment read to its end whatever lies between: the batches that are whole, the places
// where there should be one and is none, and where the log ends.
//
// Behind a damaged batch the next one is found by its magic, checksum and position. It belongs to
// the log, and is not what a crash left behind a torn batch, in three cases:
// - its LSN lies below one that is known to be synced: what was there then is there now, and was
//   never cut;
// - it names its own LSN as synced, and something is missing before it: leftovers of a crash name none
//   above the cut, which lies before them;
// - its chain continues a batch of which this is known.
import KyroBytes

struct SegmentScan {
    /// Bytes where the log has batches that cannot be read.
    struct Hole: Equatable {
        var offset: Int
        var lsn: LSN
        var end: LSN
        var finding: String
    }

    let bytes: [UInt8]
    let header: SegmentHeader
    private(set) var batches: [WalkedBatch] = []
    private(set) var holes: [Hole] = []
    /// The highest LSN that is known to have been synced.
    private(set) var synced: LSN
    /// Where the log goes on, or the next segment begins.
    private(set) var end: LSN
    /// What lies at the end is no clean end.
    private(set) var tearOffset: Int?
    private(set) var isSealed = false
    private var chain: UInt32?

    /// - Parameters:
    ///   - end: where the next segment begins, if there is one.
    ///   - known: below this everything was synced, as a snapshot or a later segment tells.
    init(_ bytes: [UInt8], _ header: SegmentHeader, end nextBase: LSN?, known: LSN) {
        self.bytes = bytes
        self.header = header
        synced = max(known, header.base)
        end = header.base
        chain = header.chain
        let candidates = Self.candidates(bytes, header, end: nextBase)
        for batch in candidates { synced = max(synced, batch.header.synced) }
        if let nextBase { synced = max(synced, nextBase) }
        follow(candidates, end: nextBase)
        finish(end: nextBase)
    }

    func offset(of lsn: LSN) -> Int {
        SegmentHeader.byteCount + Int(clamping: lsn.raw - header.base.raw)
    }

    /// Every valid batch at its own position, in order.
    private static func candidates(
        _ bytes: [UInt8], _ header: SegmentHeader, end: LSN?
    ) -> [WalkedBatch] {
        var found: [WalkedBatch] = []
        let first = UInt8(truncatingIfNeeded: BatchHeader.magic(header.version))
        var offset = SegmentHeader.byteCount
        while offset + BatchHeader.byteCount(header.version) <= bytes.count {
            let lsn = header.base + (offset - SegmentHeader.byteCount)
            if let end, lsn >= end { break }
            if bytes[offset] == first,
                let batch = BatchHeader.decode(
                    bytes, at: offset, version: header.version, expecting: lsn)
            {
                found.append(WalkedBatch(header: batch, offset: offset))
            }
            offset += BatchHeader.alignment
        }
        return found
    }

    /// Joins the candidates that belong to the log and notes what lies between.
    private mutating func follow(_ candidates: [WalkedBatch], end nextBase: LSN?) {
        for batch in candidates {
            let lsn = batch.header.lsn
            // A batch's payload may look like a batch.
            guard lsn >= end else { continue }
            if let nextBase, batch.endLSN > nextBase { continue }
            let continues = lsn == end && chain == batch.header.chain
            let isProven = lsn < synced || (lsn > end && batch.header.synced == lsn)
            guard continues || isProven else { continue }
            if lsn > end {
                addHole(to: lsn, "no readable batch")
            } else if !continues, chain != nil {
                holes.append(
                    Hole(
                        offset: batch.offset, lsn: lsn, end: lsn,
                        finding: "the batch does not continue the one before it"))
            }
            batches.append(batch)
            end = batch.endLSN
            chain = batch.header.crc
            isSealed = batch.header.isSeal
        }
    }

    private mutating func finish(end nextBase: LSN?) {
        if let nextBase {
            if end < nextBase { addHole(to: nextBase, "no readable batch") }
            end = max(end, nextBase)
            return
        }
        if end < synced {
            addHole(to: synced, "no readable batch, though LSN \(synced) was synced")
            end = synced
            return
        }
        let offset = offset(of: end)
        let rest = bytes[
            min(
                bytes.count, offset)..<min(
                    bytes.count, offset + LogBatch.terminatorCount)]
        if !rest.allSatisfy({ $0 == 0 }) { tearOffset = offset }
    }

    private mutating func addHole(to lsn: LSN, _ finding: String) {
        holes.append(Hole(offset: offset(of: end), lsn: end, end: lsn, finding: finding))
        chain = nil
        isSealed = false
    }

    /// CRC field of the last batch, when nothing is missing before it.
    var lastChain: UInt32? { chain }

    /// Where each record of a batch lies.
    func records(of batch: WalkedBatch) throws(StoreError) -> [Range<Int>] {
        try BatchWalk(bytes, header).records(of: batch)
    }
}

extension SegmentHeader {
    /// What the header of a segment said, told by the batches in it; nil when none is whole.
    /// Older uses of the file have lower LSNs, so that the highest base counts.
    static func inferred(
        from bytes: [UInt8], identity: LogIdentity, ordinal: UInt64
    ) -> SegmentHeader? {
        var best: SegmentHeader?
        var offset = byteCount
        while offset + BatchHeader.byteCount <= bytes.count {
            defer { offset += BatchHeader.alignment }
            for version in FilePrefix.segment.versions {
                guard let lsn = BatchHeader.lsn(in: bytes, at: offset, version: version),
                    lsn.raw >= UInt64(offset - byteCount),
                    BatchHeader.decode(bytes, at: offset, version: version, expecting: lsn) != nil
                else { continue }
                let base = LSN(lsn.raw - UInt64(offset - byteCount))
                guard best.map({ base > $0.base }) ?? true else { continue }
                best = SegmentHeader(
                    version: version, identity: identity, ordinal: ordinal, base: base, chain: 0,
                    wallMillis: 0)
            }
        }
        return best
    }
}

extension BatchHeader {
    /// The LSN that stands at a place where a batch may begin; nil where none does.
    static func lsn(in bytes: [UInt8], at offset: Int, version: UInt32) -> LSN? {
        guard bytes.count - offset >= byteCount(version) else { return nil }
        var word: UInt64 = 0
        for i in 0..<4 { word |= UInt64(bytes[offset + i]) << (8 * UInt64(i)) }
        guard word == UInt64(magic(version)) else { return nil }
        var lsn: UInt64 = 0
        for i in 0..<8 { lsn |= UInt64(bytes[offset + 16 + i]) << (8 * UInt64(i)) }
        return LSN(lsn)
    }
}
