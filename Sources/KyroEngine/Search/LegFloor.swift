// What one shard's answer spares the others.
import KyroIndex
import KyroPlatform

/// The score that the best `count` of the shards that have answered have at least: what scores less in
/// another shard is not among the leg's candidates. What scores the same may be, by its id.
struct LegFloor {
    private let count: Int
    /// The best of all shards so far, best first; at most `count`.
    private var best: [Float] = []

    init(count: Int) { self.count = count }

    var score: Float { best.count == count ? best[count - 1] : -.infinity }

    /// - Parameter found: of one shard, best first.
    mutating func take(_ found: [ScoredSlot]) {
        var merged: [Float] = []
        merged.reserveCapacity(min(count, best.count + found.count))
        var (old, new) = (0, 0)
        while merged.count < count, old < best.count || new < found.count {
            if new == found.count || old < best.count && best[old] >= found[new].score {
                merged.append(best[old])
                old += 1
            } else {
                merged.append(found[new].score)
                new += 1
            }
        }
        best = merged
    }
}

/// A floor that shards raise as they answer, in whichever order.
final class SharedFloor: Sendable {
    private let floor: Locked<LegFloor>

    init(count: Int) { floor = Locked(LegFloor(count: count)) }

    var score: Float { floor.withLock { $0.score } }

    /// - Parameter found: of one shard, best first.
    func take(_ found: [ScoredSlot]) { floor.withLock { $0.take(found) } }
}
