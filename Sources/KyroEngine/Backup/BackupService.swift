// Backups of a running engine: one process that makes them, and ships the log in between.
import KyroModel
import KyroPlatform
import KyroStore

/// Owns the repository. Requests come from any thread; everything else happens in the process's
/// turns.
final class BackupService: Sendable {
    typealias Progress = @Sendable (CreateBackupResponse) -> Void
    typealias Completion = @Sendable (Result<BackupDescription, KyroError>) -> Void

    struct Request: Sendable {
        var isIncremental: Bool
        var cancellation: Cancellation
        var progress: Progress
        var completion: Completion
    }

    /// What the process and those who ask share.
    struct Shared: Sendable {
        var requests: [Request] = []
        var isStopping = false
        var status = BackupStatus()
        /// By shard; what is below is in the repository.
        var archivedLSN: [LSN] = []
        /// By shard; the log below may go.
        var holds: [LogHold?] = []
        /// Where each shard's archive goes on, as the repository had it at the start.
        var resumeLSN: [LSN] = []
    }

    /// A backup takes long: more than this many waiting is a mistake.
    static let requestsMax = 4

    let shared: Locked<Shared>
    let gate = Gate()
    private let configuration: EngineConfiguration
    private let repository: Locked<BackupRepository>
    private let process = Locked<(any ScheduledProcess)?>(nil)

    private init(
        _ configuration: EngineConfiguration, _ repository: consuming sending BackupRepository,
        _ shared: Shared
    ) {
        self.configuration = configuration
        self.repository = Locked(repository)
        self.shared = Locked(shared)
    }

    /// Opens the repository, so that a server that cannot make backups does not start.
    static func open(
        _ configuration: EngineConfiguration, _ directory: DataDirectory, _ files: any FileSystem,
        _ time: any Clock
    ) throws(KyroError) -> BackupService? {
        guard let path = configuration.backupsPath else {
            guard !configuration.isArchiving else {
                throw .invalid("archive", "needs a directory for backups: give --backups DIR")
            }
            return nil
        }
        guard path != configuration.path, !path.hasPrefix(configuration.path + "/") else {
            throw .invalid("backups", "is \(path), which must not lie in the data directory")
        }
        do throws(BackupError) {
            let repository = try BackupRepository.open(
                path, fileSystem: files, directory: directory.manifest.directory,
                shardCount: directory.shardCount)
            var shared = Shared()
            shared.holds = Array(repeating: nil, count: directory.shardCount)
            shared.status.repository = path
            shared.status.isArchiving = configuration.isArchiving
            if let last = repository.backups.last { shared.status.adopt(last) }
            if let reach = repository.archives.last {
                shared.status.archivedSeq = reach.seq
                shared.status.archivedTimeMillis = reach.wallMillis
            }
            let base = repository.backups.last { $0.kind == .full }
            shared.resumeLSN = (0..<directory.shardCount).map { shard in
                base.map { repository.end(shard: shard, from: $0.shards[shard].from) } ?? .zero
            }
            shared.archivedLSN = shared.resumeLSN
            return BackupService(configuration, repository, shared)
        } catch {
            throw error.kyroError
        }
    }

    /// Before the shard takes writes, so that no snapshot lets go of what was not archived yet.
    func recovered(_ shard: Int, _ log: ShardLog) {
        guard configuration.isArchiving else { return }
        shared.withLock { $0.holds[shard] = log.hold(from: $0.resumeLSN[shard]) }
    }

    func start(_ engine: Engine, _ scheduler: any Scheduler) {
        let worker = repository.withLock { repository in
            BackupWorker(self, engine, repository, engine.configuration)
        }
        let started = scheduler.start(name: "kyro-backup", priority: .background) { mayWait in
            worker.turn(mayWait: mayWait)
        }
        process.withLock { $0 = started }
    }

    /// Ends what is running; with an archive, ships what there is first.
    func stop() {
        shared.withLock { $0.isStopping = true }
        gate.open()
        process.withLock { $0 }?.join()
    }

    /// - Returns: false when too many wait.
    func ask(_ request: Request) -> Bool {
        let isTaken = shared.withLock { shared in
            guard !shared.isStopping, shared.requests.count < Self.requestsMax else { return false }
            shared.requests.append(request)
            return true
        }
        if isTaken { gate.open() }
        return isTaken
    }

    func status(_ shards: [Shard]) -> BackupStatus {
        shared.withLock { shared in
            var status = shared.status
            if status.isArchiving {
                for (shard, lsn) in zip(shards, shared.archivedLSN) {
                    let end = shard.log.endLSN
                    status.archiveLagBytes += end > lsn.raw ? end - lsn.raw : 0
                }
            }
            return status
        }
    }
}

extension BackupStatus {
    mutating func adopt(_ backup: BackupManifest) {
        lastID = backup.id
        lastSeq = backup.seq
        lastTimeMillis = backup.wallMillis
    }
}

extension Engine {
    /// Makes a backup while reads and writes go on; one at a time.
    ///
    /// - Parameters:
    ///   - progress: called now and then from a thread of the engine.
    ///   - cancellation: ends the backup and removes what it has written.
    public func createBackup(
        _ request: CreateBackupRequest, cancellation: Cancellation,
        progress: @escaping @Sendable (CreateBackupResponse) -> Void,
        completion: @escaping @Sendable (Result<BackupDescription, KyroError>) -> Void
    ) {
        guard let backups else {
            let error = KyroError(
                .backupRefused,
                "the server has no directory for backups: start it with --backups DIR")
            return completion(.failure(error))
        }
        let isTaken = backups.ask(
            BackupService.Request(
                isIncremental: request.isIncremental, cancellation: cancellation,
                progress: progress, completion: completion))
        if !isTaken { completion(.failure(Self.busy("too many backups are asked for"))) }
    }
}
