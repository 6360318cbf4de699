// Many queries answered by comparing all rows, a piece at a time.
import KyroModel

/// All queries go over a block of rows while the cache holds it: 32 queries take little longer than
/// three one after the other, where rows come from memory or from the disk. One thread at a time;
/// beside the writer and readers, for it reads only rows that were published when it was made.
public struct ExactBatch {
    /// Rows that stay in the second-level cache while all queries are compared with them.
    private static let blockBytes = 1 << 18

    private let index: VectorIndex
    private let queries: [[Float]]
    private let memories: [ScratchMemory]
    private let admission: Admission
    private let rowCount: Int
    private let blockRows: Int
    private var position = 0
    private var tops: [TopK]

    /// - Parameters:
    ///   - queries: each as long as the field has dimensions.
    ///   - k: the best to be found of each.
    public init(
        _ index: VectorIndex, queries: [[Float]], k: Int, visibility: Visibility,
        order: any SlotOrder
    ) {
        self.index = index
        self.queries = queries
        memories = queries.map { _ in ScratchMemory() }
        admission = Admission(rows: index.rows, visibility: visibility, mask: nil)
        rowCount = index.rowCount
        blockRows = max(64, Self.blockBytes / (4 * index.field.dimension) & ~63)
        tops = queries.map { _ in TopK(k: k, order: order) }
    }

    /// Goes on for about so many distances, one block at least; true at the end.
    ///
    /// - Throws: `cancelled` or `deadlineExceeded`; the batch is then of no further use.
    public mutating func step(
        distancesMax: Int, cancellation: Cancellation
    ) throws(KyroError) -> Bool {
        let rowsMax = max(blockRows, distancesMax / max(1, queries.count))
        let end = queries.isEmpty ? rowCount : min(rowCount, position + rowsMax)
        let encoded = unsafe queries.indices.map { number in
            unsafe EncodedQuery(queries[number], rows: index.rows, memory: memories[number])
        }
        while position < end {
            let block = position..<min(end, position + blockRows)
            for number in queries.indices {
                try unsafe index.rows.scanValues(
                    encoded[number], range: block, admission: admission,
                    memory: memories[number], into: &tops[number], cancellation: cancellation)
            }
            position = block.upperBound
        }
        return position >= rowCount
    }

    /// Of each query the scores of the best, best first. Once, at the end.
    public mutating func drainScores() -> [[Float]] {
        tops.indices.map { tops[$0].drainSorted().map(\.score) }
    }

    /// What a batch takes beside its queries: their copies in both precisions, what each keeps, and
    /// the marks of the rows that a walk has visited.
    public static func byteCount(_ index: VectorIndex, queryCount: Int, k: Int) -> Int {
        queryCount * (9 * index.field.dimension + 16 * k + 4_096) + index.rowCount
    }
}
