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
    private let logState = Locked(LogState())
    /// Once the shard has recovered.
    private let shortageText = Locked("")
    private let openLog = Locked<ShardLog?>(nil)

    private struct Health {
        var state = ShardState.recovering
        var problem = ""
    }

    struct LogState: Sendable {
        var endLSN: UInt64 = 0
        var syncedLSN: UInt64 = 0
        var diskBytes: UInt64 = 0
        var snapshotSeq = Sequence.zero
        var snapshotLSN: UInt64 = 0
        var snapshotBytes: UInt64 = 0
        var snapshotPostponedLSN: UInt64 = 0
    }

    init(index: Int, queueBytesMax: Int) {
        self.index = index
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
    }

    var log: LogState { logState.withLock { $0 } }
    func updateLog(_ change: (inout LogState) -> Void) { logState.withLock { change(&$0) } }

    /// Why writes are refused for now, without the shard being worse for it; empty when they go on.
    var shortage: String { shortageText.withLock { $0 } }
    func setShortage(_ text: String) { shortageText.withLock { $0 = text } }

    func serve(log: ShardLog) {
        openLog.withLock { $0 = log }
        setState(.serving)
    }

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
