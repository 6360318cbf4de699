// Answers to requests that read.

/// A hit's place within one leg.
public struct LegScore: Equatable, Sendable {
    public var score: Float
    /// From 1.
    public var rank: UInt32

    public init(score: Float, rank: UInt32) {
        self.score = score
        self.rank = rank
    }
}

public struct Hit: Equatable, Sendable {
    public var id: DocumentID
    public var score: Double
    public var vector: LegScore?
    public var sparse: LegScore?
    public var text: LegScore?
    public var document: Document?
    /// Of the fields in which something was found, where asked for.
    public var highlights: [Highlight] = []
    /// The sequence that wrote this version.
    public var seq: Sequence
    /// Where explain was asked for.
    public var details: ScoreDetails?
    /// Of a grouped search; absent where the document lacks the field.
    public var group: MetadataValue?

    public init(id: DocumentID, score: Double, seq: Sequence) {
        self.id = id
        self.score = score
        self.seq = seq
    }
}

/// The raw values are those of `kyrodb.v2.VectorStrategy`.
public enum VectorStrategy: UInt8, Sendable {
    case none = 0
    case graph = 1
    case flat = 2
    case filteredGraph = 3
    case filteredFlat = 4
    case ivf = 5
    case filteredIVF = 6
}

/// What recall an answer may be expected to have, from queries that were also answered exactly.
public struct RecallEstimate: Equatable, Sendable {
    /// As asked.
    public var target: Double
    public var mean: Double
    /// The mean of the tenth of the queries that fared worst.
    public var worstDecile: Double
    /// Queries behind it; zero with a mean of 0 where nothing is known yet, and with a mean of 1 where
    /// the answer is exact.
    public var samples: UInt32
    /// What the search kept, of a graph, or scanned, of inverted lists.
    public var efSearch: UInt32
    public var probes: UInt32

    public init(
        target: Double, mean: Double, worstDecile: Double, samples: UInt32, efSearch: UInt32 = 0,
        probes: UInt32 = 0
    ) {
        self.target = target
        self.mean = mean
        self.worstDecile = worstDecile
        self.samples = samples
        self.efSearch = efSearch
        self.probes = probes
    }
}

public struct ShardExplain: Equatable, Sendable {
    public var shard: UInt32
    public var vectorStrategy: VectorStrategy = .none
    public var rows: UInt64 = 0
    public var graphRows: UInt64 = 0
    public var tailRows: UInt64 = 0
    public var filterMatches: UInt64 = 0
    /// Distance evaluations, of codes and of full rows together.
    public var rowsScored: UInt64 = 0
    public var postingsScored: UInt64 = 0
    /// In the lists that the text and sparse queries name, scored or passed over.
    public var postingsListed: UInt64 = 0
    /// In distances.
    public var estimatedCost: UInt64 = 0
    public var micros: UInt64 = 0
    /// Why this strategy and no other, in words.
    public var vectorReason = ""
    /// What this shard gave to each leg.
    public var vectorCandidates: UInt64 = 0
    public var sparseCandidates: UInt64 = 0
    public var textCandidates: UInt64 = 0

    public init(shard: UInt32) { self.shard = shard }
}

public struct Explain: Equatable, Sendable {
    public var shards: [ShardExplain] = []
    public var notes: [String] = []
    public var planMicros: UInt64 = 0
    public var searchMicros: UInt64 = 0
    public var mergeMicros: UInt64 = 0
    /// Absent where the question has no such leg.
    public var vector: LegExplain?
    public var sparse: LegExplain?
    public var text: LegExplain?
    public var stages: StageMicros?

    public init() {}
}

public struct SearchResponse: Equatable, Sendable {
    /// Best first; equal scores by id.
    public var hits: [Hit]
    /// Everything up to here was visible.
    public var seq: Sequence
    public var explain: Explain?
    /// Where a recall was asked for.
    public var recall: RecallEstimate?
    /// In the order asked.
    public var aggregations: [AggregationResult] = []
    /// Of a page that others follow.
    public var nextPageToken: [UInt8] = []
    /// How vectors of the hits are written on the wire.
    public var vectorEncoding: VectorEncoding = .floats

    public init(hits: [Hit], seq: Sequence, explain: Explain? = nil) {
        self.hits = hits
        self.seq = seq
        self.explain = explain
    }
}

public struct SearchManyResponse: Equatable, Sendable {
    public var tag: UInt64
    public var result: Result<SearchResponse, KyroError>

    public init(tag: UInt64, result: Result<SearchResponse, KyroError>) {
        self.tag = tag
        self.result = result
    }
}

public struct LookupResult: Equatable, Sendable {
    public var id: DocumentID
    /// Absent for a miss.
    public var document: Document?
    public var seq: Sequence

    public init(id: DocumentID, document: Document?, seq: Sequence) {
        self.id = id
        self.document = document
        self.seq = seq
    }
}

public struct LookupResponse: Equatable, Sendable {
    /// In the order of the ids asked.
    public var results: [LookupResult]
    public var seq: Sequence
    public var vectorEncoding: VectorEncoding = .floats

    public init(results: [LookupResult], seq: Sequence) {
        self.results = results
        self.seq = seq
    }
}

public struct ScanResponse: Equatable, Sendable {
    public var documents: [Document]
    /// Continues behind the last document of this answer.
    public var resumeToken: [UInt8]
    public var seq: Sequence
    public var vectorEncoding: VectorEncoding = .floats

    public init(documents: [Document], resumeToken: [UInt8], seq: Sequence) {
        self.documents = documents
        self.resumeToken = resumeToken
        self.seq = seq
    }
}
