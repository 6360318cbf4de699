// What lies in a data directory, told by its manifest or, where that cannot be read, by the files.
import KyroModel
import KyroPlatform

/// Holds the directory's lock while it lives, and writes nothing.
public struct DirectorySurvey {
    public let path: String
    public let fileSystem: any FileSystem
    /// As the manifest says; without one, as the first readable log header does.
    public private(set) var id: DirectoryID
    public private(set) var shards: [ShardManifest]
    /// Why the manifest could not be used.
    public private(set) var manifestProblem: StoreError?
    private let lock: (any File)?

    /// - Throws: `.locked`, `.notADataDirectory`, `.newerFormat`, and what the file system refuses:
    ///   nothing can be said of the directory then.
    public init(_ path: String, fileSystem: any FileSystem) throws(StoreError) {
        self.path = path
        self.fileSystem = fileSystem
        // Read-only: flock(2) asks for no more, and nothing may change here.
        lock = try storing { () throws(FileError) in
            try fileSystem.openIfPresent("\(path)/LOCK", .read)
        }
        if let lock {
            let isLocked = try storing { () throws(FileError) in try lock.lockExclusively() }
            guard isLocked else { throw .locked(path: path) }
        }
        let names = try storing { () throws(FileError) in try fileSystem.list(path) }
        let isOurs = names.contains { name in
            name == Manifest.fileName || name == "catalog.log" || name.hasPrefix("shard-")
        }
        guard isOurs else {
            throw .notADataDirectory(path: path, reason: "nothing in it is KyroDB's")
        }
        do throws(StoreError) {
            let manifest = try Self.readManifest(path, fileSystem)
            (id, shards) = (manifest.directory, manifest.shards)
        } catch {
            guard case .damaged = error else { throw error }
            manifestProblem = error
            (id, shards) = try Self.reconstruct(path, names, fileSystem)
        }
    }

    public func shardPath(_ shard: Int) -> String { DataDirectory.shardPath(path, shard) }
    public var catalogPath: String { "\(path)/catalog.log" }

    public func identity(ofShard shard: Int) -> LogIdentity {
        LogIdentity(directory: id, shard: UInt32(shard))
    }

    private static func readManifest(
        _ path: String, _ fileSystem: any FileSystem
    ) throws(StoreError) -> Manifest {
        let manifestPath = "\(path)/\(Manifest.fileName)"
        let found = try storing { () throws(FileError) in
            try fileSystem.openIfPresent(manifestPath, .read)
        }
        guard let found else { throw FilePrefix.manifest.damage(manifestPath, 0, "it is missing") }
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try found.readAll()
        } catch {
            throw FilePrefix.manifest.damage(manifestPath, error.offset ?? 0, "\(error)")
        }
        return try Manifest.decode(bytes, path: manifestPath)
    }

    /// The shards that have directories, and in each the two newest snapshots that are complete.
    private static func reconstruct(
        _ path: String, _ names: [String], _ fileSystem: any FileSystem
    ) throws(StoreError) -> (DirectoryID, [ShardManifest]) {
        let numbers = names.filter { $0.hasPrefix("shard-") }.compactMap {
            Int($0.dropFirst("shard-".count))
        }
        var id: DirectoryID?
        if let identity = identity(of: "\(path)/catalog.log", fileSystem) {
            id = identity.directory
        }
        for number in numbers {
            let directory = DataDirectory.shardPath(path, number)
            let ordinals = try storing { () throws(FileError) in
                try SegmentFiles.ordinals(in: directory, fileSystem)
            }
            for ordinal in ordinals where id == nil {
                let segment = SegmentFiles.path(directory, ordinal: ordinal)
                id = identity(of: segment, fileSystem)?.directory
            }
        }
        guard let id, let last = numbers.max(), last < DataDirectory.shardsMax else {
            throw .notADataDirectory(
                path: path, reason: "neither its manifest nor the header of any log can be read")
        }
        var shards = Array(repeating: ShardManifest(), count: last + 1)
        for number in numbers {
            let directory = DataDirectory.shardPath(path, number)
            let references = try SnapshotFiles.list(directory: directory, fileSystem: fileSystem)
                .compactMap(SnapshotFiles.reference(named:))
                .sorted { ($0.seq, $0.lsn) < ($1.seq, $1.lsn) }
            let identity = LogIdentity(directory: id, shard: UInt32(number))
            let complete = references.filter { reference in
                (try? SnapshotReader(
                    directory: directory, fileSystem: fileSystem, identity: identity,
                    reference: reference)) != nil
            }
            shards[number] = ShardManifest(
                snapshot: complete.last,
                previousSnapshot: complete.count > 1 ? complete[complete.count - 2] : nil)
        }
        return (id, shards)
    }

    private static func identity(
        of path: String, _ fileSystem: any FileSystem
    ) -> LogIdentity? {
        guard let file = try? fileSystem.openIfPresent(path, .read),
            let bytes = try? file.read(at: 0, count: SegmentHeader.byteCount)
        else { return nil }
        return (try? SegmentHeader.decode(bytes, path: path))?.identity
    }
}

extension SnapshotFiles {
    /// What a complete snapshot's name says; nil for other names.
    static func reference(named name: String) -> SnapshotReference? {
        guard name.hasPrefix(prefix) else { return nil }
        let parts = name.dropFirst(prefix.count).split(
            separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 16 }),
            let seq = UInt64(parts[0], radix: 16), let lsn = UInt64(parts[1], radix: 16)
        else { return nil }
        return SnapshotReference(fileName: name, seq: Sequence(seq), lsn: LSN(lsn))
    }
}
