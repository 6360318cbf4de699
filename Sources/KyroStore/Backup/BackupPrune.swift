// What of a repository may go: whole chains of backups, oldest first, and what only they needed.
import KyroModel
import KyroPlatform

public struct PrunePlan: Equatable, Sendable {
    /// Numbers of backups, newest first.
    public var backups: [UInt64] = []
    /// Files, in the order in which they may be removed at any speed: no backup that is still
    /// listed ever lacks something.
    public var files: [String] = []
    public var bytes: UInt64 = 0
}

extension BackupRepository {
    /// What goes when the newest `keep` full backups stay, each with its increments.
    ///
    /// - Parameter keep: at least 1.
    public func prunePlan(keep: Int) throws(BackupError) -> PrunePlan {
        precondition(keep >= 1, "\(keep) backups to keep")
        if let first = unreadable.first { throw first }
        var plan = PrunePlan()
        var names: [String] = leftovers
        let fulls = backups.filter { $0.kind == .full }
        guard fulls.count > keep else {
            plan.files = names
            plan.bytes = try byteCount(names)
            return plan
        }
        let oldest = fulls[fulls.count - keep]
        let gone = backups.filter { $0.id < oldest.id }.reversed()
        plan.backups = gone.map(\.id)
        // Newest first: an increment never outlives what it stands on.
        names += gone.map(\.fileName)
        names += archives.filter { $0.seq < oldest.baseSeq }.map(\.fileName)
        let kept = backups.filter { $0.id >= oldest.id }
        let neededSnapshots = Set(
            kept.flatMap { backup in
                backup.shards.indices.compactMap { shard in
                    backup.shards[shard].snapshot.map { snapshot(shard, $0) }
                }
            })
        names += snapshots.subtracting(neededSnapshots).map(\.name).sorted()
        for shard in logs.indices {
            let needed = kept.map { $0.shards[shard].from }.min() ?? .zero
            names += logs[shard].filter { $0.to <= needed }.map(\.name)
        }
        names += catalogs.filter { $0.ordinal < oldest.catalogOrdinal }.map(\.name)
        var seen: Set<String> = []
        plan.files = names.filter { seen.insert($0).inserted }
        plan.bytes = try byteCount(plan.files)
        return plan
    }

    /// Manifests first, so that nothing listed lacks a file; each group is durable before the next.
    public func prune(_ plan: PrunePlan) throws(BackupError) {
        let manifests = plan.files.filter {
            $0.hasPrefix(BackupManifest.backupPrefix) || $0.hasPrefix(BackupManifest.archivePrefix)
        }
        for name in manifests { try remove([name]) }
        try remove(plan.files.filter { !manifests.contains($0) })
    }

    private func byteCount(_ names: [String]) throws(BackupError) -> UInt64 {
        try backing { () throws(FileError) in
            var total: UInt64 = 0
            for name in names {
                total += try fileSystem.openIfPresent("\(path)/\(name)", .read)?.size() ?? 0
            }
            return total
        }
    }
}
