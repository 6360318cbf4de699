// The engine: collections over shards, each with its writer, its log and its indexes.
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore
import Synchronization

/// Everything between a request and its answer that is neither protocol nor HTTP. All calls are
/// safe from any thread; those that write answer through a completion, on a thread of the engine.
public final class Engine: Sendable {
    let configuration: EngineConfiguration
    let time: any Clock
    let expiry: ExpiryClock
    let files: any FileSystem
    let directory: DataDirectory
    let catalog: Catalog
    let clock: SequenceClock
    let commitTimes = Locked(CommitTimes())
    let router: any ShardRouter
    let shards: [Shard]
    let hashSeed: UInt64
    let budget: MemoryBudget
    /// Catalog changes; snapshots have a thread of their own, since they take long.
    let control: ControlThread
    let snapshots: ControlThread
    let snapshotInProgress = Atomic<Bool>(false)
    let snapshotRequests = Atomic<Int>(0)
    let tuningInProgress = Atomic<Bool>(false)
    let maintenance = Cancellation()
    let bulkBuilds: BulkBuilds
    /// Nil without a repository.
    let backups: BackupService?
    /// Opened when the scrub has something to look at before its time.
    let scrubGate = Gate()
    /// Opened when there may be recall to measure.
    let recallGate = Gate()

    /// Told what an operator should know and nobody asked for.
    let notice: @Sendable (String) -> Void
    /// Told once when recovery is over, whether or not every shard came through it.
    private let onRecovered: @Sendable () -> Void
    private let startedNanos: UInt64
    private let processes: Locked<[any ScheduledProcess]>
    private let recovering: Atomic<Int>
    private let isClosed = Atomic<Bool>(false)
    let scratches = ScratchPool()

    /// Opens or creates a data directory and starts to recover it; `isServing` tells when it is
    /// done. Throws when the directory cannot be used at all: locked by another server, of a newer
    /// format, with another number of shards, or with a damaged catalog.
    public init(
        _ configuration: EngineConfiguration, files: any FileSystem = PosixFileSystem(),
        time: any Clock = SystemClock(), scheduler: any Scheduler = ThreadScheduler(),
        random: any RandomSource = SystemRandomSource(),
        memory: any MemoryGauge = ProcessMemoryGauge(), hashSeed: UInt64,
        notice: @escaping @Sendable (String) -> Void = { _ in },
        onShardState: @escaping @Sendable (_ shard: Int, ShardState) -> Void = { _, _ in },
        onRecovered: @escaping @Sendable () -> Void = {}
    ) throws(KyroError) {
        self.configuration = configuration
        self.files = files
        self.time = time
        self.hashSeed = hashSeed
        self.notice = notice
        self.onRecovered = onRecovered
        startedNanos = time.monotonicNanos()
        budget = MemoryBudget(
            limitBytes: configuration.memoryLimitBytes, gauge: memory, time: time)
        do throws(StoreError) {
            directory = try DataDirectory.open(
                configuration.path, fileSystem: files, shardCount: configuration.shardCount,
                shardCountIfNew: configuration.shardCountIfNew, reserve: configuration.reserve,
                random: random)
        } catch {
            throw error.kyroError
        }
        bulkBuilds = BulkBuilds(
            rowsMin: configuration.bulkRowsMin, threads: configuration.bulkThreads,
            budget: budget)
        let shardCount = directory.shardCount
        clock = SequenceClock(shardCount: shardCount)
        expiry = ExpiryClock(
            time, logCount: shardCount, acceptsSystem: configuration.acceptsClock, notice: notice)
        router = HashRouter(shardCount: shardCount)
        shards = (0..<shardCount).map {
            Shard(
                index: $0, queueBytesMax: configuration.queueBytesMax, onState: onShardState)
        }
        catalog = try Catalog(
            directory: directory, expiry: expiry, acceptsClock: configuration.acceptsClock,
            clock: clock, hashSeed: hashSeed)
        backups = try BackupService.open(configuration, directory, files, time)
        recovering = Atomic(shardCount)
        processes = Locked([])
        if let tear = catalog.tear {
            notice(
                "the catalog's last write was torn; cut at LSN \(tear.lsn), offset \(tear.offset) "
                    + "of \(tear.path)")
        }
        // Nothing fails from here on: an engine that does not open leaves no thread behind.
        control = ControlThread(
            name: "kyro-control", weightMax: 64 << 20, scheduler: scheduler)
        snapshots = ControlThread(
            name: "kyro-snapshot", weightMax: 16, priority: .background, scheduler: scheduler)
        startProcesses(scheduler)
    }

    private func startProcesses(_ scheduler: any Scheduler) {
        var started: [any ScheduledProcess] = []
        for shard in shards {
            let writing = WriterProcess()
            started.append(
                scheduler.start(name: "kyro-write-\(shard.index)", priority: .normal) { mayWait in
                    self.writerTurn(of: shard, writing, mayWait: mayWait)
                })
            let folding = FoldingProcess(
                resources: shard.index == 0 ? ResourceMaintenance() : nil)
            started.append(
                scheduler.start(
                    name: "kyro-fold-\(shard.index)", priority: .background
                ) { mayWait in
                    self.foldingTurn(of: shard, folding, mayWait: mayWait)
                })
        }
        started += bulkBuilds.start(scheduler)
        let calibrator = RecallCalibrator(
            self, gate: recallGate, pauseMillis: configuration.recallPauseMillis)
        started.append(
            scheduler.start(name: "kyro-recall", priority: .background) { mayWait in
                calibrator.turn(mayWait: mayWait)
            })
        if configuration.scrubBytesPerSecond > 0 {
            let scrubber = Scrubber(
                self, bytesPerSecond: configuration.scrubBytesPerSecond,
                pauseMillis: configuration.scrubPauseMillis)
            started.append(
                scheduler.start(name: "kyro-scrub", priority: .background) { mayWait in
                    scrubber.turn(mayWait: mayWait)
                })
        }
        processes.withLock { $0 = started }
        backups?.start(self, scheduler)
    }

    /// How far a shard's writer process is.
    ///
    /// `@unchecked Sendable`: touched in the process's turns alone.
    private final class WriterProcess: @unchecked Sendable {
        var stage = Stage.recovering

        enum Stage {
            case recovering
            case writing(ShardWriter)
            case refusing
        }
    }

    /// The first turn recovers the shard; the others write until the queue closes.
    private func writerTurn(
        of shard: Shard, _ process: WriterProcess, mayWait: Bool
    ) -> Turn {
        switch process.stage {
        case .writing(let writer): return writer.turn(mayWait: mayWait)
        case .refusing: return refuseTurn(shard, mayWait: mayWait)
        case .recovering:
            do throws(KyroError) {
                let writer = try ShardRecovery(engine: self, shard: shard).run()
                process.stage = .writing(writer)
                backups?.recovered(shard.index, writer.log)
                shard.serve(log: writer.log)
                recoveryEnded(lastWallMillis: writer.log.lastWallMillis)
                shard.foldGate.open()
            } catch {
                process.stage = .refusing
                shard.setState(.stopped, problem: problem(error))
                notice("shard \(shard.index) is stopped: \(error.message)")
                recoveryEnded(lastWallMillis: 0)
            }
            return .again
        }
    }

    /// A shard may be stopped for want of memory alone; that is to be seen at once.
    private func problem(_ error: KyroError) -> String {
        error.reason == KyroError.Reason.shardStopped.rawValue ? error.message : "\(error)"
    }

    private func recoveryEnded(lastWallMillis: Int64) {
        expiry.learn(lastWallMillis)
        let open = recovering.subtract(1, ordering: .sequentiallyConsistent).newValue
        guard open == 0 else { return }
        if configuration.acceptsClock {
            // So that the next start, which nobody vouches for, goes on from here.
            for shard in shards {
                _ = shard.queue.push(.setTime, weight: 0, ignoresBound: true)
            }
        }
        onRecovered()
    }

    /// A shard that did not recover answers every write with the reason, so that nobody waits.
    private func refuseTurn(_ shard: Shard, mayWait: Bool) -> Turn {
        let refusal = shard.refusal ?? KyroError(.shardStopped, "shard \(shard.index) is stopped")
        let commands = shard.queue.popAll(timeoutMillis: mayWait ? nil : 0)
        for command in commands {
            switch command {
            case .write(let write):
                write.ticket.complete(write.items.map { ($0.position, .failed(refusal)) })
            case .flush(let completion): completion(.failure(refusal))
            case .producerSequence(_, let completion): completion(0)
            case .mark(let body): body(.failure(refusal))
            case .advance(let completion): completion(.failure(refusal))
            case .drop, .releaseLog, .setTime, .finish: continue
            }
        }
        if shard.queue.isDrained { return .finished }
        return commands.isEmpty ? .idle : .again
    }

    /// Whether recovery is over. A shard that could not be recovered does not keep others back.
    public var isServing: Bool { recovering.load(ordering: .sequentiallyConsistent) == 0 }

    /// Finishes what was accepted, seals the logs and lets go of the data directory. Nothing may be
    /// called afterwards.
    public func close() {
        guard !isClosed.exchange(true, ordering: .sequentiallyConsistent) else { return }
        // Before the rest: the archive's last round asks the shards for what they still hold.
        backups?.stop()
        maintenance.cancel()
        bulkBuilds.stop()
        scrubGate.open()
        recallGate.open()
        snapshots.stop()
        control.stop()
        for shard in shards {
            shard.queue.close()
            shard.foldGate.open()
        }
        for process in processes.withLock({ $0 }) { process.join() }
        directory.unlock()
    }

    // MARK: Shared by reads and writes

    func ensureServing() throws(KyroError) {
        guard isServing else {
            throw KyroError(
                .notServing, "the server is recovering its data; try again soon",
                retryAfterMillis: 200)
        }
    }

    /// - Parameter needed: shards that hold all there is to be seen; nil for all of them.
    func collection(
        of scope: Scope, inShards needed: Set<Int>? = nil
    ) throws(KyroError) -> Collection {
        try ensureServing()
        try NameValidation.check(scope)
        guard let collection = catalog.find(scope) else { throw Self.notFound(scope) }
        try refuseIfStopped(needed)
        return collection
    }

    /// With a shard missing, answers would lack its documents, and sequences that its log holds
    /// would be given out again.
    func refuseIfStopped(_ needed: Set<Int>? = nil) throws(KyroError) {
        for shard in shards
        where shard.state == .stopped && needed?.contains(shard.index) ?? true {
            throw shard.refusal ?? KyroError(.shardStopped, "shard \(shard.index) is stopped")
        }
    }

    static func notFound(_ scope: Scope) -> KyroError {
        KyroError(
            .collectionNotFound,
            "tenant \"\(scope.tenant)\" has no collection \"\(scope.namespace)\"; create it, or "
                + "write with create_if_missing",
            field: "scope.namespace")
    }

    /// Milliseconds since the engine was opened.
    public var uptimeMillis: UInt64 { (time.monotonicNanos() - startedNanos) / 1_000_000 }
}
