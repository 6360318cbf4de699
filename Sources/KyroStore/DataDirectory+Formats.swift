// Refuses a directory that a later version has written to, before anything in it is changed: recovery
// looks at one shard at a time, when other shards are already being written to.
import KyroPlatform

extension DataDirectory {
    /// Looks at the header of every segment and snapshot. What is damaged or cannot be read is left
    /// to recovery, which says so shard by shard.
    ///
    /// - Throws: `.newerFormat` alone.
    static func refuseNewerFormats(
        _ shardPaths: [String], _ fileSystem: any FileSystem
    ) throws(StoreError) {
        for directory in shardPaths {
            for name in (try? fileSystem.list(directory)) ?? [] {
                let path = "\(directory)/\(name)"
                if name.hasPrefix("log-") {
                    try refuseNewer(.segment, SegmentHeader.byteCount, path, fileSystem)
                } else if name.hasPrefix(SnapshotFiles.prefix) {
                    try refuseNewer(.snapshot, SnapshotFormat.headerCount, path, fileSystem)
                }
            }
        }
    }

    private static func refuseNewer(
        _ prefix: FilePrefix, _ headerCount: Int, _ path: String, _ fileSystem: any FileSystem
    ) throws(StoreError) {
        guard
            let bytes = try? fileSystem.open(path, .read).read(at: 0, count: headerCount),
            bytes.count == headerCount
        else { return }
        do throws(StoreError) {
            try prefix.check(bytes, path: path)
        } catch {
            if case .newerFormat = error { throw error }
        }
    }
}
