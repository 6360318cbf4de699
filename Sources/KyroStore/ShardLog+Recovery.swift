// What a log tells after a stop, clean or not.
//
// A batch that cannot be read is damage when its LSN lies below an LSN that is known to have been
// synced: named by a later valid batch, by the header of a later segment, or by the manifest (the
// position of a snapshot). Otherwise it is the torn tail of the last write: cut, and reported.
// Damage inside the last synced batch cannot be told from a tear when nothing was written after it;
// a seal closes that gap at a clean stop.
import KyroBytes
import KyroModel
import KyroPlatform

public struct RecoveryReport: Equatable, Sendable {
    public struct Tear: Equatable, Sendable {
        public var path: String
        public var offset: UInt64
        /// Nothing at or above it was kept.
        public var lsn: LSN
    }

    /// Records given to the caller.
    public var recordCount = 0
    /// The highest sequence among them.
    public var lastSeq = Sequence.zero
    /// Where the log goes on.
    public var endLSN = LSN.zero
    /// Of the last batch, in Unix milliseconds; 0 when the log has none that tells it.
    public var lastWallMillis: Int64 = 0
    /// Whether the log was closed cleanly.
    public var wasSealed = false
    /// The cut tail, if the last write was not whole.
    public var tear: Tear?

    public init() {}
}

extension ShardLog {
    /// Finds the segments and reads their headers. Nothing is changed but unfinished spares.
    ///
    /// - Parameter directory: exists; holds one log (and may hold files of other names).
    public static func open(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity,
        options: Options = Options()
    ) throws(StoreError) -> ShardLog {
        let files = SegmentFiles(
            directory, fileSystem, segmentBytes: options.segmentBytes,
            sparesMax: options.sparesMax)
        let log = ShardLog(identity, files, onShortage: options.onShortage)
        for ordinal in try storing({ () throws(FileError) in try files.scan() }) {
            let path = files.path(ordinal: ordinal)
            let (file, size, bytes) = try storing { () throws(FileError) in
                let file = try fileSystem.open(path, .readWrite)
                return (
                    file, try file.size(), try file.read(at: 0, count: SegmentHeader.byteCount)
                )
            }
            let header = try SegmentHeader.decode(bytes, path: path)
            guard header.identity == identity, header.ordinal == ordinal else {
                throw log.damage(
                    path, 16,
                    """
                    a segment of directory \(header.identity.directory), shard \
                    \(header.identity.shard), number \(header.ordinal)
                    """, "every record of this segment")
            }
            log.segments.append(
                Segment(header: header, path: path, file: file, capacity: size))
            log.segmentFileBytes.add(size, ordering: .relaxed)
        }
        return log
    }

    /// Nothing of the log lies above, as far as its files tell before they are replayed.
    public var endLSNBound: LSN {
        guard let last = segments.last else { return .zero }
        return last.header.base + max(0, Int(clamping: last.capacity) - SegmentHeader.byteCount)
    }

    /// Gives every record from `lsn` on to `body`, in order, cuts a torn tail, and makes the log
    /// ready for appending. What was given is durable when this returns.
    ///
    /// - Parameters:
    ///   - lsn: where the snapshot ends; everything below it counts as synced.
    ///   - known: where a later snapshot ended, which was not used; counts as synced, too.
    ///   - onBatch: told where each batch ended and its wall time, after its records.
    public func replay(
        from lsn: LSN, syncedAtLeast known: LSN = .zero,
        onBatch: (LSN, Int64) -> Void = { _, _ in },
        _ body: (LogRecord) throws(KyroError) -> Void
    ) throws(StoreError) -> RecoveryReport {
        guard case .opened = state else {
            preconditionFailure("\(files.directory) was replayed before")
        }
        var report = RecoveryReport()
        try dropLeftovers(below: lsn)
        guard !segments.isEmpty else {
            guard lsn == .zero else {
                throw damage(
                    files.directory, 0, "the log has no segment", "records from LSN \(lsn) on")
            }
            state = .ready
            try finishing { () throws(StoreError) in
                if segments.isEmpty {
                    try beginSegment(ordinal: 1, needed: 0)
                } else {
                    try syncDirectory()
                }
            }
            return report
        }
        let first = segments.firstIndex { $0.header.base > lsn }.map { $0 - 1 }
        var expectedChain: UInt32?
        for index in (first ?? segments.count - 1)..<segments.count {
            expectedChain = try replaySegment(
                index, from: lsn, known: max(lsn, known), chain: expectedChain, into: &report,
                onBatch, body)
        }
        // A process that ended between a rename and the sync behind it left a segment whose name a
        // power cut would take away, with everything that is written to it from now on.
        try finishing { () throws(StoreError) in try syncDirectory() }
        state = .ready
        report.lastWallMillis = lastWallMillis
        return report
    }

    /// Keeps the unbroken run of segments that ends with the last one.
    private func dropLeftovers(below lsn: LSN) throws(StoreError) {
        guard var start = segments.indices.last else { return }
        while start > 0, segments[start - 1].header.ordinal + 1 == segments[start].header.ordinal {
            start -= 1
        }
        guard segments[start].header.base <= lsn else {
            throw damage(
                files.path(ordinal: segments[start].header.ordinal - 1), 0,
                "the segment is missing",
                "records of LSN \(lsn) to \(segments[start].header.base)")
        }
        for segment in segments[..<start] {
            // One that stays does no harm: the next opening comes by here again.
            try? files.fileSystem.unlink(segment.path)
            segmentFileBytes.subtract(segment.capacity, ordering: .relaxed)
        }
        segments.removeFirst(start)
        retention.begin(at: segments[0].header.base)
    }

    private func replaySegment(
        _ index: Int, from lsn: LSN, known: LSN, chain expectedChain: UInt32?,
        into report: inout RecoveryReport, _ onBatch: (LSN, Int64) -> Void,
        _ body: (LogRecord) throws(KyroError) -> Void
    ) throws(StoreError) -> UInt32 {
        let segment = segments[index]
        if let expectedChain, expectedChain != segment.header.chain {
            throw damage(
                segment.path, 36, "the segment does not continue the one before it",
                "records from LSN \(segment.header.base) on")
        }
        let bytes = try storing { () throws(FileError) in try segment.file.readAll() }
        var walk = BatchWalk(bytes, segment.header)
        let isLast = index == segments.count - 1
        let end = isLast ? nil : segments[index + 1].header.base
        while walk.lsn != end, let batch = walk.next() {
            guard batch.header.lsn >= lsn else { continue }
            try replayBatch(batch, of: walk, segment, into: &report, body)
            onBatch(batch.endLSN, batch.header.wallMillis)
        }
        if let end {
            guard walk.lsn == end else {
                throw damage(
                    segment.path, UInt64(walk.offset), "no readable batch",
                    "records of LSN \(walk.lsn) to \(end)")
            }
        } else {
            report.tear = try walk.judgeEnd(path: segment.path, known: known)
            report.endLSN = walk.lsn
            report.wasSealed = walk.lastIsSeal
            try adoptEnd(walk, segment)
        }
        return walk.chain
    }

    private func replayBatch(
        _ batch: WalkedBatch, of walk: BatchWalk, _ segment: Segment,
        into report: inout RecoveryReport, _ body: (LogRecord) throws(KyroError) -> Void
    ) throws(StoreError) {
        let offset = UInt64(batch.offset)
        do throws(StoreError) {
            for range in try walk.records(of: batch) {
                let record = try LogRecord.decode(walk.bytes, range: range)
                report.recordCount += 1
                report.lastSeq = max(report.lastSeq, record.seq)
                do throws(KyroError) {
                    try body(record)
                } catch {
                    throw StoreError.notReplayable(
                        path: segment.path, lsn: batch.header.lsn, cause: error)
                }
            }
        } catch {
            guard case .malformed(let problem) = error else { throw error }
            throw damage(
                segment.path, offset, "the checksum holds, but \(problem)",
                "records from LSN \(batch.header.lsn) on")
        }
    }

    /// Makes what was read durable and puts a clean end behind it. What no later batch proves to
    /// be synced is written again: after a failed fsync such pages can be clean in the cache and
    /// absent from the disk (Rebello et al., USENIX ATC 2020), and syncing them alone does nothing.
    private func adoptEnd(_ walk: BatchWalk, _ segment: Segment) throws(StoreError) {
        let proven = Int(walk.synced.raw - segment.header.base.raw) + SegmentHeader.byteCount
        try failing { () throws(FileError) in
            if proven < walk.offset {
                try segment.file.write(
                    walk.bytes, range: proven..<walk.offset, at: UInt64(proven))
            }
            let room = min(LogBatch.terminatorCount, Int(segment.capacity) - walk.offset)
            if room > 0, walk.ending == .unreadable {
                let zeros = [UInt8](repeating: 0, count: room)
                try segment.file.write(zeros, at: UInt64(walk.offset))
            }
            try segment.file.sync()
        }
        offset = walk.offset
        chain = walk.chain
        wallMillis.store(walk.wallMillis, ordering: .releasing)
        current.store(walk.lsn.raw, ordering: .releasing)
        synced.store(walk.lsn.raw, ordering: .releasing)
    }

    private func damage(
        _ path: String, _ offset: UInt64, _ finding: String, _ affected: String
    ) -> StoreError {
        .damaged(
            StoreError.Damage(path: path, offset: offset, finding: finding, affected: affected))
    }
}
