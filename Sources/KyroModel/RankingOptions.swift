// What happens to the candidates of a search after fusion, and why a hit ranks where it does.

/// What a search asks to be done with the fused scores.
public struct RankingOptions: Equatable, Sendable {
    /// Makes the final score; empty for none. The language is that of `Protos/kyrodb/v2/ranking.proto`.
    public var formula: String

    public init(formula: String = "") { self.formula = formula }

    /// Whether the fused scores stay as they are.
    public var isEmpty: Bool { formula.isEmpty }
}

/// What one leg gave to a hit.
public struct LegContribution: Equatable, Sendable {
    /// With RRF 1 / (k + rank); of a lone leg without fusion its score.
    public var normalised: Double
    /// Weight × normalised.
    public var weighted: Double

    public init(normalised: Double, weighted: Double) {
        self.normalised = normalised
        self.weighted = weighted
    }
}

/// A hit's score, step by step.
public struct ScoreDetails: Equatable, Sendable {
    /// Absent where the leg has not found the document.
    public var vector: LegContribution?
    public var sparse: LegContribution?
    public var text: LegContribution?
    /// Sum of the weighted ones, or the greatest of them.
    public var fused: Double
    /// The factor of time; 1 without decay or event time.
    public var decay: Double
    /// Absent without a formula, and where its result is missing.
    public var formula: Double?

    public init(fused: Double, decay: Double = 1) {
        self.fused = fused
        self.decay = decay
    }
}

/// One leg of a search over all shards.
public struct LegExplain: Equatable, Sendable {
    /// Candidates wanted.
    public var asked: UInt64 = 0
    /// Candidates found, after the merge.
    public var candidates: UInt64 = 0
    public var weight = 0.0
    /// Of the candidates' scores, as the next three.
    public var best = 0.0
    public var worst = 0.0
    public var mean = 0.0
    /// Of the population.
    public var deviation = 0.0

    public init() {}
}

/// Wall time of a search by stage, over all shards.
public struct StageMicros: Equatable, Sendable {
    public var filter: UInt64 = 0
    public var vector: UInt64 = 0
    public var sparse: UInt64 = 0
    public var text: UInt64 = 0
    /// Of each leg's candidates.
    public var merge: UInt64 = 0
    /// Fusion and decay.
    public var fuse: UInt64 = 0
    /// What the ranking asks for, and the order.
    public var rank: UInt64 = 0
    /// Documents of the hits.
    public var fetch: UInt64 = 0
    public var aggregate: UInt64 = 0

    public init() {}
}
