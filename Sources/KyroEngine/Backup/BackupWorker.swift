// The process that makes backups: takes requests, and in between lets the archive follow the log.
import KyroModel
import KyroPlatform
import KyroStore

/// `@unchecked Sendable`: touched in the process's turns alone.
final class BackupWorker: @unchecked Sendable {
    private let service: BackupService
    private let engine: Engine
    private let repository: BackupRepository
    private let configuration: EngineConfiguration
    private var job: BackupJob?
    private var request: BackupService.Request?
    private var nextArchiveNanos: UInt64 = 0
    /// The archive has to begin with a full backup.
    private var needsBase = false
    private var isLastRound = false
    private var progressNanos: UInt64 = 0

    private var failuresInARow = 0

    /// Before what failed is tried again, doubled with each failure: a full backup that finds no
    /// room has taken snapshots for nothing.
    private static let retryNanos: UInt64 = 5_000_000_000
    private static let doublingsMax = 6
    private static let progressNanos: UInt64 = 100_000_000

    init(
        _ service: BackupService, _ engine: Engine, _ repository: BackupRepository,
        _ configuration: EngineConfiguration
    ) {
        self.service = service
        self.engine = engine
        self.repository = repository
        self.configuration = configuration
    }

    func turn(mayWait: Bool) -> Turn {
        if let job { return step(job, mayWait: mayWait) }
        if service.shared.withLock({ $0.isStopping }) {
            refuseWaiting()
            guard configuration.isArchiving, !isLastRound, engine.isServing else {
                return .finished
            }
            isLastRound = true
            begin(.archive)
            return .again
        }
        guard engine.isServing else {
            if mayWait { _ = service.gate.wait(timeoutNanos: 10_000_000) }
            return .idle
        }
        if let next = service.shared.withLock({ shared in
            shared.requests.isEmpty ? nil : shared.requests.removeFirst()
        }) {
            request = next
            begin(next.isIncremental ? .incremental : .full)
            return .again
        }
        let now = engine.time.monotonicNanos()
        if configuration.isArchiving, now >= nextArchiveNanos {
            boundHolds()
            begin(needsBase ? .full : .archive)
            return .again
        }
        if mayWait {
            let wait = configuration.isArchiving ? nextArchiveNanos - now : 3_600_000_000_000
            _ = service.gate.wait(timeoutNanos: wait)
        }
        return .idle
    }

    private func begin(_ kind: BackupKind) {
        job = BackupJob(kind, engine, repository, service, isLast: isLastRound)
        service.shared.withLock { shared in
            shared.status.running = kind
            shared.status.bytesDone = 0
            shared.status.bytesTotal = 0
        }
    }

    private func step(_ job: BackupJob, mayWait: Bool) -> Turn {
        do throws(KyroError) {
            try request?.cancellation.check()
            if !isLastRound, job.kind != .archive || !configuration.isArchiving,
                service.shared.withLock({ $0.isStopping })
            {
                throw KyroError(.draining, "the server is stopping")
            }
            switch try job.step() {
            case .again:
                report(job)
                return .again
            case .waiting:
                report(job)
                if mayWait { _ = service.gate.wait(timeoutNanos: 5_000_000) }
                return .idle
            case .done(let manifest): finish(job, .success(manifest))
            }
        } catch {
            job.giveUp()
            finish(job, .failure(error))
        }
        return .again
    }

    private func report(_ job: BackupJob) {
        let (done, total) = (job.bytesDone, job.bytesTotal)
        service.shared.withLock { shared in
            shared.status.bytesDone = done
            shared.status.bytesTotal = total
        }
        let now = engine.time.monotonicNanos()
        guard let request, now >= progressNanos + Self.progressNanos else { return }
        progressNanos = now
        request.progress(CreateBackupResponse(bytesDone: done, bytesTotal: total))
    }

    private func finish(_ job: BackupJob, _ result: Result<BackupManifest?, KyroError>) {
        self.job = nil
        let asked = request
        request = nil
        let now = engine.time.monotonicNanos()
        var nextArchive = now + UInt64(configuration.archiveMillis) * 1_000_000
        switch result {
        case .success(let manifest):
            if job.kind == .full { needsBase = false }
            if asked == nil { failuresInARow = 0 }
            // A backup that somebody asked for says nothing about the archive.
            let isWell = !needsBase && !job.needsBase
            service.shared.withLock { shared in
                if isWell { shared.status.problem = "" }
                guard let manifest else { return }
                if manifest.kind == .archive {
                    shared.status.archivedSeq = manifest.seq
                    shared.status.archivedTimeMillis = manifest.wallMillis
                } else {
                    shared.status.adopt(manifest)
                }
            }
            if job.needsBase {
                needsBase = true
                nextArchive = now
            } else if let manifest, manifest.kind != .archive {
                nextArchive = min(nextArchive, nextArchiveNanos)
                asked?.completion(.success(job.description(of: manifest)))
            }
        case .failure(let error):
            if asked == nil {
                // The archive's own: it goes on, later.
                nextArchive = now + Self.retryNanos << min(failuresInARow, Self.doublingsMax)
                failuresInARow += 1
                if job.isBaseGone { needsBase = true }
                tell("the archive does not follow the log: \(error.message)")
            }
            asked?.completion(.failure(error))
        }
        nextArchiveNanos = nextArchive
        service.shared.withLock { $0.status.running = .none }
    }

    private func tell(_ problem: String) {
        let isNew = service.shared.withLock { shared in
            defer { shared.status.problem = problem }
            return shared.status.problem != problem
        }
        if isNew { engine.notice(problem) }
    }

    /// An archive that cannot follow, on a full disk, must not fill the other one too.
    private func boundHolds() {
        let archived = service.shared.withLock { $0.archivedLSN }
        for shard in engine.shards {
            let end = shard.log.endLSN
            let lsn = archived[shard.index].raw
            guard end > lsn, end - lsn > configuration.archiveLagBytesMax else { continue }
            let isHeld = service.shared.withLock { shared in
                defer { shared.holds[shard.index] = nil }
                return shared.holds[shard.index] != nil
            }
            if isHeld {
                needsBase = true
                tell(
                    "the archive is \(end - lsn) bytes behind the log of shard \(shard.index), more "
                        + "than --archive-lag-bytes: the log is let go, and the archive begins anew "
                        + "with a full backup")
            }
        }
    }

    private func refuseWaiting() {
        let waiting = service.shared.withLock { shared in
            defer { shared.requests = [] }
            return shared.requests
        }
        for request in waiting {
            request.completion(.failure(KyroError(.draining, "the server is stopping")))
        }
    }
}
