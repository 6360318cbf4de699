// A backup repository: one directory, which belongs to one data directory.
//
//   LOCK                       flock()ed while something is added or removed
//   REPOSITORY                 whose backups these are, see below; made first
//   backup-<number>            what a backup consists of: BackupManifest.swift; written last
//   archive-<number>           how far an unbroken run of the archive reaches; replaced as it grows
//   snapshot-<shard>-<seq>-<lsn>   a snapshot's file, compressed: BackupObject.swift
//   log-<shard>-<from>-<to>    what the shard's log holds between two LSNs: ArchivedLog.swift
//   catalog-<ordinal>-<count>  the catalog's changes: CatalogChange.swift
//   *.new                      unfinished; removed by whoever locks the repository next
//
// Numbers are 16 hexadecimal digits, the shard is decimal.
//
// REPOSITORY:
//    0  16  "KYROREP", version 1, CRC-32C of everything: see FilePrefix.swift
//   16  16  id of the data directory
//   32   4  number of shards
//
// A backup is there when its manifest is. Whatever it needs was made durable before, so that a stop
// in between leaves files that nothing names, and never half a backup.
import KyroBytes
import KyroModel
import KyroPlatform

/// What a directory holds, as of the last `scan`. One thread.
public final class BackupRepository {
    /// A file of kind log.
    struct LogFile: Equatable {
        var from: LSN
        var to: LSN
        var name: String
    }

    struct SnapshotFile: Hashable {
        var shard: Int
        var seq: UInt64
        var lsn: UInt64
        var name: String
    }

    struct CatalogFile: Equatable {
        var ordinal: UInt64
        var count: UInt64
        var name: String
    }

    public let path: String
    let fileSystem: any FileSystem
    public let directory: DirectoryID
    public let shardCount: Int
    /// By number.
    public private(set) var backups: [BackupManifest] = []
    /// By number.
    public private(set) var archives: [BackupManifest] = []
    /// Manifests that cannot be read.
    public private(set) var unreadable: [BackupError] = []
    /// By shard, then by LSN.
    private(set) var logs: [[LogFile]] = []
    private(set) var snapshots: Set<SnapshotFile> = []
    private(set) var catalogs: [CatalogFile] = []
    private(set) var unfinished: [String] = []
    /// Names that mean nothing here.
    private(set) var foreign: [String] = []

    static let markName = "REPOSITORY"
    static let lockName = "LOCK"
    static let markPrefix = FilePrefix(
        magic: "KYROREP", versions: 1...1, subject: "the mark of a backup repository",
        affected: "every backup in this directory")

    private init(
        _ path: String, _ fileSystem: any FileSystem, _ directory: DirectoryID, shardCount: Int
    ) throws(BackupError) {
        self.path = path
        self.fileSystem = fileSystem
        self.directory = directory
        self.shardCount = shardCount
        try scan()
    }

    /// Opens a repository to read it.
    public static func open(
        _ path: String, fileSystem: any FileSystem
    ) throws(BackupError) -> BackupRepository {
        guard let mark = try readMark(path, fileSystem) else {
            throw .refused(
                "\(path) is no backup repository: it has no file \(markName); name the directory "
                    + "that kyrodb serve was given with --backups")
        }
        return try BackupRepository(path, fileSystem, mark.directory, shardCount: mark.shardCount)
    }

    /// Opens the repository of a data directory, or makes it in an empty directory.
    public static func open(
        _ path: String, fileSystem: any FileSystem, directory: DirectoryID, shardCount: Int
    ) throws(BackupError) -> BackupRepository {
        try backing { () throws(FileError) in try fileSystem.makeDirectory(path) }
        if let mark = try readMark(path, fileSystem) {
            guard mark.directory == directory else {
                throw .refused(
                    "\(path) has the backups of data directory \(mark.directory), and this one is "
                        + "\(directory): a restored directory needs a repository of its own; "
                        + "choose another with --backups")
            }
            return try BackupRepository(path, fileSystem, directory, shardCount: shardCount)
        }
        let held = try backing { () throws(FileError) in try fileSystem.list(path) }
        let known = [lockName, markName + ".new", "lost+found"]
        if let name = held.first(where: { !known.contains($0) }) {
            throw .refused(
                "\(path) holds \(name) and is no backup repository: choose an empty directory with "
                    + "--backups")
        }
        var writer = markPrefix.begin(capacity: 36)
        writer.writeFixed64(directory.high)
        writer.writeFixed64(directory.low)
        writer.writeFixed32(UInt32(shardCount))
        markPrefix.seal(&writer)
        try write(writer.bytes, as: markName, in: path, fileSystem)
        try backing { () throws(FileError) in
            try fileSystem.syncDirectory(parent(of: path))
        }
        return try BackupRepository(path, fileSystem, directory, shardCount: shardCount)
    }

    /// The directory that names the one at `path`.
    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func readMark(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(BackupError) -> (directory: DirectoryID, shardCount: Int)? {
        let bytes = try backing { () throws(FileError) in
            try fileSystem.openIfPresent("\(path)/\(markName)", .read)?.readAll()
        }
        guard let bytes else { return nil }
        return try backingStore { () throws(StoreError) in
            try markPrefix.check(bytes, path: "\(path)/\(markName)")
            var reader = RecordReader(
                bytes, range: FilePrefix.byteCount..<bytes.count, subject: markPrefix.subject)
            let directory = DirectoryID(high: try reader.fixed64(), low: try reader.fixed64())
            return (directory, Int(try reader.fixed32()))
        }
    }

    /// Write, fsync, rename, fsync of the directory.
    static func write(
        _ bytes: [UInt8], as name: String, in path: String, _ fileSystem: any FileSystem
    ) throws(BackupError) {
        try backing { () throws(FileError) in
            let file = try fileSystem.open("\(path)/\(name).new", .createEmpty)
            try file.write(bytes, at: 0)
            try file.sync()
            try fileSystem.rename("\(path)/\(name).new", to: "\(path)/\(name)")
            try fileSystem.syncDirectory(path)
        }
    }

    /// Keeps others from adding and removing for as long as the result lives.
    public func lock() throws(BackupError) -> any File {
        let (file, isLocked) = try backing { () throws(FileError) in
            let file = try fileSystem.open("\(path)/\(Self.lockName)", .readWriteOrCreate)
            return (file, try file.lockExclusively())
        }
        guard isLocked else {
            throw .refused("\(path) is being changed by another process: try again when it is done")
        }
        return file
    }

    /// Reads the directory anew.
    public func scan() throws(BackupError) {
        backups = []
        archives = []
        unreadable = []
        logs = Array(repeating: [], count: shardCount)
        snapshots = []
        catalogs = []
        unfinished = []
        foreign = []
        for name in try backing({ () throws(FileError) in try fileSystem.list(path) }) {
            try take(name)
        }
        for shard in logs.indices {
            logs[shard].sort { ($0.from, $1.to) < ($1.from, $0.to) }
        }
        catalogs.sort { ($0.ordinal, $0.count) < ($1.ordinal, $1.count) }
        backups.sort { $0.id < $1.id }
        archives.sort { $0.id < $1.id }
    }

    private func take(_ name: String) throws(BackupError) {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        if name.hasSuffix(".new") {
            unfinished.append(name)
        } else if name.hasPrefix(BackupManifest.backupPrefix)
            || name.hasPrefix(BackupManifest.archivePrefix)
        {
            try takeManifest(name)
        } else if parts.count == 4, let shard = Int(parts[1]), shard >= 0, shard < shardCount,
            let first = UInt64(parts[2], radix: 16), let second = UInt64(parts[3], radix: 16),
            parts[0] == "log" || parts[0] == "snapshot"
        {
            if parts[0] == "log" {
                logs[shard].append(LogFile(from: LSN(first), to: LSN(second), name: name))
            } else {
                snapshots.insert(
                    SnapshotFile(shard: shard, seq: first, lsn: second, name: name))
            }
        } else if parts.count == 3, parts[0] == "catalog",
            let ordinal = UInt64(parts[1], radix: 16), let count = UInt64(parts[2], radix: 16)
        {
            catalogs.append(CatalogFile(ordinal: ordinal, count: count, name: name))
        } else if ![Self.lockName, Self.markName, "lost+found"].contains(name) {
            foreign.append(name)
        }
    }

    private func takeManifest(_ name: String) throws(BackupError) {
        let bytes = try backing { () throws(FileError) in
            try fileSystem.open("\(path)/\(name)", .read).readAll()
        }
        do throws(StoreError) {
            let manifest = try BackupManifest.decode(bytes, path: "\(path)/\(name)")
            guard manifest.directory == directory, manifest.fileName == name,
                manifest.shards.count == shardCount
            else {
                throw BackupManifest.prefix.damage(
                    "\(path)/\(name)", 20, "the manifest of another repository or backup")
            }
            if manifest.kind == .archive {
                archives.append(manifest)
            } else {
                backups.append(manifest)
            }
        } catch {
            unreadable.append(.store(error))
        }
    }

    // MARK: Asking

    var identities: [LogIdentity] {
        (0..<shardCount).map { LogIdentity(directory: directory, shard: UInt32($0)) }
    }

    /// The points in time that the repository knows to be whole, by sequence.
    public var points: [BackupManifest] { (backups + archives).sorted { $0.seq < $1.seq } }

    func backup(_ id: UInt64) -> BackupManifest? { backups.first { $0.id == id } }

    /// The full backup that an incremental one stands on.
    public func full(of backup: BackupManifest) -> BackupManifest? {
        var current = backup
        while current.kind == .incremental {
            guard let parent = self.backup(current.parent), parent.id < current.id else {
                return nil
            }
            current = parent
        }
        return current
    }

    /// The files that hold `range` of a shard's log, in order; the first range that none holds when
    /// there is such.
    func files(shard: Int, _ range: Range<LSN>) -> (files: [LogFile], gap: Range<LSN>?) {
        var position = range.lowerBound
        var found: [LogFile] = []
        while position < range.upperBound {
            let next = logs[shard].filter { $0.from <= position && $0.to > position }
                .max { $0.to < $1.to }
            guard let next else {
                let rest = logs[shard].map(\.from).filter { $0 > position }.min()
                return (found, position..<min(rest ?? range.upperBound, range.upperBound))
            }
            found.append(next)
            position = next.to
        }
        return (found, nil)
    }

    /// The highest LSN that an unbroken run of files reaches from `lsn`; `lsn` when none begins there.
    public func end(shard: Int, from lsn: LSN) -> LSN {
        var position = lsn
        for file in logs[shard] where file.from <= position && file.to > position {
            position = file.to
        }
        return position
    }

    func reader(_ name: String) throws(BackupError) -> BackupObjectReader {
        do throws(StoreError) {
            return try BackupObjectReader(name, repository: path, fileSystem)
        } catch {
            if case .io(let cause) = error, cause.errno == .notFound {
                throw .missing("\(path)/\(name) is not there, and is needed")
            }
            throw .store(error)
        }
    }

    // MARK: Changing, under the lock

    /// Names a backup or the archive's reach, durably.
    public func write(_ manifest: BackupManifest) throws(BackupError) {
        try Self.write(manifest.encode(), as: manifest.fileName, in: path, fileSystem)
        if manifest.kind == .archive {
            archives.removeAll { $0.id == manifest.id }
            archives.append(manifest)
        } else {
            backups.append(manifest)
        }
    }

    func added(_ file: LogFile, shard: Int) {
        logs[shard].append(file)
        logs[shard].sort { ($0.from, $1.to) < ($1.from, $0.to) }
    }

    /// Removes files and makes that durable. What is not there is fine.
    public func remove(_ names: [String]) throws(BackupError) {
        guard !names.isEmpty else { return }
        try backing { () throws(FileError) in
            for name in names {
                do throws(FileError) {
                    try fileSystem.unlink("\(path)/\(name)")
                } catch {
                    if error.errno != .notFound { throw error }
                }
            }
            try fileSystem.syncDirectory(path)
        }
        try scan()
    }

    /// What interrupted work has left: unfinished files, and snapshots that no backup names.
    public var leftovers: [String] {
        let named = Set(
            backups.flatMap { backup in
                backup.shards.indices.compactMap { shard -> SnapshotFile? in
                    backup.shards[shard].snapshot.map { snapshot(shard, $0) }
                }
            })
        guard unreadable.isEmpty else { return unfinished }
        return unfinished + snapshots.subtracting(named).map(\.name).sorted()
    }

    func snapshot(_ shard: Int, _ snapshot: BackupManifest.Snapshot) -> SnapshotFile {
        let header = BackupObjectHeader(
            kind: .snapshot, identity: identities[shard], first: snapshot.seq.raw,
            second: snapshot.lsn.raw, dataCount: 0)
        return SnapshotFile(
            shard: shard, seq: snapshot.seq.raw, lsn: snapshot.lsn.raw, name: header.fileName)
    }
}
