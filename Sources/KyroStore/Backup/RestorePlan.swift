// Deciding what a restore takes from where, before anything is written.
//
// A state at sequence S is the newest full backup whose snapshots hold nothing above S, and every
// record of the log from there up to S. That the log is whole up to S is known from a point at or
// above S: a backup, the archive's reach, or the log of the data directory itself.
import KyroModel
import KyroPlatform

public enum RestoreTarget: Equatable, Sendable {
    case seq(Sequence)
    /// Unix milliseconds: the highest sequence that was logged by then.
    case time(Int64)
}

public struct RestoreRequest: Sendable {
    /// The data directory to be made.
    public var to: String
    /// Nil for the newest state.
    public var target: RestoreTarget?
    /// Number of the backup to stand on; nil for the newest that fits.
    public var backup: UInt64?
    /// The data directory that the backups come from, for what was not archived yet.
    public var logFrom: String?
    /// Replace a data directory that is there.
    public var force = false
    public var logSegmentBytes: Int?

    public init(to: String) { self.to = to }
}

struct RestorePlan {
    var base: BackupManifest
    var seq: Sequence
    /// By shard, where the repository's part of the log ends.
    var ends: [LSN]
    /// By shard, the files that hold the log from the snapshot to `ends`.
    var files: [[BackupRepository.LogFile]]
    /// The log goes on in the data directory that is named.
    var logFrom: String?
    /// The catalog's state at `seq`.
    var catalog: CatalogState
}

/// Finds the plan. One thread.
struct RestorePlanner {
    let repository: BackupRepository
    let request: RestoreRequest

    func plan() throws(BackupError) -> RestorePlan {
        if let first = repository.unreadable.first { throw first }
        if let id = request.backup, repository.backup(id) == nil {
            throw .refused("there is no backup \(id) in \(repository.path); see backup list")
        }
        guard let newestBase = repository.backups.last(where: { $0.kind == .full }) else {
            throw .refused("\(repository.path) has no full backup, so nothing can be restored")
        }
        let seq = try targetSeq(newestBase)
        let base = try self.base(for: seq)
        let point = try self.point(for: seq)
        var plan = RestorePlan(
            base: base, seq: seq, ends: [], files: [], logFrom: nil, catalog: CatalogState())
        if point == nil { plan.logFrom = request.logFrom }
        for shard in 0..<repository.shardCount {
            let from = base.shards[shard].from
            let to = point?.shards[shard].to ?? repository.end(shard: shard, from: from)
            let (files, gap) = repository.files(shard: shard, from..<max(from, to))
            if let gap {
                throw .missing(
                    "the log of shard \(shard) from LSN \(gap.lowerBound) to \(gap.upperBound) is "
                        + "needed for sequence \(seq.raw) and no file of \(repository.path) holds "
                        + "it")
            }
            plan.files.append(files)
            plan.ends.append(to)
        }
        plan.catalog = try catalog(at: seq)
        return plan
    }

    // MARK: Which sequence

    private func targetSeq(_ newestBase: BackupManifest) throws(BackupError) -> Sequence {
        switch request.target {
        case .seq(let seq):
            if request.logFrom != nil, seq > repository.points.last?.seq ?? .zero {
                let reach = try reachWithLog(newestBase)
                guard seq <= reach else {
                    throw .refused(
                        "the log ends at sequence \(reach.raw), and \(seq.raw) was asked for")
                }
            }
            return seq
        case .time(let millis): return try seq(at: millis)
        case nil:
            if let id = request.backup, let backup = repository.backup(id) { return backup.seq }
            let newest = repository.points.last?.seq ?? newestBase.seq
            return request.logFrom == nil ? newest : try reachWithLog(newestBase)
        }
    }

    /// The highest sequence of the repository and of the data directory.
    private func reachWithLog(_ base: BackupManifest) throws(BackupError) -> Sequence {
        var reach = repository.points.last?.seq ?? .zero
        for tail in try tails(base) { reach = max(reach, tail.lastSeq) }
        for change in try changes() { reach = max(reach, change.seq) }
        return reach
    }

    /// The highest sequence of a batch that was logged at or before the time.
    private func seq(at millis: Int64) throws(BackupError) -> Sequence {
        let reach = repository.points.map(\.wallMillis).max() ?? 0
        if millis > reach, request.logFrom == nil {
            throw .refused(
                "the repository reaches to Unix time \(reach) ms, and \(millis) was asked for; "
                    + "ask for an earlier time, or give the data directory with --log-from")
        }
        var found = repository.backups.filter { $0.kind == .full && $0.wallMillis <= millis }
            .map(\.baseSeq).max()
        func consider(_ seq: Sequence) { found = max(found ?? .zero, seq) }
        for shard in 0..<repository.shardCount {
            for file in repository.logs[shard].reversed() {
                let object = try repository.reader(file.name)
                let header = object.header
                guard header.latestMillis != 0, header.earliestMillis <= millis else { continue }
                if header.latestMillis <= millis {
                    consider(header.lastSeq)
                } else {
                    consider(try lastSeq(in: object, at: millis))
                }
                break
            }
        }
        for change in try changes() where change.wallMillis != 0 && change.wallMillis <= millis {
            consider(change.seq)
        }
        if request.logFrom != nil,
            let base = repository.backups.last(where: { $0.kind == .full })
        {
            for tail in try tails(base, millis: millis) where tail.lastSeq > .zero {
                consider(tail.lastSeq)
            }
        }
        guard let found else {
            throw .refused("Unix time \(millis) ms lies before everything in \(repository.path)")
        }
        return found
    }

    private func lastSeq(
        in object: BackupObjectReader, at millis: Int64
    ) throws(BackupError) -> Sequence {
        try backingStore { () throws(StoreError) in
            var last = Sequence.zero
            var batches = ArchivedLogReader(try object.readAll(), object.header)
            while let batch = try batches.next(), batch.wallMillis <= millis {
                guard let range = batch.records.last else { continue }
                last = max(last, try LogRecord.head(batches.bytes, range).seq)
            }
            return last
        }
    }

    // MARK: From where

    private func base(for seq: Sequence) throws(BackupError) -> BackupManifest {
        if let id = request.backup, let backup = repository.backup(id) {
            guard let full = repository.full(of: backup) else {
                throw .missing("the full backup that backup \(id) stands on is not there")
            }
            guard full.baseSeq <= seq else {
                throw .refused(
                    "backup \(id) begins at sequence \(full.baseSeq.raw), above \(seq.raw); leave "
                        + "--backup out, or choose an earlier one")
            }
            return full
        }
        let fulls = repository.backups.filter { $0.kind == .full }
        guard let base = fulls.last(where: { $0.baseSeq <= seq }) else {
            let least = fulls.map(\.baseSeq).min() ?? .zero
            throw .refused(
                "the oldest full backup begins at sequence \(least.raw); \(seq.raw) lies before it")
        }
        return base
    }

    /// The lowest point that tells that the log is whole up to `seq`; nil when the data directory
    /// is to tell.
    private func point(for seq: Sequence) throws(BackupError) -> BackupManifest? {
        if let point = repository.points.first(where: { $0.seq >= seq }) { return point }
        let reach = repository.points.last?.seq ?? .zero
        guard request.logFrom != nil else {
            throw .refused(
                "the repository reaches to sequence \(reach.raw), and \(seq.raw) was asked for; "
                    + "ask for that, or give the data directory with --log-from")
        }
        return nil
    }

    /// What the data directory's logs hold behind the repository's.
    private func tails(
        _ base: BackupManifest, millis: Int64 = .max
    ) throws(BackupError) -> [(shard: Int, lastSeq: Sequence)] {
        guard let logFrom = request.logFrom else { return [] }
        var tails: [(shard: Int, lastSeq: Sequence)] = []
        for shard in 0..<repository.shardCount {
            let end = repository.end(shard: shard, from: base.shards[shard].from)
            tails.append(
                (
                    shard,
                    try backingStore { () throws(StoreError) in
                        var reader = try repository.tail(of: logFrom, shard: shard, from: end)
                        var last = Sequence.zero
                        while let batch = try reader.next(), batch.wallMillis <= millis {
                            guard let range = batch.records.last else { continue }
                            last = max(last, try LogRecord.head(batch.segmentBytes, range).seq)
                        }
                        return last
                    }
                ))
        }
        return tails
    }

    // MARK: Catalog

    /// Of the newest file, and of the data directory when that goes on from it.
    private func changes() throws(BackupError) -> [CatalogChange] {
        if let logFrom = request.logFrom {
            return try backingStore { () throws(StoreError) in
                try CatalogChange.read(
                    path: "\(logFrom)/catalog.log", fileSystem: repository.fileSystem,
                    id: repository.directory
                ).changes
            }
        }
        guard let newest = repository.catalogs.last else { return [] }
        return try read(newest)
    }

    private func read(_ file: BackupRepository.CatalogFile) throws(BackupError) -> [CatalogChange] {
        let object = try repository.reader(file.name)
        return try backingStore { () throws(StoreError) in
            try CatalogChange.decode(try object.readAll())
        }
    }

    /// A catalog that was written anew above `seq` begins above it; the one before tells.
    private func catalog(at seq: Sequence) throws(BackupError) -> CatalogState {
        var candidates: [[CatalogChange]] = []
        if request.logFrom != nil { candidates.append(try changes()) }
        for file in repository.catalogs.reversed() {
            if let last = candidates.last, (last.first?.seq ?? .zero) <= seq { break }
            candidates.append(try read(file))
        }
        guard let changes = candidates.last(where: { ($0.first?.seq ?? .zero) <= seq }) else {
            throw .missing("no file of \(repository.path) tells the catalog at \(seq.raw)")
        }
        return try backingStore { () throws(StoreError) in
            try CatalogChange.state(changes, upTo: seq)
        }
    }
}

extension BackupRepository {
    /// The log of the data directory at `path`, which nobody serves.
    func tail(of path: String, shard: Int, from lsn: LSN) throws(StoreError) -> LogReader {
        try LogReader(
            directory: DataDirectory.shardPath(path, shard), fileSystem: fileSystem,
            identity: identities[shard], from: lsn)
    }
}
