// A data directory: who may serve from it, what it holds, and where.
//
//   LOCK                   flock()ed while a server runs
//   MANIFEST               see Manifest.swift; written last when the directory is made
//   catalog.log            see CatalogLog.swift
//   shard-0000/ …          one per shard: log segments (SegmentFiles.swift) and snapshots
import KyroModel
import KyroPlatform

public final class DataDirectory: Sendable {
    public let path: String
    public let fileSystem: any FileSystem
    /// Whether this start has made it.
    public let isNew: Bool
    /// Held until `unlock`, or for as long as this object lives.
    private let lock: Locked<(any File)?>
    private let state: Locked<Manifest>

    /// A bound on what a mistyped number can do; far above any number of cores.
    public static let shardsMax = 1_024

    private init(
        path: String, fileSystem: any FileSystem, isNew: Bool, lock: any File, manifest: Manifest
    ) {
        self.path = path
        self.fileSystem = fileSystem
        self.isNew = isNew
        self.lock = Locked(lock)
        state = Locked(manifest)
    }

    /// Opens the directory or makes it, and keeps other servers out.
    ///
    /// - Parameters:
    ///   - path: may be missing; its parent may not.
    ///   - shardCount: must match what is there; nil takes what is there.
    ///   - shardCountIfNew: for a new directory when `shardCount` is nil.
    public static func open(
        _ path: String, fileSystem: any FileSystem, shardCount: Int? = nil,
        shardCountIfNew: Int = 1, random: any RandomSource = SystemRandomSource()
    ) throws(StoreError) -> DataDirectory {
        let wanted = shardCount ?? shardCountIfNew
        precondition(wanted >= 1 && wanted <= shardsMax, "\(wanted) shards")
        let (lock, isLocked) = try storing { () throws(FileError) in
            try fileSystem.makeDirectory(path)
            let lock = try fileSystem.open("\(path)/LOCK", .readWriteOrCreate)
            return (lock, try lock.lockExclusively())
        }
        guard isLocked else { throw .locked(path: path) }
        let manifestPath = "\(path)/\(Manifest.fileName)"
        let file = try storing { () throws(FileError) in
            try fileSystem.openIfPresent(manifestPath, .read)
        }
        guard let file else {
            let manifest = try make(path, fileSystem, shardCount: wanted, random: random)
            return DataDirectory(
                path: path, fileSystem: fileSystem, isNew: true, lock: lock, manifest: manifest)
        }
        // The names of manifest and catalog may be known to the cache alone, after a kill or a
        // failed sync; what is acknowledged from here on stands on them.
        try storing { () throws(FileError) in try fileSystem.syncDirectory(path) }
        let bytes = try storing { () throws(FileError) in try file.readAll() }
        let manifest = try Manifest.decode(bytes, path: manifestPath)
        if let shardCount, shardCount != manifest.shards.count {
            throw .shardCountMismatch(
                path: path, found: manifest.shards.count, asked: shardCount)
        }
        // Before anything is written.
        try refuseNewerFormats(
            catalog: "\(path)/catalog.log",
            shards: manifest.shards.indices.map { shardPath(path, $0) }, fileSystem)
        return DataDirectory(
            path: path, fileSystem: fileSystem, isNew: false, lock: lock, manifest: manifest)
    }

    /// Lets another server have the directory. Nothing may be written to it afterwards.
    public func unlock() { lock.withLock { $0 = nil } }

    public var manifest: Manifest { state.withLock { $0 } }
    public var shardCount: Int { manifest.shards.count }
    public var catalogPath: String { "\(path)/catalog.log" }

    public func shardPath(_ shard: Int) -> String { Self.shardPath(path, shard) }

    public func identity(ofShard shard: Int) -> LogIdentity {
        LogIdentity(directory: manifest.directory, shard: UInt32(shard))
    }

    public func openLog(
        shard: Int, options: ShardLog.Options = ShardLog.Options()
    ) throws(StoreError) -> ShardLog {
        try ShardLog.open(
            directory: shardPath(shard), fileSystem: fileSystem,
            identity: identity(ofShard: shard), options: options)
    }

    public func openCatalog() throws(StoreError) -> CatalogLog {
        try CatalogLog.open(
            path: catalogPath, directory: path, fileSystem: fileSystem, id: manifest.directory)
    }

    /// Names a finished snapshot as the latest one of its shard. Any thread; shards may do this at
    /// the same time.
    ///
    /// - Parameter previous: the one to keep besides, known to be good; nil when there is none, and
    ///   the whole log is kept.
    public func adopt(
        _ snapshot: SnapshotReference, over previous: SnapshotReference?, shard: Int
    ) throws(StoreError) {
        try update { manifest in
            // A snapshot that is written anew at the same place replaces its own file.
            let other =
                previous?.fileName == snapshot.fileName
                ? manifest.shards[shard].previousSnapshot : previous
            manifest.shards[shard] = ShardManifest(snapshot: snapshot, previousSnapshot: other)
        }
    }

    /// Replaces the manifest. After an error the one on disk is the old or the new one.
    public func update(_ change: (inout Manifest) -> Void) throws(StoreError) {
        let result: Result<Void, StoreError> = state.withLock { manifest in
            var next = manifest
            change(&next)
            precondition(
                next.shards.count == manifest.shards.count && next.directory == manifest.directory,
                "the number of shards and the id of a data directory are fixed")
            next.generation = manifest.generation + 1
            do throws(StoreError) {
                try next.write(to: path, fileSystem)
                manifest = next
                return .success(())
            } catch {
                // The new one may have taken its place: what it names must not be given up. All that
                // the old one names and this one does not is the older of two snapshots.
                manifest = next
                return .failure(error)
            }
        }
        try result.get()
    }

    static func shardPath(_ path: String, _ shard: Int) -> String {
        let digits = String(shard)
        return "\(path)/shard-\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)"
    }

    /// Shard directories first and the manifest last: without it nothing is there yet.
    private static func make(
        _ path: String, _ fileSystem: any FileSystem, shardCount: Int, random: any RandomSource
    ) throws(StoreError) -> Manifest {
        try refuseForeignFiles(path, fileSystem)
        try storing { () throws(FileError) in
            for shard in 0..<shardCount {
                try fileSystem.makeDirectory(shardPath(path, shard))
            }
            try fileSystem.syncDirectory(path)
        }
        let manifest = Manifest(
            directory: DirectoryID(high: random.next(), low: random.next()),
            shards: Array(repeating: ShardManifest(), count: shardCount))
        try manifest.write(to: path, fileSystem)
        return manifest
    }

    /// A directory without a manifest may hold what an interrupted start has made, and no more.
    private static func refuseForeignFiles(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(StoreError) {
        for name in try storing({ () throws(FileError) in try fileSystem.list(path) }) {
            if name == "LOCK" || name == Manifest.unfinishedName || name == "lost+found" {
                continue
            }
            let isShard = name.hasPrefix("shard-")
            if isShard || name == "catalog.log" {
                let held = try storing { () throws(FileError) in
                    isShard ? try fileSystem.list("\(path)/\(name)") : [name]
                }
                if held.isEmpty { continue }
                throw .notADataDirectory(
                    path: path,
                    reason: "it holds \(name) and no MANIFEST: restore it from a backup")
            }
            throw .notADataDirectory(
                path: path,
                reason: "it holds \(name), which is not KyroDB's: choose an empty directory")
        }
    }
}
