// From which deaths on rows are taken out of graphs.
import KyroModel
import KyroPlatform

/// Lives as long as a snapshot of a shard is being written. What the snapshot is restored to may lie
/// anywhere above its sequence: who lived at that sequence has to be in the graph that it gets, so
/// whoever died later stays there meanwhile.
final class RepairHold: Sendable {
    private let shard: Shard
    private let seq: Sequence

    /// Shard's writer only, before it publishes anything above `seq`.
    init(_ shard: Shard, at seq: Sequence) {
        self.shard = shard
        self.seq = seq
        shard.repairHolds.withLock { $0.append(seq) }
    }

    deinit {
        shard.repairHolds.withLock { holds in
            if let index = holds.firstIndex(of: seq) { holds.remove(at: index) }
        }
    }
}

/// The sequence at or below which the dead are taken out of graphs.
///
/// It lies behind what is published by the time that searches take: one that has begun before a row
/// died, and walks the graph when the row leaves it, has to scan. Searches that take longer do.
struct RipeSequence {
    private var seq = Sequence.zero
    private var next = Sequence.zero
    private var nextNanos: UInt64 = 0

    /// - Parameter graceMillis: that a death is left alone; zero for none.
    mutating func now(_ shard: Shard, nanos: UInt64, graceMillis: Int) -> Sequence {
        // Before the holds: one that is not seen yet is at or above it.
        let published = shard.published
        if graceMillis == 0 {
            seq = published
        } else if nanos >= nextNanos + UInt64(graceMillis) * 1_000_000 {
            seq = next
            next = published
            nextNanos = nanos
        }
        return shard.repairHolds.withLock { holds in holds.reduce(seq) { min($0, $1) } }
    }
}
