// A new data directory that becomes one only at the end: without its manifest no server takes it.
import KyroModel
import KyroPlatform

public final class RepairTarget {
    public let path: String
    private let fileSystem: any FileSystem
    private let manifest: Manifest
    private var lock: (any File)?

    /// - Parameter path: missing or empty; its parent must exist.
    /// - Throws: `.notADataDirectory` when there is something in it.
    public init(
        _ path: String, fileSystem: any FileSystem, shardCount: Int, random: any RandomSource
    ) throws(StoreError) {
        self.path = path
        self.fileSystem = fileSystem
        lock = try storing { () throws(FileError) in
            try fileSystem.makeDirectory(path)
            return try fileSystem.open("\(path)/LOCK", .readWriteOrCreate)
        }
        manifest = Manifest(
            directory: DirectoryID(high: random.next(), low: random.next()),
            shards: Array(repeating: ShardManifest(), count: shardCount))
        let isLocked = try storing { () throws(FileError) in
            try lock?.lockExclusively() ?? false
        }
        guard isLocked else { throw .locked(path: path) }
        let names = try storing { () throws(FileError) in try fileSystem.list(path) }
        if let name = names.first(where: { $0 != "LOCK" && $0 != "lost+found" }) {
            throw .notADataDirectory(
                path: path, reason: "it holds \(name): choose a new or an empty directory")
        }
        try storing { () throws(FileError) in
            for shard in 0..<shardCount {
                try fileSystem.makeDirectory(DataDirectory.shardPath(path, shard))
            }
            try fileSystem.syncDirectory(path)
        }
    }

    public func openCatalog() throws(StoreError) -> CatalogLog {
        try CatalogLog.open(
            path: "\(path)/catalog.log", directory: path, fileSystem: fileSystem,
            id: manifest.directory)
    }

    /// An empty log, ready for appending.
    public func openLog(shard: Int) throws(StoreError) -> ShardLog {
        let log = try ShardLog.open(
            directory: DataDirectory.shardPath(path, shard), fileSystem: fileSystem,
            identity: LogIdentity(directory: manifest.directory, shard: UInt32(shard)))
        _ = try log.replay(from: .zero) { _ in }
        return log
    }

    /// Makes it a data directory and lets go of it.
    public func finish() throws(StoreError) {
        try manifest.write(to: path, fileSystem)
        lock = nil
    }
}
