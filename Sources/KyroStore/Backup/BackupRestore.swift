// Making a data directory out of a repository: snapshots as they were, and a log that holds what
// came after them up to the sequence asked for, and nothing above.
//
// The directory has an id of its own, written into every file, so that files of the directory that
// was backed up and of this one can never be mixed. LSNs go on from those of the snapshots. The
// manifest comes last: a restore that was interrupted leaves nothing that a server would open.
import KyroBytes
import KyroModel
import KyroPlatform

public struct RestoreReport: Equatable, Sendable {
    /// Number of the full backup that it stands on.
    public var backup: UInt64
    /// Every shard's state is that at this sequence.
    public var seq: Sequence
    public var directory: DirectoryID
    public var shardCount: Int
    public var collections: Int
    /// Of the log, written behind the snapshots.
    public var records: UInt64 = 0
    public var bytes: UInt64 = 0
}

/// One thread, once.
public final class BackupRestore {
    private let repository: BackupRepository
    private let request: RestoreRequest
    private let fileSystem: any FileSystem
    private let id: DirectoryID
    private let progress: (UInt64) -> Void
    private var records: UInt64 = 0
    private var bytes: UInt64 = 0
    private var lastSeq = Sequence.zero

    /// - Parameter progress: told the bytes written so far.
    public init(
        _ repository: BackupRepository, _ request: RestoreRequest,
        random: any RandomSource = SystemRandomSource(),
        progress: @escaping (UInt64) -> Void = { _ in }
    ) {
        self.repository = repository
        self.request = request
        self.progress = progress
        fileSystem = repository.fileSystem
        id = DirectoryID(high: random.next(), low: random.next())
    }

    public func run() throws(BackupError) -> RestoreReport {
        let source = try lockSource()
        let plan = try RestorePlanner(repository: repository, request: request).plan()
        let lock = try prepareTarget()
        var manifest = Manifest(directory: id, shards: [])
        for shard in 0..<repository.shardCount {
            manifest.shards.append(try restore(shard, plan))
        }
        try restoreCatalog(plan)
        try backingStore { () throws(StoreError) in
            try storing { () throws(FileError) in try fileSystem.syncDirectory(request.to) }
            try manifest.write(to: request.to, fileSystem)
            let parent = BackupRepository.parent(of: request.to)
            try storing { () throws(FileError) in try fileSystem.syncDirectory(parent) }
        }
        withExtendedLifetime((lock, source)) {}
        var report = RestoreReport(
            backup: plan.base.id, seq: plan.seq, directory: id,
            shardCount: repository.shardCount, collections: plan.catalog.collections.count)
        report.records = records
        report.bytes = bytes
        return report
    }

    // MARK: Directories

    /// The data directory whose log is read must be the one that was backed up, and at rest.
    private func lockSource() throws(BackupError) -> (any File)? {
        guard let path = request.logFrom else { return nil }
        guard path != request.to else {
            throw .refused("--log-from and --to are the same directory; restore into another one")
        }
        let (lock, isLocked) = try backing { () throws(FileError) in
            let lock = try fileSystem.open("\(path)/LOCK", .readWriteOrCreate)
            return (lock, try lock.lockExclusively())
        }
        guard isLocked else {
            throw .refused("\(path) is in use by a KyroDB server: stop that server first")
        }
        let manifest = try backingStore { () throws(StoreError) in
            let bytes = try storing { () throws(FileError) in
                try fileSystem.open("\(path)/\(Manifest.fileName)", .read).readAll()
            }
            return try Manifest.decode(bytes, path: "\(path)/\(Manifest.fileName)")
        }
        guard manifest.directory == repository.directory else {
            throw .refused(
                "\(path) is data directory \(manifest.directory), and the backups are of "
                    + "\(repository.directory)")
        }
        return lock
    }

    /// What may be in a data directory, and be removed with `force`.
    private static let ownNames = ["MANIFEST", "catalog.log", "shard-", "RESERVE"]

    private func prepareTarget() throws(BackupError) -> any File {
        let path = request.to
        try backing { () throws(FileError) in try fileSystem.makeDirectory(path) }
        let held = try backing { () throws(FileError) in
            try fileSystem.list(path).filter { $0 != "LOCK" && $0 != "lost+found" }
        }
        if let name = held.first {
            guard request.force else {
                throw .refused(
                    "\(path) is not empty, it holds \(name): choose an empty directory, or give "
                        + "--force to replace the data directory there")
            }
            if let foreign = held.first(where: { name in
                !Self.ownNames.contains { name.hasPrefix($0) }
            }) {
                throw .refused(
                    "\(path) holds \(foreign), which is not KyroDB's, so that --force removes "
                        + "nothing there: choose another directory")
            }
        }
        let (lock, isLocked) = try backing { () throws(FileError) in
            let lock = try fileSystem.open("\(path)/LOCK", .readWriteOrCreate)
            return (lock, try lock.lockExclusively())
        }
        guard isLocked else {
            throw .refused("\(path) is in use by a KyroDB server: stop that server first")
        }
        try backing { () throws(FileError) in
            // Without its manifest it is no data directory any more.
            for name in held where name.hasPrefix("MANIFEST") {
                try fileSystem.unlink("\(path)/\(name)")
            }
            if !held.isEmpty { try fileSystem.syncDirectory(path) }
            for name in held where !name.hasPrefix("MANIFEST") {
                guard name.hasPrefix("shard-") else {
                    try fileSystem.unlink("\(path)/\(name)")
                    continue
                }
                for file in try fileSystem.list("\(path)/\(name)") {
                    try fileSystem.unlink("\(path)/\(name)/\(file)")
                }
            }
        }
        return lock
    }

    // MARK: Shards

    private func restore(_ shard: Int, _ plan: RestorePlan) throws(BackupError) -> ShardManifest {
        let directory = DataDirectory.shardPath(request.to, shard)
        let identity = LogIdentity(directory: id, shard: UInt32(shard))
        guard let snapshot = plan.base.shards[shard].snapshot else {
            throw .missing("backup \(plan.base.id) names no snapshot of shard \(shard)")
        }
        try backing { () throws(FileError) in try fileSystem.makeDirectory(directory) }
        let reference = try restore(snapshot, shard: shard, to: directory, identity)
        var options = ShardLog.Options()
        if let bytes = request.logSegmentBytes { options.segmentBytes = bytes }
        let log = try backingStore { () throws(StoreError) in
            try ShardLog.begin(
                directory: directory, fileSystem: fileSystem, identity: identity,
                at: reference.lsn, options: options)
        }
        var rewriting = LogRewriting(log: log, from: reference.lsn, upTo: plan.seq)
        try replay(into: &rewriting, shard: shard, plan)
        if shard == 0 {
            // Nobody may be given a sequence again that was given out before.
            try backingStore { () throws(StoreError) in try rewriting.mark(plan.seq) }
        }
        try backingStore { () throws(StoreError) in try rewriting.finish() }
        records += rewriting.records
        return ShardManifest(snapshot: reference)
    }

    private func replay(
        into rewriting: inout LogRewriting, shard: Int, _ plan: RestorePlan
    ) throws(BackupError) {
        var files = plan.files[shard][...]
        while !rewriting.isDone, let file = files.popFirst() {
            let object: BackupObjectReader
            do throws(BackupError) {
                object = try repository.reader(file.name)
            } catch {
                // An archive that goes on may have put the file together with others.
                guard case .missing = error else { throw error }
                try repository.scan()
                let rest = repository.files(
                    shard: shard, rewriting.position..<max(rewriting.position, plan.ends[shard]))
                guard rest.gap == nil, !rest.files.contains(file) else { throw error }
                files = rest.files[...]
                continue
            }
            try replay(object, file, into: &rewriting, shard: shard)
        }
        guard let logFrom = plan.logFrom, !rewriting.isDone else { return }
        try backingStore { () throws(StoreError) in
            var reader = try repository.tail(
                of: logFrom, shard: shard, from: plan.ends[shard])
            while !rewriting.isDone, let batch = try reader.next() {
                let archived = ArchivedBatch(
                    lsn: batch.lsn, endLSN: batch.endLSN, wallMillis: batch.wallMillis,
                    isSeal: batch.isSeal, records: batch.records)
                try rewriting.add(archived, batch.segmentBytes)
            }
        }
    }

    private func replay(
        _ object: BackupObjectReader, _ file: BackupRepository.LogFile,
        into rewriting: inout LogRewriting, shard: Int
    ) throws(BackupError) {
        do throws(StoreError) {
            var batches = ArchivedLogReader(try object.readAll(), object.header)
            while !rewriting.isDone, let batch = try batches.next() {
                try rewriting.add(batch, batches.bytes)
            }
        } catch {
            guard case .malformed(let problem) = error else { throw .store(error) }
            throw .damaged(
                .init(
                    path: object.path, finding: problem,
                    affected: "the log of shard \(shard), LSN \(file.from) to \(file.to)"))
        }
        count(object.header.dataCount)
    }

    private func count(_ added: UInt64) {
        bytes += added
        progress(bytes)
    }

    /// Unpacks the file and makes it one of the new directory.
    private func restore(
        _ snapshot: BackupManifest.Snapshot, shard: Int, to directory: String,
        _ identity: LogIdentity
    ) throws(BackupError) -> SnapshotReference {
        let object = try repository.reader(repository.snapshot(shard, snapshot).name)
        let reference = SnapshotReference(
            fileName: SnapshotFiles.name(seq: snapshot.seq, lsn: snapshot.lsn), seq: snapshot.seq,
            lsn: snapshot.lsn)
        let path = "\(directory)/\(reference.fileName)"
        let file = try backing { () throws(FileError) in
            try fileSystem.open(path, .createEmpty)
        }
        var offset: UInt64 = 0
        while let block = try backingStore({ () throws(StoreError) in try object.next() }) {
            try backing { () throws(FileError) in try file.write(block, at: offset) }
            offset += UInt64(block.count)
            count(UInt64(block.count))
        }
        try backingStore { () throws(StoreError) in
            try SnapshotFormat.reidentify(file, size: offset, as: identity)
            try storing { () throws(FileError) in
                try file.sync()
                try fileSystem.syncDirectory(directory)
            }
            // Header, footer and table of contents hold together, or it is no snapshot.
            _ = try SnapshotReader(
                directory: directory, fileSystem: fileSystem, identity: identity,
                reference: reference)
        }
        return reference
    }

    private func restoreCatalog(_ plan: RestorePlan) throws(BackupError) {
        try backingStore { () throws(StoreError) in
            try CatalogLog.write(
                plan.catalog, path: "\(request.to)/catalog.log", directory: request.to,
                fileSystem: fileSystem, id: id)
        }
    }
}

extension SnapshotFormat {
    /// Makes the file one of another directory: the id in the header, and the two checksums that
    /// cover it.
    static func reidentify(
        _ file: any File, size: UInt64, as identity: LogIdentity
    ) throws(StoreError) {
        guard size >= UInt64(headerCount + footerCount) else {
            throw FilePrefix.snapshot.damage(file.path, 0, "a file of \(size) bytes")
        }
        let footerOffset = size - UInt64(footerCount)
        let (header, footer) = try storing { () throws(FileError) in
            (
                try file.read(at: 0, count: headerCount),
                try file.read(at: footerOffset, count: footerCount)
            )
        }
        try FilePrefix.snapshot.check(header, path: file.path)
        var writer = ByteWriter(capacity: headerCount)
        writer.writeBytes(header)
        writer.patchFixed64(identity.directory.high, at: 16)
        writer.patchFixed64(identity.directory.low, at: 24)
        FilePrefix.snapshot.seal(&writer)
        var ending = ByteWriter(capacity: footerCount)
        ending.writeBytes(footer)
        ending.patchFixed32(crc32c(writer.bytes), at: 12)
        ending.patchFixed32(crc32c(ending.bytes, range: 0..<28), at: 28)
        try storing { () throws(FileError) in
            try file.write(writer.bytes, at: 0)
            try file.write(ending.bytes, at: footerOffset)
        }
    }
}
