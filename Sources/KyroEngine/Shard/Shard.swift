// What everybody sees of a shard: its queue, what it has published, how it fares.
import KyroModel
import KyroPlatform
import KyroStore
import Synchronization

/// A shard while the engine runs. Its writer thread owns the log and all changes; see ShardWriter.
final class Shard: Sendable {
    let index: Int
    let queue: BlockingQueue<ShardCommand>
    /// Opened when there may be rows to fold.
    let foldGate = Gate()

    private let publishedSeq = Atomic<UInt64>(0)
    private let durableSeq = Atomic<UInt64>(0)
    private let health = Locked(Health())
    let replayedRecords = Atomic<Int>(0)
    let graphRowsInserted = Atomic<Int>(0)
    let recovery = Locked(RecoveryProgress())
    /// Rebuilds that took their part's place, since the start.
    let rebuilds = Atomic<Int>(0)
    let rebuildRowsLeft = Atomic<Int>(0)
    /// Memory of a part that is being made, of those that readers still hold after their
    /// replacement, and about what dead rows take.
    let rebuildBytes = Atomic<Int>(0)
    let retiredBytes = Atomic<Int>(0)
    let deadBytes = Atomic<Int>(0)
    let retired = Locked<[CollectionShard]>([])
    /// Of snapshots that are being written.
    let repairHolds = Locked<[Sequence]>([])
    /// Written by the scrub.
    let scrub = Locked(ScrubState())
    private let logState = Locked(LogState())
    /// Once the shard has recovered.
    private let shortageText = Locked("")
    private let openLog = Locked<ShardLog?>(nil)

    private struct Health {
        var state = ShardState.recovering
        var problem = ""
    }

    /// How far a start has got.
    struct RecoveryProgress: Sendable {
        var phase = RecoveryPhase.waiting
        var bytesDone: UInt64 = 0
        var bytesTotal: UInt64 = 0
        var phaseStartNanos: UInt64 = 0
        var loadNanos: UInt64 = 0
        var replayNanos: UInt64 = 0
        /// When the log was last told.
        var toldNanos: UInt64 = 0

        mutating func begin(_ next: RecoveryPhase, bytesTotal: UInt64 = 0, nowNanos: UInt64) {
            let taken = nowNanos - phaseStartNanos
            if phase == .loadingSnapshot { loadNanos += taken }
            if phase == .replayingLog { replayNanos += taken }
            phase = next
            phaseStartNanos = nowNanos
            toldNanos = nowNanos
            bytesDone = 0
            self.bytesTotal = bytesTotal
        }
    }

    struct LogState: Sendable {
        var endLSN: UInt64 = 0
        var syncedLSN: UInt64 = 0
        var diskBytes: UInt64 = 0
        var snapshotSeq = Sequence.zero
        var snapshotLSN: UInt64 = 0
        var snapshotBytes: UInt64 = 0
        var snapshotPostponedLSN: UInt64 = 0
        /// The latest snapshot that is known to be readable.
        var base: SnapshotReference?
        /// The start met damage: a new snapshot is wanted as soon as nothing is left to fold.
        var needsSnapshot = false
        /// Not before, since the last attempt failed.
        var snapshotRetryNanos: UInt64 = 0
    }

    /// Told of every change of `state`, by the thread that made it.
    private let onState: @Sendable (_ index: Int, ShardState) -> Void

    init(
        index: Int, queueBytesMax: Int,
        onState: @escaping @Sendable (_ index: Int, ShardState) -> Void
    ) {
        self.index = index
        self.onState = onState
        queue = BlockingQueue(weightMax: queueBytesMax)
    }

    /// Readers see everything up to here. Stored after the collections' row counts.
    var published: Sequence { Sequence(publishedSeq.load(ordering: .acquiring)) }
    var durable: Sequence { Sequence(durableSeq.load(ordering: .acquiring)) }

    func publish(_ seq: Sequence) { publishedSeq.store(seq.raw, ordering: .releasing) }
    func setDurable(_ seq: Sequence) { durableSeq.store(seq.raw, ordering: .releasing) }

    var state: ShardState { health.withLock { $0.state } }
    var problem: String { health.withLock { $0.problem } }

    func setState(_ state: ShardState, problem: String = "") {
        health.withLock { $0 = Health(state: state, problem: problem) }
        onState(index, state)
    }

    var log: LogState { logState.withLock { $0 } }
    func updateLog(_ change: (inout LogState) -> Void) { logState.withLock { change(&$0) } }

    /// Once the shard has recovered.
    var currentLog: ShardLog? { openLog.withLock { $0 } }
    /// Why writes are refused for now, without the shard being worse for it; empty when they go on.
    var shortage: String { shortageText.withLock { $0 } }
    func setShortage(_ text: String) { shortageText.withLock { $0 = text } }

    func serve(log: ShardLog) {
        openLog.withLock { $0 = log }
        setState(.serving)
    }

    /// Nil until the shard has recovered.
    var openedLog: ShardLog? { openLog.withLock { $0 } }

    /// Writes the file that the log will need next, so that its writer does not wait for one.
    /// Maintenance thread only.
    /// - Returns: false when there was no room for it.
    func prepareSpareFile() -> Bool {
        guard let log = openLog.withLock({ $0 }), log.needsSpare else { return true }
        do {
            try log.prepareSpare()
            return true
        } catch {
            // Without a spare the writer makes its own, and meets the error where it matters.
            return false
        }
    }

    /// After a failed attempt: the next automatic one waits until the log has grown beyond this.
    func postponeSnapshot(until lsn: UInt64) { logState.withLock { $0.snapshotPostponedLSN = lsn } }
    var snapshotPostponedLSN: UInt64 { logState.withLock { $0.snapshotPostponedLSN } }

    /// Why a write cannot be taken, if it cannot.
    var refusal: KyroError? {
        health.withLock { health in
            switch health.state {
            case .serving: nil
            case .recovering:
                KyroError(
                    .notServing, "shard \(index) is recovering; try again soon",
                    retryAfterMillis: 200)
            case .readOnly:
                KyroError(
                    .shardReadOnly,
                    "shard \(index) takes no writes until the server is restarted: \(health.problem)"
                )
            case .stopped:
                KyroError(.shardStopped, "shard \(index) is stopped: \(health.problem)")
            }
        }
    }
}
