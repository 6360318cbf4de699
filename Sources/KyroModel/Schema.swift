// What a collection's fields are.

/// The raw values are those of `kyrodb.v2.Metric` and of the disk format.
public enum Metric: UInt8, Sendable, CaseIterable {
    case cosine = 0
    case innerProduct = 1
    /// The score is the negative squared distance, so that higher is better under every metric.
    case l2 = 2
}

/// The raw values are those of `kyrodb.v2.Analyzer` and of the disk format.
public enum AnalyzerKind: UInt8, Sendable, CaseIterable {
    case standard = 0
    case code = 1
    case raw = 2
}

public struct VectorField: Equatable, Sendable {
    public var dimension: Int
    public var metric: Metric
    public var indexing: VectorIndexing

    public init(
        dimension: Int, metric: Metric = .cosine, indexing: VectorIndexing = .default
    ) {
        self.dimension = dimension
        self.metric = metric
        self.indexing = indexing
    }
}

public struct BM25Parameters: Equatable, Sendable {
    public var k1: Double
    public var b: Double

    public init(k1: Double = 1.2, b: Double = 0.75) {
        self.k1 = k1
        self.b = b
    }
}

/// Words that are no terms, of the standard analyser.
public enum StopWords: Equatable, Sendable {
    /// The language's own where it has some here, as English does.
    case standard
    case none
    /// Analysed as texts are, but for stemming.
    case list([String])
}

public struct TextField: Equatable, Sendable {
    public var analyzer: AnalyzerKind
    /// A Snowball algorithm, such as "english".
    public var language: String
    public var bm25: BM25Parameters
    /// Whether letters lose their marks, so that `é` and `e` are one; not of raw texts.
    public var foldsDiacritics: Bool
    /// Of the standard analyser.
    public var stopWords: StopWords
    /// Whether the standard analyser reduces words to their stems.
    public var stems: Bool

    public init(
        analyzer: AnalyzerKind = .standard, language: String = TextField.defaultLanguage,
        bm25: BM25Parameters = BM25Parameters(), foldsDiacritics: Bool = false,
        stopWords: StopWords = .standard, stems: Bool = true
    ) {
        self.analyzer = analyzer
        self.language = language.isEmpty ? TextField.defaultLanguage : language
        self.bm25 = bm25
        self.foldsDiacritics = foldsDiacritics
        self.stopWords = stopWords
        self.stems = stems
    }

    /// Whether both make the same terms of every text.
    public func isAnalysed(like other: TextField) -> Bool {
        var same = other
        same.bm25 = bm25
        return self == same
    }

    public static let defaultLanguage = "english"
}

public struct SparseField: Equatable, Sendable {
    public init() {}
}

/// Rows of one dimension, as many as a document likes.
public struct MultiVectorField: Equatable, Sendable {
    public var dimension: Int

    public init(dimension: Int) { self.dimension = dimension }
}

/// A collection's fields. Fields are only ever added, by declaration or by the first document that
/// carries them.
public struct Schema: Equatable, Sendable {
    public var vectors: FieldMap<VectorField> = [:]
    public var sparseVectors: FieldMap<SparseField> = [:]
    public var texts: FieldMap<TextField> = [:]
    public var metadata: FieldMap<ValueType> = [:]
    public var multiVectors: FieldMap<MultiVectorField> = [:]

    public init() {}
}

/// What the catalog knows of a collection.
public struct CollectionDescription: Equatable, Sendable {
    public var scope: Scope
    public var id: CollectionID
    /// Grows by one with every field added.
    public var schemaVersion: UInt32
    public var schema: Schema
    public var documentCount: UInt64
    /// Nil for the server's own.
    public var durability: Durability?
    /// How long dead versions stay readable.
    public var retentionMillis: Int64
    /// What searches go by that do not say how to fuse.
    public var tuning: Tuning?
    /// Oldest first; empty in lists of collections.
    public var tuningHistory: [Tuning] = []

    public init(
        scope: Scope, id: CollectionID, schemaVersion: UInt32, schema: Schema,
        documentCount: UInt64 = 0, durability: Durability? = nil, retentionMillis: Int64 = 0
    ) {
        self.scope = scope
        self.id = id
        self.schemaVersion = schemaVersion
        self.schema = schema
        self.documentCount = documentCount
        self.durability = durability
        self.retentionMillis = retentionMillis
    }
}
