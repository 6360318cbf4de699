// One backup, or one round of the archive, step by step.
//
// 1. A full backup takes snapshots; every job keeps the log it is going to copy from being given up.
// 2. S is the highest sequence given out. Once every shard has published up to S, and has synced
//    what it published, the shards' logs hold every record up to S, and the catalog every change.
// 3. Those logs are copied, then the snapshots, then the catalog; the manifest comes last.
//
// Writing goes on all the while: what is logged after S may be copied too, and restoring leaves it
// out.
import KyroModel
import KyroPlatform
import KyroStore

/// `@unchecked Sendable`: touched in the backup process's turns alone; what answers on other threads
/// goes through `Locked`.
final class BackupJob: @unchecked Sendable {
    enum Step {
        case again
        /// For another process, which opens the service's gate.
        case waiting
        case done(BackupManifest?)
    }

    private enum Stage {
        case beginning
        case snapshotting
        case moment
        case settling
        case syncing
        case logs
        case snapshots
        case ending
    }

    let kind: BackupKind
    /// The archive's last round tells the time even when nothing has happened.
    private let isLast: Bool
    private let engine: Engine
    private let repository: BackupRepository
    private let service: BackupService
    private let startedNanos: UInt64
    private var stage = Stage.beginning
    private var lock: (any File)?
    /// What another process has answered.
    private let answer = Locked<Result<Void, KyroError>?>(nil)

    private var manifest: BackupManifest
    private var froms: [LSN] = []
    private var holds: [LogHold] = []
    private var logCopies: [LogCopy] = []
    private var snapshotCopies: [SnapshotCopy] = []
    private var copyIndex = 0
    /// Files that a backup which fails takes back.
    private var added: [String] = []
    private var catalogAtStart: (ordinal: UInt64, count: Int) = (0, 0)

    private(set) var bytesDone: UInt64 = 0
    private(set) var bytesTotal: UInt64 = 0
    /// The archive's round found nothing that it could go on from.
    private(set) var needsBase = false
    /// The log no longer reaches back to where the repository ends.
    private(set) var isBaseGone = false

    init(
        _ kind: BackupKind, _ engine: Engine, _ repository: BackupRepository,
        _ service: BackupService, isLast: Bool = false
    ) {
        self.kind = kind
        self.isLast = isLast
        self.engine = engine
        self.repository = repository
        self.service = service
        startedNanos = engine.time.monotonicNanos()
        let stored: BackupManifest.Kind =
            switch kind {
            case .none, .full: .full
            case .incremental: .incremental
            case .archive: .archive
            }
        manifest = BackupManifest(
            kind: stored, id: 0, directory: engine.directory.manifest.directory, seq: .zero,
            wallMillis: 0)
    }

    func step() throws(KyroError) -> Step {
        do throws(BackupError) {
            return try advance()
        } catch {
            throw error.kyroError
        }
    }

    private func advance() throws(BackupError) -> Step {
        switch stage {
        case .beginning: return try begin()
        case .snapshotting:
            guard try answered() else { return .waiting }
            try openSnapshots()
            stage = .moment
        case .moment:
            manifest.wallMillis = engine.expiry.nowMillis()
            manifest.seq = engine.clock.latest
            stage = .settling
        case .settling:
            guard engine.clock.stable >= manifest.seq else { return .waiting }
            ask { engine, done in engine.flush { result in done(result.map { _ in () }) } }
            stage = .syncing
        case .syncing:
            guard try answered() else { return .waiting }
            try openLogs()
            stage = .logs
        case .logs: try copyLog()
        case .snapshots: try copySnapshot()
        case .ending: return .done(try end())
        }
        return .again
    }

    /// Begins something whose answer comes on another thread.
    private func ask(
        _ body: (Engine, @escaping @Sendable (Result<Void, KyroError>) -> Void) -> Void
    ) {
        answer.withLock { $0 = nil }
        body(engine) { [answer, gate = service.gate] result in
            answer.withLock { $0 = result }
            gate.open()
        }
    }

    private func answered() throws(BackupError) -> Bool {
        switch answer.withLock({ $0 }) {
        case nil: return false
        case .success: return true
        case .failure(let error): throw .engine(error)
        }
    }

    // MARK: Where it begins

    private func begin() throws(BackupError) -> Step {
        for shard in engine.shards where shard.state == .stopped {
            throw .engine(
                shard.refusal ?? KyroError(.shardStopped, "shard \(shard.index) is stopped"))
        }
        if kind == .archive, repository.backups.isEmpty || !(isLast || hasNews) {
            if repository.backups.isEmpty { needsBase = true }
            return .done(nil)
        }
        lock = try repository.lock()
        if kind != .archive {
            try repository.scan()
            if let first = repository.unreadable.first { throw first }
            try repository.remove(repository.leftovers)
            manifest.id = (repository.backups.last?.id ?? 0) + 1
        }
        guard kind == .full else {
            try goOn()
            stage = .moment
            return .again
        }
        for shard in engine.shards {
            // The snapshots to be taken lie above those that are there.
            let lsn = engine.directory.manifest.shards[shard.index].replayLSN
            try hold(shard, from: lsn)
        }
        ask { engine, done in engine.snapshot { result in done(result.map { _ in () }) } }
        stage = .snapshotting
        return .again
    }

    /// Whether a round of the archive would add anything; now and then it only tells the time.
    private var hasNews: Bool {
        let (archived, millis) = service.shared.withLock {
            ($0.archivedLSN, $0.status.archivedTimeMillis)
        }
        return engine.expiry.nowMillis() - millis > 30_000
            || engine.clock.latest > service.shared.withLock { $0.status.archivedSeq }
            || zip(engine.shards, archived).contains { $0.log.endLSN > $1.raw }
    }

    /// From where an increment, or the archive, goes on.
    private func goOn() throws(BackupError) {
        guard let parent = repository.backups.last, let full = repository.full(of: parent) else {
            isBaseGone = true
            throw .refused("there is no backup yet to go on from: take a full one")
        }
        manifest.parent = kind == .incremental ? parent.id : 0
        for shard in engine.shards {
            let index = shard.index
            let end = repository.end(shard: index, from: full.shards[index].from)
            guard end >= parent.shards[index].to else {
                isBaseGone = true
                throw .missing(
                    "\(repository.path) lacks the log of shard \(index) from LSN \(end) on, which "
                        + "backup \(parent.id) needs: take a full backup")
            }
            try hold(shard, from: end)
            froms.append(end)
        }
        guard kind == .archive else { return }
        let last = repository.archives.last
        let isSameRun = last.map { last in
            froms.indices.allSatisfy { shard in
                last.shards[shard].to <= froms[shard]
                    && repository.end(shard: shard, from: last.shards[shard].to) == froms[shard]
            }
        }
        manifest.id = (last?.id ?? 0) + (isSameRun == true ? 0 : 1)
    }

    private func hold(_ shard: Shard, from lsn: LSN) throws(BackupError) {
        guard let log = shard.currentLog, let hold = log.hold(from: lsn) else {
            isBaseGone = true
            throw .refused(
                "the log of shard \(shard.index) no longer reaches back to LSN \(lsn), where "
                    + "\(repository.path) ends: take a full backup")
        }
        guard log.currentLSN >= lsn else {
            throw .refused(
                "the log of shard \(shard.index) ends at LSN \(log.currentLSN), and "
                    + "\(repository.path) holds it up to \(lsn): the data directory was replaced by "
                    + "an older one; choose another directory with --backups")
        }
        holds.append(hold)
    }

    /// Right after they were taken, so that no later ones push them out.
    private func openSnapshots() throws(BackupError) {
        for shard in engine.shards {
            let index = shard.index
            guard let reference = engine.directory.manifest.shards[index].snapshot else {
                throw .missing("shard \(index) has no snapshot after one was taken")
            }
            let stored = repository.has(reference, shard: index)
            manifest.shards.append(
                .init(
                    from: reference.lsn, to: reference.lsn,
                    snapshot: .init(
                        seq: reference.seq, lsn: reference.lsn, storedBytes: stored ?? 0)))
            manifest.baseSeq = max(manifest.baseSeq, reference.seq)
            froms.append(continuation(shard, behind: reference.lsn))
            guard stored == nil else { continue }
            let copy = try SnapshotCopy(
                repository, shard: index, reference: reference,
                directory: engine.directory.shardPath(index))
            snapshotCopies.append(copy)
            added.append(copy.name)
            bytesTotal += copy.byteCount
        }
    }

    /// Where copying the log has to begin: at the snapshot, or behind what is there already. An
    /// archive goes on from its end, so that no moment between is lost.
    private func continuation(_ shard: Shard, behind lsn: LSN) -> LSN {
        let there = repository.end(shard: shard.index, from: lsn)
        let resume = service.shared.withLock { shared in
            shared.holds[shard.index] == nil ? nil : shared.archivedLSN[shard.index]
        }
        guard engine.configuration.isArchiving, !repository.backups.isEmpty, let resume,
            resume < there
        else { return there }
        return repository.end(shard: shard.index, from: resume)
    }

    // MARK: Copying

    private func openLogs() throws(BackupError) {
        for shard in engine.shards {
            let from = froms[shard.index]
            guard let log = shard.currentLog else {
                throw .engine(
                    shard.refusal ?? KyroError(.shardStopped, "shard \(shard.index) is stopped"))
            }
            let reader: LogReader
            do throws(StoreError) {
                reader = try log.reader(from: from)
            } catch {
                throw .store(error)
            }
            logCopies.append(
                try LogCopy(repository, shard: shard.index, reader: reader, from: from))
            bytesTotal += log.syncedLSN.raw > from.raw ? log.syncedLSN.raw - from.raw : 0
        }
    }

    private func copyLog() throws(BackupError) {
        guard copyIndex < logCopies.count else {
            copyIndex = 0
            stage = .snapshots
            return
        }
        let copy = logCopies[copyIndex]
        let hasMore = try copy.step()
        bytesDone += copy.position > froms[copyIndex] ? copy.position.raw - froms[copyIndex].raw : 0
        froms[copyIndex] = max(froms[copyIndex], copy.position)
        if !hasMore { copyIndex += 1 }
    }

    private func copySnapshot() throws(BackupError) {
        guard copyIndex < snapshotCopies.count else {
            stage = .ending
            return
        }
        let copy = snapshotCopies[copyIndex]
        let before = copy.copiedBytes
        let hasMore = try copy.step()
        bytesDone += copy.copiedBytes - before
        guard !hasMore else { return }
        manifest.shards[copy.shard].snapshot?.storedBytes = copy.storedBytes
        manifest.addedBytes += copy.storedBytes
        copyIndex += 1
    }

    // MARK: The end

    private func end() throws(BackupError) -> BackupManifest {
        let catalog = engine.catalog.history
        if let file = try repository.write(catalog: catalog) {
            manifest.addedBytes += file.storedBytes
        }
        manifest.catalogOrdinal = catalog.ordinal
        manifest.catalogCount = UInt64(catalog.changes.count)
        if kind == .full {
            // The snapshots lack what was dropped before they were taken.
            for change in catalog.changes where change.seq <= manifest.seq {
                if case .dropped = change.record {
                    manifest.baseSeq = max(manifest.baseSeq, change.seq)
                }
            }
        }
        for (index, copy) in logCopies.enumerated() {
            manifest.addedBytes += copy.storedBytes
            if kind == .full {
                manifest.shards[index].to = max(manifest.shards[index].from, copy.position)
            } else {
                manifest.shards.append(.init(from: copy.start, to: copy.position))
            }
        }
        try repository.write(manifest)
        if kind == .archive {
            for shard in engine.shards { try repository.consolidate(shard: shard.index) }
        }
        if engine.configuration.isArchiving { archived() }
        lock = nil
        return manifest
    }

    /// The log below may go now, as far as the archive is concerned.
    private func archived() {
        for (index, copy) in logCopies.enumerated() {
            let log = engine.shards[index].currentLog
            service.shared.withLock { shared in
                shared.archivedLSN[index] = max(shared.archivedLSN[index], copy.position)
                if let hold = shared.holds[index] {
                    hold.move(to: copy.position)
                } else {
                    shared.holds[index] = log?.hold(from: copy.position)
                }
            }
            let lsn = engine.directory.manifest.shards[index].truncationLSN
            _ = engine.shards[index].queue.push(
                .releaseLog(before: lsn), weight: 0, ignoresBound: true)
        }
    }

    /// Takes back what was written, so that a disk that is full has room again. What the archive
    /// has shipped stays: it is whole, and the next round goes on behind it.
    func giveUp() {
        let isHeld = lock != nil
        let shipped = kind == .archive ? [] : logCopies.flatMap(\.names)
        // A manifest that could not be made durable goes first: nothing listed may lack a file.
        let named = kind == .archive || manifest.id == 0 ? [] : [manifest.fileName]
        let names = named + added + shipped
        logCopies = []
        snapshotCopies = []
        holds = []
        if isHeld {
            // What cannot be removed now is removed by the next backup.
            try? repository.scan()
            try? repository.remove(names + repository.leftovers)
            try? repository.scan()
        }
        lock = nil
    }

    func description(of manifest: BackupManifest) -> BackupDescription {
        var description = BackupDescription(id: manifest.id, kind: kind, seq: manifest.seq)
        description.parent = manifest.parent
        description.timeMillis = manifest.wallMillis
        description.bytes = manifest.addedBytes
        description.micros = (engine.time.monotonicNanos() - startedNanos) / 1_000
        return description
    }
}
