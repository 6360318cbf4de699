// Which snapshot files a shard has, and which it no longer needs.
import KyroModel
import KyroPlatform

public enum SnapshotFiles {
    static let prefix = "snapshot-"
    static let unfinishedSuffix = ".new"

    /// Sorts by sequence; the LSN tells two snapshots at one sequence apart.
    static func name(seq: Sequence, lsn: LSN) -> String {
        "\(prefix)\(digits(seq.raw))-\(digits(lsn.raw))"
    }

    private static func digits(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    /// Names of snapshot files in a shard's directory, oldest first, unfinished ones included.
    public static func list(
        directory: String, fileSystem: any FileSystem
    ) throws(StoreError) -> [String] {
        try storing { () throws(FileError) in
            try fileSystem.list(directory).filter { $0.hasPrefix(prefix) }
        }
    }

    /// Deletes what the manifest does not name. Not while a snapshot of this shard is being written.
    ///
    /// - Returns: the names deleted.
    @discardableResult
    public static func deleteUnnamed(
        directory: String, fileSystem: any FileSystem, shard: ShardManifest
    ) throws(StoreError) -> [String] {
        let kept = [shard.snapshot?.fileName, shard.previousSnapshot?.fileName]
        let surplus = try list(directory: directory, fileSystem: fileSystem).filter { name in
            !kept.contains(name)
        }
        try storing { () throws(FileError) in
            for name in surplus { try fileSystem.unlink("\(directory)/\(name)") }
        }
        return surplus
    }
}
