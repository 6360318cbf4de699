// Reading a whole repository: every byte of every file, and whether the pieces fit together.
import KyroModel
import KyroPlatform

public struct BackupVerification: Equatable, Sendable {
    public struct Finding: Equatable, Sendable {
        /// A file, or a range of a log.
        public var subject: String
        public var problem: String
        /// Numbers of the backups that cannot be restored because of it.
        public var backups: [UInt64]
    }

    public var files = 0
    public var bytes: UInt64 = 0
    public var findings: [Finding] = []
}

extension BackupRepository {
    /// - Parameter progress: told the bytes read so far.
    public func verify(
        progress: (UInt64) -> Void = { _ in }
    ) throws(BackupError) -> BackupVerification {
        var result = BackupVerification()
        for problem in unreadable {
            result.findings.append(
                .init(subject: path, problem: "\(problem)", backups: []))
        }
        for name in foreign {
            result.findings.append(
                .init(
                    subject: "\(path)/\(name)", problem: "is not a file of a backup repository",
                    backups: []))
        }
        let names =
            snapshots.map(\.name).sorted() + logs.flatMap { $0 }.map(\.name) + catalogs.map(\.name)
        for name in names {
            do throws(BackupError) {
                result.bytes += try verify(name)
                result.files += 1
            } catch {
                result.findings.append(
                    .init(
                        subject: "\(path)/\(name)", problem: "\(error)", backups: users(of: name)))
            }
            progress(result.bytes)
        }
        for backup in backups { result.findings += gaps(of: backup) }
        return result
    }

    /// - Returns: bytes of the file.
    private func verify(_ name: String) throws(BackupError) -> UInt64 {
        let object = try reader(name)
        guard object.header.identity.directory == directory else {
            throw .damaged(
                .init(
                    path: object.path, finding: "a file of another data directory",
                    affected: "the backups that need it"))
        }
        try backingStore { () throws(StoreError) in
            switch object.header.kind {
            case .snapshot: while try object.next() != nil {}
            case .catalog: _ = try CatalogChange.decode(try object.readAll())
            case .log:
                var batches = ArchivedLogReader(try object.readAll(), object.header)
                while let batch = try batches.next() {
                    for range in batch.records { _ = try LogRecord.head(batches.bytes, range) }
                }
            }
        }
        return object.byteCount
    }

    /// What a backup names and the directory does not have.
    private func gaps(of backup: BackupManifest) -> [BackupVerification.Finding] {
        var findings: [BackupVerification.Finding] = []
        func add(_ subject: String, _ problem: String) {
            findings.append(.init(subject: subject, problem: problem, backups: [backup.id]))
        }
        guard let full = full(of: backup) else {
            add("backup \(backup.id)", "its full backup is not there")
            return findings
        }
        for shard in 0..<shardCount {
            if let snapshot = full.shards[shard].snapshot {
                let file = self.snapshot(shard, snapshot)
                if !snapshots.contains(file) { add("\(path)/\(file.name)", "is not there") }
            }
            let range = full.shards[shard].from..<backup.shards[shard].to
            if let gap = files(shard: shard, range).gap {
                add(
                    "log of shard \(shard), LSN \(gap.lowerBound) to \(gap.upperBound)",
                    "no file holds it")
            }
        }
        if !catalogs.contains(where: {
            $0.ordinal == backup.catalogOrdinal && $0.count >= backup.catalogCount
        }) {
            add("catalog \(backup.catalogOrdinal)", "no file holds it")
        }
        return findings
    }

    /// Backups that need a file.
    private func users(of name: String) -> [UInt64] {
        backups.filter { backup in
            guard let full = full(of: backup) else { return false }
            for shard in 0..<shardCount {
                if let snapshot = full.shards[shard].snapshot,
                    self.snapshot(shard, snapshot).name == name
                {
                    return true
                }
                let range = full.shards[shard].from..<backup.shards[shard].to
                if files(shard: shard, range).files.contains(where: { $0.name == name }) {
                    return true
                }
            }
            return catalogs.contains {
                $0.name == name && $0.ordinal == backup.catalogOrdinal
            }
        }.map(\.id)
    }
}
