// From the legs' candidates to one ranking.
import KyroModel

#if canImport(Glibc)
    import Glibc
#endif

/// A row that some leg found. Within one read a document has one visible row, so the pair of shard
/// and slot stands for it.
struct Candidate: Equatable, Sendable {
    var shard: Int
    var slot: Int
    var score: Float

    var key: UInt64 { UInt64(shard) << 32 | UInt64(slot) }
}

/// A candidate with what each leg said of it.
struct RankedHit: Equatable, Sendable {
    var shard: Int
    var slot: Int
    var score = 0.0
    var vector: LegScore?
    var sparse: LegScore?
    var text: LegScore?
}

/// Which of two rows has the smaller document id; they may lie in different shards.
typealias RowPrecedes = (_ a: (shard: Int, slot: Int), _ b: (shard: Int, slot: Int)) -> Bool

enum Ranking {
    /// A leg's global top `count`: the shards' candidates, best first, equal scores by id.
    static func merge(
        _ perShard: [[Candidate]], count: Int, precedes: RowPrecedes
    ) -> [Candidate] {
        var all = perShard.flatMap { $0 }
        all.sort { a, b in
            if a.score != b.score { return a.score > b.score }
            return precedes((a.shard, a.slot), (b.shard, b.slot))
        }
        if all.count > count { all.removeLast(all.count - count) }
        return all
    }

    struct Leg {
        enum Kind { case vector, sparse, text }
        var kind: Kind
        /// Best first.
        var candidates: [Candidate]
    }

    /// Every row that a leg found, scored but not ordered.
    ///
    /// Weighted: the sum of weight × (score − min) / (max − min) over the legs, min and max being
    /// those of the leg's candidates; where they are equal each candidate counts as 1. RRF: the sum
    /// of weight / (k + rank). A row that is missing from a leg gets 0 from it.
    static func fuse(_ legs: [Leg], fusion: Fusion?, keepsRawScore: Bool) -> [RankedHit] {
        var hits: [RankedHit] = []
        var positions: [UInt64: Int] = [:]
        positions.reserveCapacity(legs.reduce(0) { $0 + $1.candidates.count })
        let weights = fusion?.weights ?? LegWeights()
        let method = fusion?.method ?? .weighted
        let rrfK = Double(fusion.map { $0.rrfK == 0 ? UInt32(Limits.rrfKDefault) : $0.rrfK } ?? 60)
        for leg in legs {
            let weight =
                switch leg.kind {
                case .vector: weights.vector
                case .sparse: weights.sparse
                case .text: weights.text
                }
            let top = Double(leg.candidates.first?.score ?? 0)
            let bottom = Double(leg.candidates.last?.score ?? 0)
            for (index, candidate) in leg.candidates.enumerated() {
                let position: Int
                if let known = positions[candidate.key] {
                    position = known
                } else {
                    position = hits.count
                    positions[candidate.key] = position
                    hits.append(RankedHit(shard: candidate.shard, slot: candidate.slot))
                }
                let score = Double(candidate.score)
                if keepsRawScore {
                    hits[position].score = score
                } else {
                    switch method {
                    case .weighted:
                        let share = top > bottom ? (score - bottom) / (top - bottom) : 1
                        hits[position].score += weight * share
                    case .rrf:
                        hits[position].score += weight / (rrfK + Double(index + 1))
                    }
                }
                let legScore = LegScore(score: candidate.score, rank: UInt32(index + 1))
                switch leg.kind {
                case .vector: hits[position].vector = legScore
                case .sparse: hits[position].sparse = legScore
                case .text: hits[position].text = legScore
                }
            }
        }
        return hits
    }

    /// What time leaves of a score: 2^(−age / half-life). Everything from the future is new.
    static func decayFactor(eventTimeMillis: Int64?, originMillis: Int64, halfLifeMillis: Int64)
        -> Double
    {
        guard let eventTimeMillis else { return 1 }
        let age = max(0, Double(originMillis) - Double(eventTimeMillis))
        return exp2(-age / Double(halfLifeMillis))
    }

    /// Best first, equal scores by id.
    static func page(
        _ hits: inout [RankedHit], offset: Int, limit: Int, precedes: RowPrecedes
    ) -> ArraySlice<RankedHit> {
        hits.sort { a, b in
            if a.score != b.score { return a.score > b.score }
            return precedes((a.shard, a.slot), (b.shard, b.slot))
        }
        let from = min(offset, hits.count)
        return hits[from..<min(from + limit, hits.count)]
    }
}
