// The catalog's log: one growing file in the bytes of LogFormat.swift, synced with every change,
// and written anew as the shortest list of records when it has grown well past that.
import KyroBytes
import KyroModel
import KyroPlatform

/// One thread at a time.
///
/// `@unchecked Sendable`: the caller, the engine's catalog, holds a lock around every call.
public final class CatalogLog: @unchecked Sendable {
    /// Below this the file is never written anew.
    static let compactionBytesMin: UInt64 = 1 << 20

    private let path: String
    private let directory: String
    private let fileSystem: any FileSystem
    private let identity: LogIdentity
    private var file: any File
    private var header: SegmentHeader
    private var offset = 0
    private var chain: UInt32 = 0
    private var lsn = LSN.zero
    /// Wall time of the last batch, Unix milliseconds; 0 when it is not known.
    public private(set) var lastWallMillis: Int64 = 0
    private var failure: String?
    /// The name of a file written anew is not durable yet.
    private var isDirectoryUnsynced = false
    /// Bytes after the last writing anew.
    private var compactedBytes: UInt64 = 0
    public private(set) var state = CatalogState()
    /// The cut tail of an append that was not acknowledged.
    public private(set) var tear: RecoveryReport.Tear?
    /// Every change that the file holds, in order.
    public private(set) var history: [CatalogChange] = []

    private init(
        path: String, directory: String, fileSystem: any FileSystem, identity: LogIdentity,
        file: any File, header: SegmentHeader
    ) {
        self.path = path
        self.directory = directory
        self.fileSystem = fileSystem
        self.identity = identity
        self.file = file
        self.header = header
    }

    /// Opens the log or makes it, and reads it through.
    public static func open(
        path: String, directory: String, fileSystem: any FileSystem, id: DirectoryID
    ) throws(StoreError) -> CatalogLog {
        let identity = LogIdentity(directory: id, shard: LogIdentity.catalogShard)
        let found = try storing { () throws(FileError) in
            try fileSystem.openIfPresent(path, .readWrite)
        }
        guard let found else {
            let header = SegmentHeader(
                identity: identity, ordinal: 1, base: .zero, chain: 0, wallMillis: 0)
            let file = try write(
                [.nextID(CatalogState().nextID)], header, path: path, fileSystem)
            let log = CatalogLog(
                path: path, directory: directory, fileSystem: fileSystem, identity: identity,
                file: file, header: header)
            try log.syncDirectory()
            try log.read()
            return log
        }
        let bytes = try storing { () throws(FileError) in
            try found.read(at: 0, count: SegmentHeader.byteCount)
        }
        let header = try SegmentHeader.decode(bytes, path: path)
        guard header.identity == identity else {
            throw .damaged(
                StoreError.Damage(
                    path: path, offset: 16,
                    finding: "the catalog of directory \(header.identity.directory)",
                    affected: "every collection"))
        }
        let log = CatalogLog(
            path: path, directory: directory, fileSystem: fileSystem, identity: identity,
            file: found, header: header)
        try log.read()
        return log
    }

    /// Every record the file held when it was opened, in order.
    public func load() -> [CatalogRecord] { history.map(\.record) }

    /// One more each time that the file is written anew.
    public var ordinal: UInt64 { header.ordinal }

    public var diskBytes: UInt64 { UInt64(offset) }

    /// Logs the record and syncs it. It is part of `state` when this returns. A file of an older
    /// format is written anew first.
    ///
    /// - Parameters:
    ///   - seq: one of its own, which no write has; zero for none.
    ///   - wallMillis: Unix milliseconds; a time before the last batch's counts as that.
    /// - Throws: `.malformed` when it does not follow from the state (nothing is written then);
    ///   what `isShortage`, after which it may be tried again; any other error stops the catalog.
    public func append(
        _ record: CatalogRecord, seq: Sequence = .zero, wallMillis: Int64
    ) throws(StoreError) {
        if let failure { throw .stopped(path: path, cause: failure) }
        var next = state
        if seq > .zero { try next.apply(.moment(seq)) }
        try next.apply(record)
        if !header.isCurrent { try compact() }
        if isDirectoryUnsynced { try syncDirectory() }
        let wallMillis = max(wallMillis, lastWallMillis)
        var batch = LogBatch()
        if seq > .zero { batch.add { CatalogRecord.moment(seq).encode(into: &$0) } }
        batch.add { record.encode(into: &$0) }
        let (byteCount, crc) = batch.finish(
            lsn: lsn, synced: lsn, chain: chain, isSeal: false, wallMillis: wallMillis)
        do {
            try file.write(batch.writer.bytes, at: UInt64(offset))
        } catch {
            if !error.errno.isShortage { failure = error.description }
            throw .from(error)
        }
        do {
            try file.sync()
        } catch {
            failure = error.description
            throw .io(error)
        }
        state = next
        offset += byteCount
        chain = crc
        lsn = lsn + byteCount
        lastWallMillis = wallMillis
        history.append(CatalogChange(seq: state.seq, wallMillis: wallMillis, record: record))
        if diskBytes > Self.compactionBytesMin, diskBytes > compactedBytes * 2 {
            // The record is durable whatever becomes of this. A compaction that finds no room is
            // tried again at the next change; any other failure stops the catalog from here on.
            try? compact()
        }
    }

    /// Lets the next record have any time, also one before the last.
    public func forgetTime() { lastWallMillis = 0 }

    /// Writes the shortest list of records into a new file and puts it in the place of the old.
    public func compact() throws(StoreError) {
        if let failure { throw .stopped(path: path, cause: failure) }
        let header = SegmentHeader(
            identity: identity, ordinal: header.ordinal + 1, base: .zero, chain: 0,
            wallMillis: lastWallMillis)
        do {
            file = try Self.write(state.records, header, path: path, fileSystem)
        } catch {
            if error.isShortage { throw error }
            failure = error.description
            throw error
        }
        self.header = header
        // Whatever is appended to the new file could be lost before its name is durable.
        isDirectoryUnsynced = true
        try read()
        compactedBytes = diskBytes
        try syncDirectory()
    }

    private func syncDirectory() throws(StoreError) {
        do {
            try fileSystem.syncDirectory(directory)
        } catch {
            // Where no file could be opened nothing was tried.
            if !error.errno.isOutOfFiles { failure = error.description }
            throw error.errno.isOutOfFiles ? .from(error) : .io(error)
        }
        isDirectoryUnsynced = false
    }

    /// Puts a file with these records in the place of the old one. An error leaves the old one.
    static func write(
        _ records: [CatalogRecord], _ header: SegmentHeader, path: String,
        _ fileSystem: any FileSystem
    ) throws(StoreError) -> any File {
        var batch = LogBatch()
        for record in records { batch.add { record.encode(into: &$0) } }
        _ = batch.finish(
            lsn: .zero, synced: .zero, chain: 0, isSeal: false, wallMillis: header.wallMillis)
        let unfinished = path + ".new"
        let bytes = header.encode() + batch.writer.bytes
        return try storing { () throws(FileError) in
            let file = try fileSystem.open(unfinished, .createEmpty)
            try file.write(bytes, at: 0)
            try file.sync()
            try fileSystem.rename(unfinished, to: path)
            // Opened anew, it is known by its own name.
            return (try? fileSystem.open(path, .readWrite)) ?? file
        }
    }

    /// Reads the file from the start, cuts a torn tail, and stands behind the last record.
    private func read() throws(StoreError) {
        let bytes = try storing { () throws(FileError) in try file.readAll() }
        var walk = BatchWalk(bytes, header)
        var fresh = CatalogState()
        var found: [CatalogChange] = []
        while let batch = walk.next() {
            do throws(StoreError) {
                try CatalogChange.read(walk, batch, into: &found, &fresh)
            } catch {
                throw damage(batch.offset, "the checksum holds, but \(error)")
            }
        }
        let proof = walk.proofOfSyncBehind()?.synced ?? .zero
        // The first batch is synced before the file gets its name.
        guard walk.lsn >= max(walk.synced, proof), !found.isEmpty else {
            throw damage(walk.offset, "no readable batch, though LSN \(proof) was synced")
        }
        if walk.ending == .unreadable {
            tear = RecoveryReport.Tear(path: path, offset: UInt64(walk.offset), lsn: walk.lsn)
        }
        try storing { () throws(FileError) in
            // For the same reasons as in ShardLog.adoptEnd.
            let proven = Int(walk.synced.raw) + SegmentHeader.byteCount
            try file.write(bytes, range: proven..<walk.offset, at: UInt64(proven))
            try file.truncate(to: UInt64(walk.offset))
            try file.sync()
        }
        (offset, chain, lsn) = (walk.offset, walk.chain, walk.lsn)
        (state, history) = (fresh, found)
        lastWallMillis = walk.wallMillis
        compactedBytes = max(compactedBytes, Self.compactionBytesMin / 2)
    }

    private func damage(_ offset: Int, _ finding: String) -> StoreError {
        .damaged(
            StoreError.Damage(
                path: path, offset: UInt64(offset), finding: finding,
                affected: "collections made or changed after that point"))
    }
}
