// Reads the batches of a log that others may be writing: for backups, archives and checks.
import KyroBytes
import KyroPlatform

/// One valid batch, as it stands in its segment.
public struct LoggedBatch: Sendable {
    public let lsn: LSN
    /// Where the next batch begins.
    public let endLSN: LSN
    /// Unix milliseconds; 0 in a log of format 1, which does not tell.
    public let wallMillis: Int64
    public let isSeal: Bool
    /// Everything below was synced when the batch was written.
    public let synced: LSN
    /// The segment's file, and where in it the batch begins.
    public let path: String
    public let offset: UInt64
    /// Content of the segment, shared by its batches; `range` is the whole batch, header and
    /// padding included.
    public let segmentBytes: [UInt8]
    public let range: Range<Int>
    /// Of each record, in `segmentBytes`.
    public let records: [Range<Int>]

    /// - Throws: `.damaged` for a record that says what none can.
    public func decodedRecords() throws(StoreError) -> [LogRecord] {
        var decoded: [LogRecord] = []
        decoded.reserveCapacity(records.count)
        for range in records {
            do throws(StoreError) {
                decoded.append(try LogRecord.decode(segmentBytes, range: range))
            } catch {
                throw LogReader.damage(
                    path, offset, "the checksum holds, but \(error)", "records from LSN \(lsn) on")
            }
        }
        return decoded
    }
}

/// Reads from the segment files alone and changes nothing. One thread.
///
/// A segment is read whole, so that memory holds one at a time and those whose batches are kept.
public struct LogReader {
    /// Where the log ends, once `next` has returned nil.
    public private(set) var endLSN: LSN
    /// Where `next` found the torn tail of a log that nobody writes; what `ShardLog.replay` cuts.
    public private(set) var tear: RecoveryReport.Tear?

    private let fileSystem: any FileSystem
    private let start: LSN
    private let end: LSN?
    private var segments: [(header: SegmentHeader, path: String)]
    private var position = 0
    private var walk: BatchWalk?
    private var isDone = false

    /// - Parameters:
    ///   - directory: of one log.
    ///   - start: the LSN of a batch, or the end of the log.
    ///   - end: how far the log was synced; nil when nobody writes it, to read to its end.
    /// - Throws: `.damaged`, also when the log does not reach back to `start`.
    public init(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity, from start: LSN,
        upTo end: LSN? = nil
    ) throws(StoreError) {
        self.fileSystem = fileSystem
        self.start = start
        self.end = end
        endLSN = start
        segments = try Self.run(directory, fileSystem, identity)
        guard let first = segments.first?.header.base else {
            // Beside a writer, that may also be because the segment that ended at `start` was given
            // up after the directory was listed, and the next was made later.
            guard start == end ?? .zero else {
                throw Self.damage(
                    directory, 0, "the log has no segment", "records from LSN \(start) on")
            }
            isDone = true
            return
        }
        guard first <= start else {
            throw Self.damage(
                directory, 0, "the log begins at LSN \(first)",
                "records of LSN \(start) to \(first)")
        }
        if let behind = segments.firstIndex(where: { $0.header.base > start }) {
            segments.removeFirst(behind - 1)
        } else {
            segments.removeFirst(segments.count - 1)
        }
        if let end {
            // Nothing holds a segment that ends where the reader begins: it may go any moment.
            if end <= start {
                isDone = true
                return
            }
            // What the writer has begun since holds nothing of interest.
            while segments.count > 1, let last = segments.last, last.header.base >= end {
                segments.removeLast()
            }
        }
    }

    /// The next batch that begins at or behind the start; nil at the end.
    ///
    /// - Throws: `.damaged` for what should be readable and is not.
    public mutating func next() throws(StoreError) -> LoggedBatch? {
        while !isDone {
            try openSegment()
            guard let batch = walk?.next() else {
                try endSegment()
                continue
            }
            guard batch.header.lsn >= start else { continue }
            return try logged(batch)
        }
        return nil
    }

    private func logged(_ batch: WalkedBatch) throws(StoreError) -> LoggedBatch? {
        guard let walk else { return nil }
        let path = segments[position].path
        let records: [Range<Int>]
        do throws(StoreError) {
            records = try walk.records(of: batch)
        } catch {
            throw Self.damage(
                path, UInt64(batch.offset), "the checksum holds, but \(error)",
                "records from LSN \(batch.header.lsn) on")
        }
        return LoggedBatch(
            lsn: batch.header.lsn, endLSN: batch.endLSN, wallMillis: batch.header.wallMillis,
            isSeal: batch.header.isSeal, synced: batch.header.synced, path: path,
            offset: UInt64(batch.offset), segmentBytes: walk.bytes,
            range: batch.offset..<(batch.offset + batch.header.byteCount), records: records)
    }

    private mutating func openSegment() throws(StoreError) {
        guard walk == nil else { return }
        let (header, path) = segments[position]
        let bytes = try storing { () throws(FileError) in
            let file = try fileSystem.open(path, .read)
            let size = Int(clamping: try file.size())
            // Of what is being written, only what can no longer change.
            let count = end.map { SegmentHeader.byteCount + Int($0.raw - header.base.raw) }
            return try file.read(at: 0, count: min(size, count ?? size))
        }
        walk = BatchWalk(bytes, header)
    }

    /// Judges why the segment's batches end and goes on to the next one.
    private mutating func endSegment() throws(StoreError) {
        guard let ended = walk else { return }
        let path = segments[position].path
        let following = position + 1 < segments.count ? segments[position + 1].header : nil
        let due = following?.base ?? end
        if let due, ended.lsn < due {
            throw Self.damage(
                path, UInt64(ended.offset), "no readable batch",
                "records of LSN \(ended.lsn) to \(due)")
        }
        if let following {
            guard following.chain == ended.chain, following.base == ended.lsn else {
                throw Self.damage(
                    segments[position + 1].path, 36,
                    "the segment does not continue the one before it",
                    "records from LSN \(following.base) on")
            }
        } else {
            if end == nil { tear = try ended.judgeEnd(path: path, known: start) }
            endLSN = ended.lsn
            isDone = true
        }
        walk = nil
        position += 1
    }

    /// The unbroken run of segments that ends with the last one, as `ShardLog.replay` takes it.
    private static func run(
        _ directory: String, _ fileSystem: any FileSystem, _ identity: LogIdentity
    ) throws(StoreError) -> [(header: SegmentHeader, path: String)] {
        let ordinals = try storing { () throws(FileError) in
            try SegmentFiles.ordinals(in: directory, fileSystem)
        }
        var found: [(header: SegmentHeader, path: String)] = []
        for ordinal in ordinals {
            let path = SegmentFiles.path(directory, ordinal: ordinal)
            let bytes = try storing { () throws(FileError) in
                try fileSystem.openIfPresent(path, .read)?
                    .read(at: 0, count: SegmentHeader.byteCount)
            }
            // The writer gave it up after the directory was listed.
            guard let bytes else { continue }
            let header: SegmentHeader
            do throws(StoreError) {
                header = try Self.header(bytes, path, identity, ordinal)
            } catch {
                // Given up between opening and reading, the file may be a later segment by now.
                let isThere = try storing { () throws(FileError) in
                    try fileSystem.openIfPresent(path, .read) != nil
                }
                guard isThere else { continue }
                throw error
            }
            if let last = found.last, last.header.ordinal + 1 != ordinal { found = [] }
            found.append((header, path))
        }
        return found
    }

    private static func header(
        _ bytes: [UInt8], _ path: String, _ identity: LogIdentity, _ ordinal: UInt64
    ) throws(StoreError) -> SegmentHeader {
        let header = try SegmentHeader.decode(bytes, path: path)
        guard header.identity == identity, header.ordinal == ordinal else {
            throw damage(
                path, 16,
                """
                a segment of directory \(header.identity.directory), shard \
                \(header.identity.shard), number \(header.ordinal)
                """, "every record of this segment")
        }
        return header
    }

    static func damage(
        _ path: String, _ offset: UInt64, _ finding: String, _ affected: String
    ) -> StoreError {
        .damaged(
            StoreError.Damage(path: path, offset: offset, finding: finding, affected: affected))
    }
}
