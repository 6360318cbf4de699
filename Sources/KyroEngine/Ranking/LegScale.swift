// How much a leg's score counts in the fused one.
import KyroModel

/// What fusion knows of a leg beside its candidates: where their scores lie, and what makes them
/// comparable with those of other legs.
struct LegScale: Equatable, Sendable {
    /// Of the candidates' scores; zeros without candidates.
    struct Statistics: Equatable, Sendable {
        var best = 0.0
        var worst = 0.0
        var mean = 0.0
        /// Of the population.
        var deviation = 0.0

        init(edgesOf candidates: [Candidate]) {
            best = Double(candidates.first?.score ?? 0)
            worst = Double(candidates.last?.score ?? 0)
        }

        /// In two passes over the merged order, so that the sums do not depend on the shards.
        init(of candidates: [Candidate]) {
            self.init(edgesOf: candidates)
            guard !candidates.isEmpty else { return }
            let count = Double(candidates.count)
            var sum = 0.0
            for candidate in candidates { sum += Double(candidate.score) }
            mean = sum / count
            var squares = 0.0
            for candidate in candidates {
                let difference = Double(candidate.score) - mean
                squares += difference * difference
            }
            deviation = (squares / count).squareRoot()
        }
    }

    private enum Rule: Equatable, Sendable {
        /// (score − low) / width, cut to 0…high.
        case share(low: Double, width: Double, high: Double)
        /// Every candidate counts the same.
        case constant(Double)
        case reciprocal(k: Double)
        case raw
    }

    let weight: Double
    private let rule: Rule

    /// Of a lone leg whose scores are the answer's.
    static let raw = LegScale(weight: 1, rule: .raw)

    private init(weight: Double, rule: Rule) {
        self.weight = weight
        self.rule = rule
    }

    init(_ candidates: [Candidate], fusion: Fusion?, weight: Double) {
        let method = fusion?.method ?? .weighted
        if method == .rrf {
            let k = fusion?.rrfK ?? 0
            self.init(
                weight: weight,
                rule: .reciprocal(k: Double(k == 0 ? UInt32(Limits.rrfKDefault) : k)))
            return
        }
        let edges = Statistics(edgesOf: candidates)
        // What mean and deviation say of equal scores is rounding.
        let areEqual = !(edges.best > edges.worst)
        let rule: Rule
        switch fusion?.normalisation ?? .minMax {
        case .minMax:
            rule =
                areEqual
                ? .constant(1)
                : .share(low: edges.worst, width: edges.best - edges.worst, high: .infinity)
        case .zScore:
            rule =
                areEqual
                ? .constant(1)
                : .share(
                    low: edges.worst, width: Statistics(of: candidates).deviation, high: .infinity)
        case .distribution:
            let all = Statistics(of: candidates)
            rule =
                areEqual
                ? .constant(0.5)
                : .share(low: all.mean - 3 * all.deviation, width: 6 * all.deviation, high: 1)
        }
        self.init(weight: weight, rule: rule)
    }

    /// - Parameter rank: from 1.
    @inline(__always)
    func contribution(score: Float, rank: UInt32) -> LegContribution {
        switch rule {
        case .share(let low, let width, let high):
            let share = min(high, max(0, (Double(score) - low) / width))
            return LegContribution(normalised: share, weighted: weight * share)
        case .constant(let share):
            return LegContribution(normalised: share, weighted: weight * share)
        case .reciprocal(let k):
            let place = k + Double(rank)
            return LegContribution(normalised: 1 / place, weighted: weight / place)
        case .raw:
            return LegContribution(normalised: Double(score), weighted: Double(score))
        }
    }
}

/// The scales of a search's legs: what turns a hit's leg scores into its fused score, at any time.
struct FusedLegs: Equatable, Sendable {
    var vector: LegScale?
    var sparse: LegScale?
    var text: LegScale?
    var takesGreatest = false

    subscript(_ kind: Ranking.Leg.Kind) -> LegScale? {
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

    /// Each leg's part of a hit's fused score, and that score: the same bits as fusion made.
    func details(of hit: RankedHit) -> ScoreDetails {
        var details = ScoreDetails(fused: 0)
        details.vector = Self.contribution(vector, hit.vector)
        details.sparse = Self.contribution(sparse, hit.sparse)
        details.text = Self.contribution(text, hit.text)
        for part in [details.vector, details.sparse, details.text] {
            guard let part else { continue }
            if takesGreatest {
                details.fused = max(details.fused, part.weighted)
            } else {
                details.fused += part.weighted
            }
        }
        return details
    }

    private static func contribution(_ scale: LegScale?, _ score: LegScore?) -> LegContribution? {
        guard let scale, let score else { return nil }
        return scale.contribution(score: score.score, rank: score.rank)
    }
}
