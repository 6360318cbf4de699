// Where the time of a search goes.
import KyroModel
import KyroPlatform

/// Time by stage; of stages that ask every shard, which may happen side by side, all shards' times
/// together. What fetching documents takes, the engine knows.
struct StageNanos: Sendable {
    var filter: UInt64 = 0
    var vector: UInt64 = 0
    var sparse: UInt64 = 0
    var text: UInt64 = 0
    var merge: UInt64 = 0
    var fuse: UInt64 = 0
    var rank: UInt64 = 0
    var aggregate: UInt64 = 0

    /// Adds what has passed since `mark`, which becomes now.
    static func lap(_ stage: inout UInt64, _ mark: inout UInt64, _ time: any Clock) {
        let now = time.monotonicNanos()
        stage += now - mark
        mark = now
    }

    /// Adds one shard's.
    mutating func add(_ shard: StageNanos) {
        filter += shard.filter
        vector += shard.vector
        sparse += shard.sparse
        text += shard.text
    }

    var micros: StageMicros {
        var micros = StageMicros()
        micros.filter = filter / 1_000
        micros.vector = vector / 1_000
        micros.sparse = sparse / 1_000
        micros.text = text / 1_000
        micros.merge = merge / 1_000
        micros.fuse = fuse / 1_000
        micros.rank = rank / 1_000
        micros.aggregate = aggregate / 1_000
        return micros
    }
}

extension LegExplain {
    init(_ leg: Ranking.Leg, asked: Int, weight: Double) {
        self.init()
        self.asked = UInt64(asked)
        candidates = UInt64(leg.candidates.count)
        self.weight = weight
        let statistics = LegScale.Statistics(of: leg.candidates)
        best = statistics.best
        worst = statistics.worst
        mean = statistics.mean
        deviation = statistics.deviation
    }
}

extension Explain {
    mutating func add(_ legs: [(kind: Ranking.Leg.Kind, explain: LegExplain)]) {
        for leg in legs {
            switch leg.kind {
            case .vector: vector = leg.explain
            case .sparse: sparse = leg.explain
            case .text: text = leg.explain
            }
        }
    }
}
