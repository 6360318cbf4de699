// The candidates of one judged query, in as few bytes as a fit needs.
import KyroModel

#if canImport(Glibc)
    import Glibc
#endif

/// Normalised discounted cumulative gain of the first ten, with linear gains (Järvelin & Kekäläinen
/// 2002, with the discount log2(rank + 1)).
enum NDCG {
    static let depth = 10
    /// By rank from 0.
    static let discounts: [Double] = (0..<depth).map { 1 / log2(Double($0) + 2) }

    /// - Parameter gains: in the order of the ranks.
    static func sum(_ gains: some Swift.Sequence<Double>) -> Double {
        zip(gains, discounts).reduce(0) { $0 + $1.0 * $1.1 }
    }
}

/// What a fit tries beside weights: forms whose score is a sum over the legs.
enum FusionForms {
    static let all = [
        Fusion(method: .weighted), Fusion(method: .weighted, normalisation: .zScore),
        Fusion(method: .rrf),
    ]
}

/// A query's fused score is a sum over its legs for each of these forms, so it is enough to keep
/// what each leg gives to each candidate with a weight of 1.
struct JudgedCandidates: Sendable {
    let legCount: Int
    let count: Int
    /// forms × legs × candidates; candidates in the order of their ids, in which equal scores rank.
    private let parts: [Float]
    private let gains: [Float]
    /// Of the best order of all documents that are judged.
    private let idealGain: Double
    /// By leg: of its own order.
    let legFigures: [Double]
    /// What a random order of the candidates is to be expected to have.
    let chanceFigure: Double

    /// - Parameters:
    ///   - legs: at least one.
    ///   - gain: of a candidate, not below 0.
    ///   - idealGains: of all documents that are judged, at least one above 0.
    init(
        _ legs: [Ranking.Leg], idealGains: [Double], precedes: RowPrecedes,
        gain: (Candidate) -> Double
    ) {
        let ideal = NDCG.sum(idealGains.sorted(by: >))
        precondition(ideal > 0, "ideal gains \(idealGains)")
        legCount = legs.count
        idealGain = ideal
        legFigures = legs.map { NDCG.sum($0.candidates.lazy.map(gain)) / ideal }

        let rows = Self.fused(legs, Fusion(), leg: 0)
        let order = rows.indices.sorted { a, b in
            precedes((rows[a].shard, rows[a].slot), (rows[b].shard, rows[b].slot))
        }
        count = rows.count
        gains = order.map { index in
            let row = rows[index]
            return Float(gain(Candidate(shard: row.shard, slot: row.slot, score: 0)))
        }
        var parts: [Float] = []
        parts.reserveCapacity(FusionForms.all.count * legs.count * rows.count)
        for form in FusionForms.all {
            for leg in legs.indices {
                let hits = Self.fused(legs, form, leg: leg)
                parts += order.map { Float(hits[$0].score) }
            }
        }
        self.parts = parts
        let shown = NDCG.discounts.prefix(rows.count).reduce(0, +)
        let mean = gains.reduce(0) { $0 + Double($1) } / Double(max(1, rows.count))
        chanceFigure = mean * shown / ideal
    }

    /// Every candidate with what one leg alone gives to it; in the same order for every form and leg.
    private static func fused(
        _ legs: [Ranking.Leg], _ form: Fusion, leg: Int
    ) -> [RankedHit] {
        var fusion = form
        var weights = LegWeights(vector: 0, sparse: 0, text: 0)
        weights[legs[leg].kind] = 1
        fusion.weights = weights
        return Ranking.fuse(legs, fusion: fusion, keepsRawScore: false).hits
    }

    /// Bytes that it takes.
    var byteCount: Int { 4 * (parts.count + gains.count) + 8 * legFigures.count + 160 }

    /// Of the order that these weights make.
    func figure(_ point: FusionPoint, scratch: inout TopGains) -> Double {
        scratch.removeAll()
        let base = point.form * legCount * count
        switch legCount {
        case 2:
            let (a, b) = (Float(point.weights[0]), Float(point.weights[1]))
            for row in 0..<count {
                scratch.add(
                    a * parts[base + row] + b * parts[base + count + row], gain: gains[row])
            }
        default:
            for row in 0..<count {
                var score: Float = 0
                for leg in 0..<legCount {
                    score += Float(point.weights[leg]) * parts[base + leg * count + row]
                }
                scratch.add(score, gain: gains[row])
            }
        }
        return scratch.sum / idealGain
    }
}

/// The gains of the ten best so far; of equal scores the first that came stays ahead.
struct TopGains {
    private var scores = [Float](repeating: 0, count: NDCG.depth)
    private var gains = [Float](repeating: 0, count: NDCG.depth)
    private var count = 0

    mutating func removeAll() { count = 0 }

    mutating func add(_ score: Float, gain: Float) {
        if count == NDCG.depth {
            guard score > scores[count - 1] else { return }
            count -= 1
        }
        var place = count
        while place > 0, scores[place - 1] < score {
            scores[place] = scores[place - 1]
            gains[place] = gains[place - 1]
            place -= 1
        }
        scores[place] = score
        gains[place] = gain
        count += 1
    }

    var sum: Double {
        (0..<count).reduce(0) { $0 + Double(gains[$1]) * NDCG.discounts[$1] }
    }
}
