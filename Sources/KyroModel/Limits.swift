// Bounds on what a caller may send, each with the sum or the reason behind it.

public enum Limits {
    /// UTF-8 bytes of a document id: room for a URL, small enough to stay beside its row.
    public static let idBytesMax = 512
    /// UTF-8 bytes of a tenant, namespace, field name or producer id.
    public static let nameBytesMax = 128
    public static let dimensionMax = 16_384
    public static let sparseEntriesMax = 65_536
    /// UTF-8 bytes of one text field.
    public static let textBytesMax = 1 << 20
    /// UTF-8 bytes of one metadata string.
    public static let metadataStringBytesMax = 65_536
    public static let metadataListMax = 4_096
    /// Of each kind, in a document and in a schema.
    public static let fieldsMax = 256
    /// Encoded bytes of one stored document.
    public static let documentBytesMax = 4 << 20

    public static let batchMutationsMax = 10_000
    /// Bytes of documents that the updates of one batch may rewrite in one shard: each logs its
    /// document whole, so a small batch of updates could otherwise be a huge write.
    public static let updatedBytesMax = 64 << 20
    /// Ingest producers that a shard remembers: at 300 bytes each, 20 MiB of memory and snapshot.
    public static let producersMax = 65_536
    public static let lookupIDsMax = 10_000
    /// offset + limit, and candidates of a leg.
    public static let hitsMax = 10_000
    public static let candidatesDefault = 100
    public static let efSearchMax = 10_000
    /// Of a graph: below it falls apart, above its lists of 2 × M no longer fit what a step reads.
    public static let graphMRange: ClosedRange<UInt32> = 4...32
    public static let graphMDefault: UInt32 = 16
    public static let efConstructionMax: UInt32 = 2_048
    public static let ivfListsMax: UInt32 = 65_536
    /// Distinct terms of a text query.
    public static let queryTermsMax = 1_024
    /// Nodes of a structured text query, and how deep they nest.
    public static let textNodesMax = 1_024
    public static let textDepthMax = 16
    /// Bytes of all texts in it together.
    public static let textNodeBytesMax = 1 << 16
    /// Terms that one prefix or fuzzy node may stand for.
    public static let expansionsDefault: UInt32 = 64
    public static let expansionsMax: UInt32 = 1_024
    /// Terms of a structured text query over all fields, after analysis and expansion: each holds a
    /// place in its postings while the query runs.
    public static let planTermsMax = 16_384
    public static let editsMax: UInt32 = 2
    /// Terms of a phrase: each walks through its positions in every document that has them all.
    public static let phraseTermsMax = 256
    /// Words between those of a phrase.
    public static let slopMax: UInt32 = 10_000
    public static let boostRange: ClosedRange<Double> = 0.001...1_000
    public static let fragmentsDefault = 3
    public static let fragmentsMax: UInt32 = 100
    public static let fragmentSizeDefault = 150
    public static let fragmentSizeMax: UInt32 = 10_000
    public static let highlightTagBytesMax = 256
    /// A field's own stop words.
    public static let stopWordsMax = 4_096
    public static let stopWordBytesMax = 256
    /// Of a text field: products with it stay far within what a score can hold.
    public static let boostMax = 1e6
    public static let filterDepthMax = 32
    public static let filterNodesMax = 4_096
    /// Largest gRPC message taken: 10,000 vectors of 384 floats are 15 MiB.
    public static let messageBytesMax = 32 << 20
    /// Bytes of the documents in one answer; anything larger streams (`Scan`).
    public static let answerBytesMax = 64 << 20
    /// A hundred years: far from any overflow.
    public static let retentionMillisMax: Int64 = 36_525 * 86_400_000
    public static let pageSizeDefault = 100
    public static let pageSizeMax = 1_000
    /// Bytes an ingest stream may have unacknowledged: memory of a client that ignores its credits
    /// stays under 32 MiB.
    public static let streamCreditBytes = 8 << 20
    /// Of one search: each walks its columns once at least.
    public static let aggregationsMax = 64
    public static let facetLimitDefault = 10
    public static let facetLimitMax = 10_000
    /// Distinct values that a facet counts: numbers take 32 bytes each, strings their own beside.
    public static let facetValuesMax = 1_000_000
    public static let histogramBucketsMax = 10_000
    public static let quantilesMax = 100
    public static let sortKeysMax = 8
    public static let rrfKDefault = 60
    public static let rrfKMax = 1_000_000
    /// UTF-8 bytes of a formula: several screens of it.
    public static let formulaBytesMax = 4_096
    /// Steps of a compiled formula, each about 1 ns: 10,000 candidates take 10 ms at most.
    public static let formulaStepsMax = 1_024
    public static let formulaDepthMax = 64
    /// Values that wait for an operation: a level of nesting leaves a few.
    public static let formulaStackMax = 8 * formulaDepthMax
    /// Hits that diversity chooses from: all pairs of them are 500,000 cosines.
    public static let diversityPoolMax = 1_000
    /// Pool × dimension: 16 MiB of vectors in hand.
    public static let diversityFloatsMax = 4 << 20
    /// Hits that are rescored: their multi-vectors are read from stored documents, one after another.
    public static let rescoreTopMax = 1_000
    /// Rows of a rescoring query: token vectors of a long question.
    public static let rescoreRowsMax = 512

    /// Judged queries of one tuning. Fewer than the least would be noise whatever they say.
    public static let tuneQueriesMax = 10_000
    public static let tuneQueriesMin = 10
    /// Bytes that the candidates of one tuning's queries take: with two legs and 100 candidates of
    /// each a query has about 4 KiB, so 10,000 of them 40 MiB.
    public static let tuneBytesMax = 128 << 20
    public static let tuneCandidatesMax = 1_000
    public static let judgementsMax = 4_096
    public static let gradeMax = 1_000_000.0
    public static let foldsDefault = 5
    public static let foldsRange: ClosedRange<UInt32> = 2...20
    /// Versions of a collection's tuning that are kept, and combinations of legs in each: at 1 KiB
    /// for one with five folds, 128 KiB in the catalog.
    public static let tuningsMax = 16
    public static let tunedCombinationsMax = 8
}
