// What a shard's writer is asked to do.
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore

/// The part of a batch that lives in one shard.
struct WriteCommand: Sendable {
    struct Item: Sendable {
        /// In the caller's batch.
        var position: Int
        var mutation: Mutation
    }

    var collection: Collection
    var items: [Item]
    /// Set by ingest streams; a batch at or below the highest one applied is a duplicate.
    var producer: ProducerMark?
    var ticket: WriteTicket

    /// Whether it takes no memory beyond its own.
    var isRemoval: Bool {
        items.allSatisfy { if case .remove = $0.mutation { true } else { false } }
    }
}

/// A moment at which a shard's state is exactly what the log holds below `lsn`.
struct SnapshotMark: Sendable {
    struct CollectionRows: Sendable {
        var rows: CollectionShard
        var root: IndexRoot
        var slotCount: Int
    }

    var seq: Sequence
    var lsn: LSN
    var collections: [CollectionRows]
    var producers: [ProducerKey: UInt64]
    let hold: RepairHold
}

/// Compares the producer's bytes: `String` would take two spellings of a character for one.
struct ProducerKey: Hashable, Comparable, Sendable {
    var collection: CollectionID
    private var bytes: [UInt8]

    init(collection: CollectionID, producer: String) {
        self.collection = collection
        bytes = Array(producer.utf8)
    }

    var producer: String { String(decoding: bytes, as: UTF8.self) }

    static func < (a: ProducerKey, b: ProducerKey) -> Bool {
        if a.collection != b.collection { return a.collection < b.collection }
        return a.bytes.lexicographicallyPrecedes(b.bytes)
    }
}

enum ShardCommand: Sendable {
    case write(WriteCommand)
    case drop(Collection)
    /// Makes everything written durable.
    case flush(@Sendable (Result<Void, KyroError>) -> Void)
    /// Calls back between two groups.
    case mark(@Sendable (Result<SnapshotMark, KyroError>) -> Void)
    /// A rebuilt part is nearly as current as the one it replaces: do the rest.
    case finish(Rebuild)
    /// Logs a record that says nothing, so that the next mark differs from the last.
    case advance(@Sendable (Result<Void, KyroError>) -> Void)
    /// The log below is no longer needed.
    case releaseLog(before: LSN)
    /// Makes the log's time the clock's, which an operator may have set back.
    case setTime
    /// The highest client sequence that this shard has applied for a producer.
    case producerSequence(ProducerKey, @Sendable (UInt64) -> Void)
}

/// Collects the outcomes of one batch from all its shards and answers once.
final class WriteTicket: Sendable {
    private struct State {
        var outcomes: [WriteOutcome?]
        var openShards: Int
        var seq = Sequence.zero
    }

    private let state: Locked<State>
    private let completion: @Sendable (WriteResponse) -> Void

    /// - Parameters:
    ///   - outcomes: what is known already, such as items that were refused; nil is still open.
    ///   - shardCount: how many shards will answer.
    init(
        outcomes: [WriteOutcome?], shardCount: Int,
        completion: @escaping @Sendable (WriteResponse) -> Void
    ) {
        state = Locked(State(outcomes: outcomes, openShards: shardCount))
        self.completion = completion
    }

    /// One shard's answer; the last one completes the batch.
    func complete(_ outcomes: [(position: Int, outcome: WriteOutcome)]) {
        let response: WriteResponse? = state.withLock { state in
            for (position, outcome) in outcomes {
                state.outcomes[position] = outcome
                if case .applied(let seq) = outcome { state.seq = max(state.seq, seq) }
            }
            state.openShards -= 1
            precondition(state.openShards >= 0, "a shard answered twice: \(state.openShards)")
            guard state.openShards == 0 else { return nil }
            return WriteResponse(
                outcomes: state.outcomes.map {
                    $0 ?? .failed(KyroError(.internal, "no shard answered for this item"))
                }, seq: state.seq)
        }
        if let response { completion(response) }
    }
}
