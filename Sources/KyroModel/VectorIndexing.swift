// How a vector field is indexed: kind, codes, what reranks, and the parameters, as a user gives them.

/// The raw values are those of `kyrodb.v2.VectorIndexKind` and of the disk format.
public enum VectorIndexKind: UInt8, Sendable, CaseIterable {
    /// Flat while the collection is small, then a graph.
    case automatic = 0
    case graph = 1
    /// Inverted lists around centroids, of which a search scans the nearest (IVF).
    case ivf = 2
    case flat = 3
}

/// What stands for a row while candidates are sought. The raw values are those of
/// `kyrodb.v2.VectorCodes` and of the disk format.
public enum VectorCodes: UInt8, Sendable, CaseIterable {
    /// What loses no recall for the least memory at the field's dimension.
    case automatic = 0
    /// The stored rows themselves.
    case none = 1
    /// One byte a dimension.
    case sq8 = 2
    /// Half a byte a dimension, after a random rotation.
    case sq4 = 3
    /// One bit a dimension, after a random rotation.
    case bq = 4
    /// Product quantisation (Jégou, Douze & Schmid 2011): one byte for a group of dimensions.
    case pq = 5
}

/// What of a row is kept to score candidates again, and to answer with. The raw values are those of
/// `kyrodb.v2.VectorRerank` and of the disk format.
public enum VectorRerank: UInt8, Sendable, CaseIterable {
    /// The floats as given, bit for bit.
    case f32 = 0
    /// Rounded to bfloat16; look-ups and snapshots have the rounded values.
    case bf16 = 1
    /// Codes alone; look-ups and snapshots have what the codes stand for.
    case none = 2
}

/// Where the rows that rerank are. The raw values are those of `kyrodb.v2.VectorStorage` and of the
/// disk format.
public enum VectorStorage: UInt8, Sendable, CaseIterable {
    case memory = 0
    /// In the shard's snapshot; what came after it is in memory until the next one.
    case disk = 1
}

/// Zeros stand for the defaults, which are kept as zeros so that they may get better.
public struct VectorIndexing: Equatable, Sendable {
    public var kind: VectorIndexKind
    public var codes: VectorCodes
    public var rerank: VectorRerank
    public var storage: VectorStorage
    /// Neighbours chosen for a new row of a graph (Malkov & Yashunin 2018); twice as many in its
    /// base layer.
    public var m: UInt32
    /// Candidates kept while a row of a graph looks for its neighbours.
    public var efConstruction: UInt32
    /// Candidates kept by a search of a graph that does not say how many.
    public var efSearch: UInt32
    /// Inverted lists, one for 32 rows at most; the default is 4 × √rows.
    public var lists: UInt32
    /// Lists scanned by a search that does not say how many.
    public var probes: UInt32

    public init(
        kind: VectorIndexKind = .automatic, codes: VectorCodes = .automatic,
        rerank: VectorRerank = .f32, storage: VectorStorage = .memory, m: UInt32 = 0,
        efConstruction: UInt32 = 0, efSearch: UInt32 = 0, lists: UInt32 = 0, probes: UInt32 = 0
    ) {
        self.kind = kind
        self.codes = codes
        self.rerank = rerank
        self.storage = storage
        self.m = m
        self.efConstruction = efConstruction
        self.efSearch = efSearch
        self.lists = lists
        self.probes = probes
    }

    public static let `default` = VectorIndexing()

    /// Whether an index of the one is an index of the other, but for how far its searches look when
    /// they do not say.
    public func isBuilt(like other: VectorIndexing) -> Bool {
        var same = other
        same.efSearch = efSearch
        same.probes = probes
        return self == same
    }

    /// Whether a graph of the one is a graph of the other, if both have one.
    public func isLinked(like other: VectorIndexing) -> Bool {
        m == other.m && efConstruction == other.efConstruction
    }

    /// Whether rows and codes of the one are those of the other.
    public func isStored(like other: VectorIndexing) -> Bool {
        codes == other.codes && rerank == other.rerank && storage == other.storage
    }
}
