// What a vector index of a collection holds, over all shards.

public struct VectorIndexStatus: Equatable, Sendable {
    public var field: String
    /// What serves now: never `automatic`.
    public var kind: VectorIndexKind
    public var codes: VectorCodes
    public var rerank: VectorRerank
    public var storage: VectorStorage
    /// Rows, dead ones among them.
    public var rows: UInt64 = 0
    /// In the graph or in inverted lists; the others are scanned.
    public var indexedRows: UInt64 = 0
    public var deadRows: UInt64 = 0
    /// Resident bytes of the rows that rerank, of codes, and of links or lists.
    public var rowBytes: UInt64 = 0
    public var codeBytes: UInt64 = 0
    public var linkBytes: UInt64 = 0
    /// How often the codes were trained; zero where nothing is.
    public var codesVersion: UInt32 = 0
    /// Of a change under way, in rows; both zero when there is none.
    public var rebuildRowsDone: UInt64 = 0
    public var rebuildRowsTotal: UInt64 = 0
    /// Queries that the recall of this index is estimated from.
    public var recallSamples: UInt32 = 0

    public init(
        field: String, kind: VectorIndexKind = .flat, codes: VectorCodes = .sq8,
        rerank: VectorRerank = .f32, storage: VectorStorage = .memory
    ) {
        self.field = field
        self.kind = kind
        self.codes = codes
        self.rerank = rerank
        self.storage = storage
    }
}
