// In which order a search goes through inverted lists.
import CKernels
import KyroBytes
import KyroModel

/// The lists, the one with the nearest centroid first, sorted as far as they are asked for.
@unsafe struct ListOrder {
    private let keys: UnsafeMutablePointer<UInt64>
    private let count: Int
    private var sortedEnd = 0
    private var position = 0
    private var piece: Int

    /// Scores all centroids, in memory that must outlive this.
    ///
    /// - Parameter expected: lists that will likely be asked for.
    init(
        _ centroids: Centroids, query: EncodedQuery, metric: Metric, expected: Int,
        memory: ScratchMemory
    ) {
        let listCount = centroids.count
        memory.reserve(lists: listCount, dimension: centroids.dimension)
        let codes = unsafe memory.listQuery
        let dots = unsafe memory.listDots
        let keys = unsafe memory.listKeys
        let scale = unsafe kyro_encode_i8(query.values, centroids.dimension, codes)
        unsafe kyro_dot_i8_rows(
            codes, centroids.codes.pointer, centroids.stride, listCount,
            centroids.dimension, dots)
        // Nearest under L2, greatest product else.
        let (factor, bias): (Float, Float) = metric == .l2 ? (2 * scale, 1) : (scale, 0)
        for list in 0..<listCount {
            let score =
                unsafe Float(dots[list]) * (factor * centroids.factors[list])
                + bias * centroids.biases[list]
            unsafe keys[list] = unsafe CandidatePool.key(
                score: score, row: UInt32(list), isAdmitted: false)
        }
        unsafe self.keys = unsafe keys
        unsafe count = listCount
        unsafe piece = max(8, expected)
    }

    /// The next list; nil behind the last.
    mutating func next() -> Int? {
        if unsafe position == sortedEnd {
            guard unsafe sortedEnd < count else { return nil }
            unsafe sortMore()
        }
        defer { unsafe position += 1 }
        return unsafe Int(CandidatePool.row(keys[position]))
    }

    /// Puts the next `piece` keys in order, and twice as many the next time.
    private mutating func sortMore() {
        let rest = unsafe count - sortedEnd
        let length = unsafe min(piece, rest)
        let start = unsafe keys + sortedEnd
        if length < rest { unsafe ScanPool.select(start, count: rest, position: length - 1) }
        var sorted = unsafe UnsafeMutableBufferPointer(start: start, count: length)
        unsafe sorted.sort(by: >)
        unsafe sortedEnd += length
        unsafe piece *= 2
    }
}
