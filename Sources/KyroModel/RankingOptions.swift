// What happens to the candidates of a search after fusion, and why a hit ranks where it does.

/// What becomes of documents without the field by which hits are grouped. The raw values are those of
/// `kyrodb.v2.MissingGroup`.
public enum MissingGroup: UInt8, Sendable, CaseIterable {
    /// Each is a group of its own.
    case alone = 0
    /// They are one group.
    case together = 1
    /// They are no hits.
    case dropped = 2
}

/// Hits with the same value of a metadata field stand together, groups in the order of their best
/// hits; limit and offset count groups.
public struct Grouping: Equatable, Sendable {
    public var field: String
    /// Zero for one.
    public var hitsPerGroup: UInt32
    public var missing: MissingGroup

    public init(field: String, hitsPerGroup: UInt32 = 0, missing: MissingGroup = .alone) {
        self.field = field
        self.hitsPerGroup = hitsPerGroup
        self.missing = missing
    }
}

/// Maximal marginal relevance over the best hits, or the best hit of each group.
public struct Diversity: Equatable, Sendable {
    /// From 0, differences alone, to 1, relevance alone.
    public var lambda: Double
    /// Hits to choose from; zero for the default.
    public var pool: UInt32
    /// Empty for the field of the vector leg, or else the collection's only one.
    public var field: String

    public init(lambda: Double, pool: UInt32 = 0, field: String = "") {
        self.lambda = lambda
        self.pool = pool
        self.field = field
    }
}

/// Late interaction (ColBERT: Khattab & Zaharia 2020): the score becomes score weight × score + weight ×
/// MaxSim, the sum over the query's rows of the greatest dot product with a row of the document.
public struct Rescore: Equatable, Sendable {
    /// Empty for the collection's only multi-vector field.
    public var field: String
    public var query: MultiVector
    /// Of the best hits; the others are left out. Zero for the default.
    public var top: UInt32
    /// Zero for one.
    public var weight: Double
    public var scoreWeight: Double

    public init(
        field: String, query: MultiVector, top: UInt32 = 0, weight: Double = 0,
        scoreWeight: Double = 0
    ) {
        self.field = field
        self.query = query
        self.top = top
        self.weight = weight
        self.scoreWeight = scoreWeight
    }
}

/// What a search asks to be done with the fused scores: formula, rescoring, grouping, diversity, in
/// this order.
public struct RankingOptions: Equatable, Sendable {
    /// Makes the final score; empty for none. The language is that of `Protos/kyrodb/v2/ranking.proto`.
    public var formula: String
    public var grouping: Grouping?
    public var diversity: Diversity?
    public var rescore: Rescore?

    public init(
        formula: String = "", grouping: Grouping? = nil, diversity: Diversity? = nil,
        rescore: Rescore? = nil
    ) {
        self.formula = formula
        self.grouping = grouping
        self.diversity = diversity
        self.rescore = rescore
    }

    /// Whether scores and order stay as fusion made them.
    public var isEmpty: Bool {
        formula.isEmpty && grouping == nil && diversity == nil && rescore == nil
    }
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

/// Why a hit was taken when it was.
public struct DiversityDetails: Equatable, Sendable {
    public var relevance: Double
    /// To what was taken before.
    public var similarity: Double

    public init(relevance: Double, similarity: Double) {
        self.relevance = relevance
        self.similarity = similarity
    }
}

/// What rescoring found.
public struct RescoreDetails: Equatable, Sendable {
    /// Before.
    public var score: Double
    public var maxSim: Double

    public init(score: Double, maxSim: Double) {
        self.score = score
        self.maxSim = maxSim
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
    /// Of a group on its best hit alone.
    public var diversity: DiversityDetails?
    public var rescore: RescoreDetails?

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
