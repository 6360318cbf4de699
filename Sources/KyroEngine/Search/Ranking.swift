// From the legs' candidates to one ranking.
import KyroModel

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

    var key: UInt64 { UInt64(shard) << 32 | UInt64(slot) }
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

    /// Every row that a leg found, scored but not ordered, and what made the scores.
    ///
    /// Weighted: the sum of weight × normalised score over the legs. RRF: the sum of weight / (k +
    /// rank). Maximum: the greatest weight × normalised score. A row that is missing from a leg gets
    /// 0 from it, which no candidate of the leg falls below.
    static func fuse(
        _ legs: [Leg], fusion: Fusion?, keepsRawScore: Bool
    ) -> (hits: [RankedHit], legs: FusedLegs) {
        var hits: [RankedHit] = []
        var positions: [UInt64: Int] = [:]
        positions.reserveCapacity(legs.reduce(0) { $0 + $1.candidates.count })
        let weights = fusion?.weights ?? LegWeights()
        var fused = FusedLegs()
        fused.takesGreatest = fusion?.method == .max
        for leg in legs {
            let scale =
                keepsRawScore
                ? .raw
                : LegScale(leg.candidates, fusion: fusion, weight: weights[leg.kind])
            fused[leg.kind] = scale
            for (index, candidate) in leg.candidates.enumerated() {
                let position: Int
                if let known = positions[candidate.key] {
                    position = known
                } else {
                    position = hits.count
                    positions[candidate.key] = position
                    hits.append(RankedHit(shard: candidate.shard, slot: candidate.slot))
                }
                let legScore = LegScore(score: candidate.score, rank: UInt32(index + 1))
                let part = scale.contribution(score: legScore.score, rank: legScore.rank).weighted
                if keepsRawScore {
                    hits[position].score = part
                } else if fused.takesGreatest {
                    hits[position].score = max(hits[position].score, part)
                } else {
                    hits[position].score += part
                }
                switch leg.kind {
                case .vector: hits[position].vector = legScore
                case .sparse: hits[position].sparse = legScore
                case .text: hits[position].text = legScore
                }
            }
        }
        return (hits, fused)
    }

    /// Best first, equal scores by id.
    static func sort(_ hits: inout [RankedHit], precedes: RowPrecedes) {
        hits.sort { a, b in
            if a.score != b.score { return a.score > b.score }
            return precedes((a.shard, a.slot), (b.shard, b.slot))
        }
    }

    static func page(
        _ hits: inout [RankedHit], offset: Int, limit: Int, precedes: RowPrecedes
    ) -> ArraySlice<RankedHit> {
        sort(&hits, precedes: precedes)
        let from = min(offset, hits.count)
        return hits[from..<min(from + limit, hits.count)]
    }
}

extension LegWeights {
    subscript(kind: Ranking.Leg.Kind) -> Double {
        get {
            switch kind {
            case .vector: vector
            case .sparse: sparse
            case .text: text
            }
        }
        set {
            switch kind {
            case .vector: vector = newValue
            case .sparse: sparse = newValue
            case .text: text = newValue
            }
        }
    }
}
