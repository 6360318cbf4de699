// A data directory: who may serve from it, what it holds, and where.
//
//   LOCK                   flock()ed while a server runs
//   MANIFEST               see Manifest.swift; written last when the directory is made
//   catalog.log            see CatalogLog.swift
//   RESERVE                see Reserve.swift; may be missing
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
    private let reserve: Reserve

    /// A bound on what a mistyped number can do; far above any number of cores.
    public static let shardsMax = 1_024

    private init(
        path: String, fileSystem: any FileSystem, isNew: Bool, lock: any File, manifest: Manifest,
        reserveBytes: Int
    ) {
        self.path = path
        self.fileSystem = fileSystem
        self.isNew = isNew
        self.lock = Locked(lock)
        state = Locked(manifest)
        reserve = Reserve(directory: path, fileSystem: fileSystem, byteCount: reserveBytes)
        // Without it the server serves all the same; on a full volume it is made later.
        try? reserve.make(isSure: isNew)
    }

    /// Opens the directory or makes it, and keeps other servers out.
    ///
    /// - Parameters:
    ///   - path: may be missing; its parent may not.
    ///   - shardCount: must match what is there; nil takes what is there.
    ///   - shardCountIfNew: for a new directory when `shardCount` is nil.
    ///   - reserve: bytes kept for what must be finished on a full volume.
    public static func open(
        _ path: String, fileSystem: any FileSystem, shardCount: Int? = nil,
        shardCountIfNew: Int = 1, reserve: ReserveSize = .none,
        random: any RandomSource = SystemRandomSource()
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
                path: path, fileSystem: fileSystem, isNew: true, lock: lock, manifest: manifest,
                reserveBytes: reserve.bytes(shardCount: wanted))
        }
        let bytes = try storing { () throws(FileError) in
            // A process that ended between a rename and the sync behind it left names that a power
            // cut would take back: nothing may be built on them, nor given up for them, before.
            try fileSystem.syncDirectory(path)
            return try file.readAll()
        }
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
            path: path, fileSystem: fileSystem, isNew: false, lock: lock, manifest: manifest,
            reserveBytes: reserve.bytes(shardCount: manifest.shards.count))
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
        var options = options
        let reserve = reserve
        options.onShortage = { shortage in reserve.giveUp(for: shortage) }
        return try ShardLog.open(
            directory: shardPath(shard), fileSystem: fileSystem,
            identity: identity(ofShard: shard), options: options)
    }

    public func openCatalog() throws(StoreError) -> CatalogLog {
        try CatalogLog.open(
            path: catalogPath, directory: path, fileSystem: fileSystem, id: manifest.directory)
    }

    // MARK: Shortage

    public var reserveState: ReserveState { reserve.state }

    /// Bytes that files on the volume may still take; nil when nobody knows.
    public var freeBytes: UInt64? { fileSystem.freeBytes(path) }

    /// Does what must be done even on a full volume, such as a step that frees space: gives the
    /// reserve up where it lacks room, and tries once more.
    public func finishing<Result>(
        _ body: () throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        do {
            return try body()
        } catch {
            guard reserve.giveUp(for: error) else { throw error }
            return try body()
        }
    }

    /// Makes the reserve again when it was given up and there is room. Any thread, now and then.
    public func restoreReserve() {
        if reserve.isWanted { try? reserve.make(isSure: false) }
    }

    // MARK: Manifest

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

    /// Replaces the manifest. After an error the one on disk is the old or the new one; where it
    /// may be the new one, `manifest` is the new one: it names no file that the old one needs and
    /// that could be given up.
    public func update(_ change: (inout Manifest) -> Void) throws(StoreError) {
        let failure: StoreError? = state.withLock { manifest in
            var next = manifest
            change(&next)
            precondition(
                next.shards.count == manifest.shards.count && next.directory == manifest.directory,
                "the number of shards and the id of a data directory are fixed")
            next.generation = manifest.generation + 1
            do throws(StoreError) {
                try finishing { () throws(StoreError) in try next.prepare(in: path, fileSystem) }
            } catch {
                return error
            }
            manifest = next
            do throws(StoreError) {
                try finishing { () throws(StoreError) in
                    try Manifest.install(in: path, fileSystem)
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
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

/// How much room a data directory keeps for what must be finished on a full volume.
public struct ReserveSize: Equatable, Sendable {
    public var bytes: Int
    public var bytesPerShard: Int

    public init(bytes: Int, bytesPerShard: Int) {
        precondition(bytes >= 0 && bytesPerShard >= 0, "\(bytes) and \(bytesPerShard) bytes")
        self.bytes = bytes
        self.bytesPerShard = bytesPerShard
    }

    public static let none = ReserveSize(bytes: 0, bytesPerShard: 0)
    /// A catalog written anew is a few megabytes at most, a seal and a manifest are a block each;
    /// the rest is for what the file system itself takes.
    public static let standard = ReserveSize(bytes: 8 << 20, bytesPerShard: 1 << 20)

    func bytes(shardCount: Int) -> Int { bytes + bytesPerShard * shardCount }
}
