// The engine-wide counter of writes, and how far every shard has got with it.
import KyroModel
import Synchronization

/// Gives out sequences and knows the stable one: below it every shard has published.
///
/// A shard's writer announces a floor before it takes sequences and lifts it after it has
/// published them. A reader that loads the counter first and the floors second can therefore not
/// miss a write in flight: one whose floor it did not see took its sequences after the counter was
/// read, so they lie above it. Both sides need one total order, hence sequentially consistent.
final class SequenceClock: Sendable {
    private let counter = Atomic<UInt64>(0)
    private let floors: [Floor]

    private final class Floor: Sendable {
        let value = Atomic<UInt64>(.max)
    }

    init(shardCount: Int) {
        floors = (0..<shardCount).map { _ in Floor() }
    }

    /// The highest sequence given out.
    var latest: Sequence { Sequence(counter.load(ordering: .sequentiallyConsistent)) }

    /// Every shard has published everything up to here.
    var stable: Sequence {
        var result = counter.load(ordering: .sequentiallyConsistent)
        for floor in floors {
            result = min(result, floor.value.load(ordering: .sequentiallyConsistent))
        }
        return Sequence(result)
    }

    /// Called by a shard's writer before it takes the first sequence of a group.
    func beginGroup(shard: Int) {
        let now = counter.load(ordering: .sequentiallyConsistent)
        floors[shard].value.store(now, ordering: .sequentiallyConsistent)
    }

    func next() -> Sequence {
        Sequence(counter.add(1, ordering: .sequentiallyConsistent).newValue)
    }

    /// Called by a shard's writer after it has published the group, or given it up.
    func endGroup(shard: Int) {
        floors[shard].value.store(.max, ordering: .sequentiallyConsistent)
    }

    /// Raises the counter to what a log or a snapshot holds.
    func restore(atLeast seq: Sequence) {
        counter.max(seq.raw, ordering: .sequentiallyConsistent)
    }
}
