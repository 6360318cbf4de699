// Requests that read.

/// Which names of one kind to return.
public struct Selection: Equatable, Sendable {
    public var isAll: Bool
    public var names: [String]

    public init(isAll: Bool = false, names: [String] = []) {
        self.isAll = isAll
        self.names = names
    }

    public static let all = Selection(isAll: true)
    public static let none = Selection()
    public var isNone: Bool { !isAll && names.isEmpty }

    /// By bytes, as fields are told apart everywhere.
    public func contains(_ name: String) -> Bool {
        isAll || names.contains { $0.utf8.elementsEqual(name.utf8) }
    }
}

/// The raw values are those of `kyrodb.v2.VectorEncoding`.
public enum VectorEncoding: UInt8, Sendable {
    case floats = 0
    case packedF32 = 1
}

/// Which parts of a document an answer carries; id, event time and expiry always come with it.
public struct Projection: Equatable, Sendable {
    public var metadata: Selection
    public var texts: Selection
    public var vectors: Selection
    public var sparseVectors: Selection
    public var vectorEncoding: VectorEncoding
    public var multiVectors: Selection

    public init(
        metadata: Selection = .none, texts: Selection = .none, vectors: Selection = .none,
        sparseVectors: Selection = .none, vectorEncoding: VectorEncoding = .floats,
        multiVectors: Selection = .none
    ) {
        self.metadata = metadata
        self.texts = texts
        self.vectors = vectors
        self.sparseVectors = sparseVectors
        self.vectorEncoding = vectorEncoding
        self.multiVectors = multiVectors
    }

    public static let everything = Projection(
        metadata: .all, texts: .all, vectors: .all, sparseVectors: .all, multiVectors: .all)
}

public struct VectorQuery: Equatable, Sendable {
    /// Empty for the collection's only vector field.
    public var field: String
    public var vector: [Float]
    /// Of a graph: candidates kept. Zero for the default.
    public var efSearch: UInt32
    /// Of inverted lists: how many are scanned. Zero for the default.
    public var probes: UInt32
    /// The share of the true best that the answer should have; the collection finds what that
    /// takes. Zero for none asked; excludes `efSearch` and `probes`.
    public var recall: Double

    public init(
        field: String = "", vector: [Float], efSearch: UInt32 = 0, probes: UInt32 = 0,
        recall: Double = 0
    ) {
        self.field = field
        self.vector = vector
        self.efSearch = efSearch
        self.probes = probes
        self.recall = recall
    }
}

public struct SparseQuery: Equatable, Sendable {
    /// Empty for the collection's only sparse field.
    public var field: String
    public var vector: SparseVector

    public init(field: String = "", vector: SparseVector) {
        self.field = field
        self.vector = vector
    }
}

/// How the fields of a text query make one score. The raw values are those of
/// `kyrodb.v2.TextScoring`.
public enum TextScoring: UInt8, Sendable {
    /// The sum over the fields of boost × BM25.
    case sum = 0
    /// BM25F: the fields' boosted and length-normalised frequencies of a term are added up before
    /// they saturate (Robertson & Zaragoza 2009, section 3.6).
    case bm25f = 1
}

public struct TextQuery: Equatable, Sendable {
    public var query: String
    /// Empty for every text field.
    public var fields: [String]
    /// Instead of `query`, which is empty then.
    public var node: TextNode?
    /// Of `query`.
    public var textOperator: TextOperator = .any
    /// Of `query`: terms that a document needs in one of the fields; zero for one.
    public var minimumShouldMatch: UInt32 = 0
    public var highlight: HighlightQuery?
    /// Weight by field, from 0 to `Limits.boostMax`; 1 where absent.
    public var boosts: FieldMap<Double> = [:]
    public var scoring = TextScoring.sum

    public init(query: String, fields: [String] = []) {
        self.query = query
        self.fields = fields
    }
}

/// How a score falls with age; each shape is 1 at age 0 and 1/2 at the half-life. The raw values are
/// those of `kyrodb.v2.DecayShape`.
public enum DecayShape: UInt8, Sendable, CaseIterable {
    /// 2^(−age / half-life).
    case exponential = 0
    /// 1 − age / (2 × half-life), 0 from two half-lives on.
    case linear = 1
    /// 2^(−(age / half-life)²).
    case gauss = 2
}

/// score × max(floor, shape(age)), age = max(0, origin − event time − offset); documents without an
/// event time keep their score.
public struct TimeDecay: Equatable, Sendable {
    public var halfLifeMillis: Int64
    /// Absent for now.
    public var originMillis: Int64?
    public var shape: DecayShape
    /// So much age is none.
    public var offsetMillis: Int64
    /// The factor is never less; from 0 to 1.
    public var floor: Double

    public init(
        halfLifeMillis: Int64, originMillis: Int64? = nil, shape: DecayShape = .exponential,
        offsetMillis: Int64 = 0, floor: Double = 0
    ) {
        self.halfLifeMillis = halfLifeMillis
        self.originMillis = originMillis
        self.shape = shape
        self.offsetMillis = offsetMillis
        self.floor = floor
    }
}

/// The raw values are those of `kyrodb.v2.FusionMethod`.
public enum FusionMethod: UInt8, Sendable, CaseIterable {
    /// Weighted sum of normalised scores.
    case weighted = 0
    /// Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009): sum of weight / (k + rank).
    case rrf = 1
    /// The greatest weighted normalised score.
    case max = 2
}

/// What makes scores of different legs comparable, by the minimum, maximum, mean and standard
/// deviation of the leg's candidates. The raw values are those of `kyrodb.v2.ScoreNormalisation`.
public enum ScoreNormalisation: UInt8, Sendable, CaseIterable {
    /// (score − min) / (max − min); 1 where all are equal.
    case minMax = 0
    /// (score − min) / σ: the z-score, counted from the last candidate; 1 where all are equal.
    case zScore = 1
    /// (score − (μ − 3σ)) / 6σ, cut to 0…1; 0.5 where all are equal.
    case distribution = 2
}

public struct LegWeights: Equatable, Sendable {
    public var vector: Double
    public var sparse: Double
    public var text: Double

    public init(vector: Double = 1, sparse: Double = 1, text: Double = 1) {
        self.vector = vector
        self.sparse = sparse
        self.text = text
    }
}

/// Candidates of each leg; zero for what the request says.
public struct LegCandidates: Equatable, Sendable {
    public var vector: UInt32
    public var sparse: UInt32
    public var text: UInt32

    public init(vector: UInt32 = 0, sparse: UInt32 = 0, text: UInt32 = 0) {
        self.vector = vector
        self.sparse = sparse
        self.text = text
    }
}

public struct Fusion: Equatable, Sendable {
    public var method: FusionMethod
    /// Zero for the default of 60.
    public var rrfK: UInt32
    /// Absent for one of each.
    public var weights: LegWeights?
    /// Of the methods that use scores.
    public var normalisation: ScoreNormalisation
    public var candidates: LegCandidates?

    public init(
        method: FusionMethod = .weighted, rrfK: UInt32 = 0, weights: LegWeights? = nil,
        normalisation: ScoreNormalisation = .minMax, candidates: LegCandidates? = nil
    ) {
        self.method = method
        self.rrfK = rrfK
        self.weights = weights
        self.normalisation = normalisation
        self.candidates = candidates
    }
}

public struct SearchRequest: Equatable, Sendable {
    public var scope: Scope
    public var vector: VectorQuery?
    public var sparse: SparseQuery?
    public var text: TextQuery?
    public var filter: Filter?
    public var timeRange: TimeRange?
    public var timeDecay: TimeDecay?
    public var fusion: Fusion?
    public var limit: UInt32 = 10
    public var offset: UInt32 = 0
    /// Of each leg; zero for the default.
    public var candidates: UInt32 = 0
    /// Absent for ids and scores alone.
    public var projection: Projection?
    public var minSeq: Sequence = .zero
    public var exact = false
    public var explain = false
    /// What happens to the fused scores.
    public var ranking: RankingOptions?
    public var aggregations: [Aggregation] = []
    /// Of the answer before; empty on a first page.
    public var pageToken: [UInt8] = []
    /// Whether pages shall follow.
    public var paged = false
    /// Absent for the latest.
    public var asOf: AsOf?

    public init(scope: Scope) { self.scope = scope }
}

public struct LookupRequest: Equatable, Sendable {
    public var scope: Scope
    public var ids: [DocumentID]
    /// Absent for everything.
    public var projection: Projection?
    public var minSeq: Sequence
    /// Absent for the latest.
    public var asOf: AsOf?

    public init(
        scope: Scope, ids: [DocumentID], projection: Projection? = nil, minSeq: Sequence = .zero
    ) {
        self.scope = scope
        self.ids = ids
        self.projection = projection
        self.minSeq = minSeq
    }
}

/// What documents are sorted by. Of a list the smallest element counts, or the greatest where
/// descending.
public struct SortKey: Equatable, Sendable {
    /// A metadata field; empty for the event time.
    public var field: String
    public var isDescending: Bool
    /// Whether documents without a value come before the others, and not behind.
    public var isMissingFirst: Bool

    public init(_ field: String = "", isDescending: Bool = false, isMissingFirst: Bool = false) {
        self.field = field
        self.isDescending = isDescending
        self.isMissingFirst = isMissingFirst
    }
}

public struct ScanRequest: Equatable, Sendable {
    public var scope: Scope
    public var filter: Filter?
    public var timeRange: TimeRange?
    /// Absent for everything.
    public var projection: Projection?
    /// Zero for no limit.
    public var limit: UInt64 = 0
    public var resumeToken: [UInt8] = []
    public var minSeq: Sequence = .zero
    /// Most significant first; equal documents by id, as all where it is empty.
    public var orderBy: [SortKey] = []
    /// Absent for the latest.
    public var asOf: AsOf?

    public init(scope: Scope) { self.scope = scope }
}

/// One question of a `SearchMany` stream; the tag comes back with the answer.
public struct SearchManyRequest: Equatable, Sendable {
    public var tag: UInt64
    public var search: SearchRequest

    public init(tag: UInt64, search: SearchRequest) {
        self.tag = tag
        self.search = search
    }
}
