// The log of one shard: what is in it was accepted, and what was synced in it survives.
//
// Life: `open`, `replay` once, then `append` and `sync` as often as needed, `seal` at a clean stop.
// LogFormat.swift draws the bytes, ShardLog+Recovery.swift holds the rules of recovery.
import KyroBytes
import KyroPlatform
import Synchronization

/// One thread, the shard's writer, calls everything but the properties marked "any thread" and
/// `prepareSpare`.
///
/// `@unchecked Sendable`: the writer owns the plain fields; what others read is atomic.
public final class ShardLog: @unchecked Sendable {
    public struct Options: Sendable {
        /// Bytes of a segment file. A batch that does not fit gets a file of its own size.
        public var segmentBytes: Int
        /// Files kept ready for the next segments.
        public var sparesMax: Int
        /// Called when what must be finished lacks room or an open file; returns whether something
        /// was given up for it, so that it is worth trying again.
        public var onShortage: @Sendable (StoreError) -> Bool = { _ in false }

        public init(segmentBytes: Int = 16 << 20, sparesMax: Int = 2) {
            precondition(segmentBytes >= 256, "a segment of \(segmentBytes) bytes holds no batch")
            self.segmentBytes = segmentBytes
            self.sparesMax = sparesMax
        }
    }

    struct Segment {
        var header: SegmentHeader
        var path: String
        var file: any File
        /// Size of the file.
        var capacity: UInt64
    }

    enum State {
        case opened
        case ready
        case sealed
        case failed(cause: String)
    }

    let identity: LogIdentity
    let files: SegmentFiles
    private let onShortage: @Sendable (StoreError) -> Bool
    var segments: [Segment] = []
    var state = State.opened
    /// Where in the last segment the next batch goes.
    var offset = 0
    /// The last segment has its name since the directory was synced.
    var isDirectoryUnsynced = false
    /// CRC field of the last batch.
    var chain: UInt32 = 0
    let retention = LogRetention()
    let current = Atomic<UInt64>(0)
    let synced = Atomic<UInt64>(0)
    let wallMillis = Atomic<Int64>(0)
    let segmentFileBytes = Atomic<UInt64>(0)

    init(
        _ identity: LogIdentity, _ files: SegmentFiles,
        onShortage: @escaping @Sendable (StoreError) -> Bool
    ) {
        self.identity = identity
        self.files = files
        self.onShortage = onShortage
    }

    /// Where the next batch will begin: everything appended lies below. Any thread.
    public var currentLSN: LSN { LSN(current.load(ordering: .acquiring)) }
    /// Everything below survives power loss. Any thread.
    public var syncedLSN: LSN { LSN(synced.load(ordering: .acquiring)) }
    /// Where the first segment that is kept begins. Any thread.
    public var firstLSN: LSN { retention.first }
    /// Wall time of the last batch, Unix milliseconds; 0 when it is not known. Any thread.
    public var lastWallMillis: Int64 { wallMillis.load(ordering: .acquiring) }
    /// Bytes of all files of the log, spares included. Any thread.
    public var diskBytes: UInt64 {
        segmentFileBytes.load(ordering: .acquiring) + files.spareBytes
    }
    /// Whether `prepareSpare` has something to do. Any thread.
    public var needsSpare: Bool { files.needsSpare }

    /// Writes a file for a later segment, if one is wanted. Any thread, one at a time; not the
    /// writer, which would wait for a segment's worth of disk.
    public func prepareSpare() throws(StoreError) {
        try storing { () throws(FileError) in try files.prepareSpare() }
    }

    /// Keeps the log from `lsn` on until the hold is released or moved. Any thread.
    ///
    /// - Returns: nil when the log has given up what lies there.
    public func hold(from lsn: LSN) -> LogHold? { retention.hold(from: lsn) }

    /// Reads what is durable now, beside the writer. Any thread; hold the log from `lsn` on first,
    /// so that it is still there.
    public func reader(from lsn: LSN) throws(StoreError) -> LogReader {
        try LogReader(
            directory: files.directory, fileSystem: files.fileSystem, identity: identity,
            from: lsn, upTo: syncedLSN)
    }

    /// Logs these records as one batch: a crash keeps all of them or none.
    @discardableResult
    public func append(_ records: [LogRecord], wallMillis: Int64) throws(StoreError) -> LSN {
        var batch = LogBatch()
        for record in records { batch.add(record) }
        return try append(&batch, wallMillis: wallMillis)
    }

    /// Logs the batch with one write. It is durable once `sync` has returned its end or more.
    ///
    /// - Parameter wallMillis: Unix milliseconds; a time before the last batch's counts as that.
    /// - Returns: the LSN behind the batch.
    /// - Throws: what `isShortage`, after which the same may be tried again with a new batch; any
    ///   other error stops the log.
    @discardableResult
    public func append(_ batch: inout LogBatch, wallMillis: Int64) throws(StoreError) -> LSN {
        precondition(!batch.isEmpty, "an empty batch")
        return try appendAny(&batch, wallMillis: wallMillis, isSeal: false)
    }

    /// Makes everything appended durable.
    ///
    /// - Throws: when the sync fails, and at everything asked of the log after that.
    @discardableResult
    public func sync() throws(StoreError) -> LSN {
        try requireReady()
        let target = currentLSN
        guard syncedLSN < target else { return target }
        try failing { () throws(FileError) in try lastSegment.file.sync() }
        synced.store(target.raw, ordering: .releasing)
        return target
    }

    /// Sets the log's time to whatever the caller says, also back, and makes that durable.
    public func setTime(wallMillis: Int64) throws(StoreError) {
        self.wallMillis.store(wallMillis, ordering: .releasing)
        var batch = LogBatch()
        try appendAny(&batch, wallMillis: wallMillis, isSeal: false)
        try sync()
    }

    /// Ends the log at a clean stop: what it holds is durable, and the seal says so.
    ///
    /// - Parameter wallMillis: as for `append`.
    public func seal(wallMillis: Int64) throws(StoreError) {
        try sync()
        try finishing { () throws(StoreError) in
            var batch = LogBatch()
            try appendAny(&batch, wallMillis: wallMillis, isSeal: true)
        }
        try sync()
        state = .sealed
    }

    /// Gives up segments that lie wholly below `lsn`, under a snapshot that is durable, and below
    /// every hold.
    ///
    /// - Throws: when a file could not be removed. It stays, and the log goes on: the next call
    ///   tries again, and so does the next opening.
    public func truncate(before lsn: LSN) throws(StoreError) {
        try requireReady()
        let count = retention.release(below: lsn, bases: segments.map(\.header.base))
        guard count > 0 else { return }
        var spares: [String] = []
        var removedCount = 0
        var failure: FileError?
        for segment in segments.prefix(count) {
            do {
                let spare = try files.retire(
                    segment.path, byteCount: segment.capacity, toBeAdded: spares.count)
                if let spare { spares.append(spare) }
            } catch {
                // What is not there was removed by an earlier call, which said that it failed.
                guard error.errno == .notFound else {
                    failure = error
                    break
                }
            }
            removedCount += 1
            segmentFileBytes.subtract(segment.capacity, ordering: .releasing)
        }
        segments.removeFirst(removedCount)
        retention.begin(at: segments[0].header.base)
        do {
            try files.syncDirectory()
            files.addSpares(spares)
        } catch {
            // A file that may come back under its old name must not be written to.
            for spare in spares { files.returnFile(files.path(spare)) }
            failure = failure ?? error
        }
        if let failure { throw .from(failure) }
    }

    var lastSegment: Segment {
        guard let last = segments.last else { preconditionFailure("the log has no segment") }
        return last
    }

    @discardableResult
    private func appendAny(
        _ batch: inout LogBatch, wallMillis: Int64, isSeal: Bool
    ) throws(StoreError) -> LSN {
        try requireReady()
        if isDirectoryUnsynced { try syncDirectory() }
        let needed = BatchHeader.paddedCount(batch.byteCount) + LogBatch.terminatorCount
        if UInt64(offset + needed) > lastSegment.capacity || !lastSegment.header.isCurrent {
            try rotate(needed: needed, isLast: isSeal)
        }
        let wallMillis = max(wallMillis, lastWallMillis)
        let (byteCount, crc) = batch.finish(
            lsn: currentLSN, synced: syncedLSN, chain: chain, isSeal: isSeal,
            wallMillis: wallMillis)
        let segment = lastSegment
        do {
            try segment.file.write(batch.writer.bytes, at: UInt64(offset))
        } catch {
            // Nothing counts before the write has returned, so that the next batch goes to the same
            // place. Only a full disk leaves the file itself beyond doubt.
            if !error.errno.isShortage { state = .failed(cause: error.description) }
            throw .from(error)
        }
        offset += byteCount
        chain = crc
        self.wallMillis.store(wallMillis, ordering: .releasing)
        let end = currentLSN + byteCount
        current.store(end.raw, ordering: .releasing)
        return end
    }

    /// Begins the next segment. The one before is synced first, so that only the last segment of a
    /// log can be torn.
    private func rotate(needed: Int, isLast: Bool) throws(StoreError) {
        try sync()
        try beginSegment(ordinal: lastSegment.header.ordinal + 1, needed: needed, isLast: isLast)
    }

    /// - Parameter isLast: no batch follows, so that the file need not have the usual size.
    func beginSegment(ordinal: UInt64, needed: Int, isLast: Bool = false) throws(StoreError) {
        let header = SegmentHeader(
            identity: identity, ordinal: ordinal, base: currentLSN, chain: chain,
            wallMillis: lastWallMillis)
        let path = files.path(ordinal: ordinal)
        let byteCount = SegmentHeader.byteCount + needed
        let spare = try storing { () throws(FileError) in
            try files.takeFile(byteCount: byteCount, isExact: isLast)
        }
        let made: any File
        let capacity: UInt64
        do {
            made = try files.fileSystem.open(spare, .readWrite)
            let terminator = [UInt8](repeating: 0, count: LogBatch.terminatorCount)
            try made.write(header.encode() + terminator, at: 0)
            capacity = try made.size()
        } catch {
            files.returnFile(spare)
            if !error.errno.isShortage { state = .failed(cause: error.description) }
            throw .from(error)
        }
        try failing { () throws(FileError) in try made.sync() }
        do {
            try files.fileSystem.rename(spare, to: path)
        } catch {
            files.returnFile(spare)
            if !error.errno.isShortage { state = .failed(cause: error.description) }
            throw .from(error)
        }
        // From here on the new segment may exist for whoever reads the directory after a crash, so
        // that the old one must get no further batch. Opened anew, it is known by its own name.
        let file = (try? files.fileSystem.open(path, .readWrite)) ?? made
        segments.append(Segment(header: header, path: path, file: file, capacity: capacity))
        segmentFileBytes.add(capacity, ordering: .releasing)
        offset = SegmentHeader.byteCount
        isDirectoryUnsynced = true
        try syncDirectory()
    }

    /// Makes the name of a new segment durable. What could not even be tried, because no
    /// file can be opened, is owed until the next batch.
    func syncDirectory() throws(StoreError) {
        do {
            try files.syncDirectory()
        } catch {
            if error.errno.isOutOfFiles { throw .from(error) }
            state = .failed(cause: error.description)
            throw .io(error)
        }
        isDirectoryUnsynced = false
    }

    private func requireReady() throws(StoreError) {
        switch state {
        case .ready: return
        case .failed(let cause): throw .stopped(path: files.directory, cause: cause)
        case .opened: preconditionFailure("\(files.directory) was not replayed")
        case .sealed: preconditionFailure("\(files.directory) is sealed")
        }
    }

    /// Does what must be done even on a full volume.
    func finishing(_ body: () throws(StoreError) -> Void) throws(StoreError) {
        do {
            try body()
        } catch {
            guard error.isShortage, onShortage(error) else { throw error }
            try body()
        }
    }

    /// Stops the log when `body` fails.
    @discardableResult
    func failing<Result>(
        _ body: () throws(FileError) -> Result
    ) throws(StoreError) -> Result {
        do {
            return try body()
        } catch {
            state = .failed(cause: error.description)
            throw .io(error)
        }
    }
}
