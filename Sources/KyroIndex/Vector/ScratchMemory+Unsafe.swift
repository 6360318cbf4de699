// The memory that one walk or scan works in.
import CKernels

/// Buffers that grow and are reused. Used by one thread at a time.
///
/// `@unchecked Sendable`: it moves between threads with the search that owns it.
@safe final class ScratchMemory: @unchecked Sendable {
    /// Rows scored by one call of a kernel: as many as the longest neighbour list and one more.
    static let batch = 72
    /// Words of 64 rows scanned by one call of a kernel.
    static let scanWordsMax = kyro_scan_words_max

    /// One epoch a row; a row is visited when it holds the current one.
    private(set) var visited: UnsafeMutablePointer<UInt8>
    private var visitedCapacity = 0
    private(set) var epoch: UInt8 = 0
    /// Candidates, see `CandidatePool`.
    private(set) var pool: UnsafeMutablePointer<UInt64>
    private(set) var poolCapacity = 0
    /// The query.
    private(set) var values: UnsafeMutablePointer<Float>
    let coding = CodeScratch()
    private var dimensionCapacity = 0
    /// The query as int8, what the centroids of inverted lists score, and the lists in order.
    private(set) var listQuery: UnsafeMutablePointer<Int8>
    private(set) var listDots: UnsafeMutablePointer<Int32>
    private(set) var listKeys: UnsafeMutablePointer<UInt64>
    private var listCapacity = 0
    private var listDimension = 0

    let batchRows: UnsafeMutablePointer<UInt32>
    /// Neighbours of one row over which a filtered walk looks further.
    let bridges: UnsafeMutablePointer<UInt32>
    /// Neighbours that a filter matches.
    let hits: UnsafeMutablePointer<UInt32>
    let batchCodes: UnsafeMutablePointer<UnsafePointer<Int8>?>
    let batchDots: UnsafeMutablePointer<Int32>
    let batchScores: UnsafeMutablePointer<Double>
    /// What `kyro_scan_i8` looks at and what it passes on.
    let scanWords: UnsafeMutablePointer<UInt64>
    let scanRows: UnsafeMutablePointer<UInt32>
    let scanScores: UnsafeMutablePointer<Float>
    /// Rows that are scored exactly.
    let rows = RowScratch()

    init() {
        unsafe visited = .allocate(capacity: 1)
        unsafe pool = .allocate(capacity: 1)
        unsafe values = .allocate(capacity: 1)
        unsafe listQuery = .allocate(capacity: 1)
        unsafe listDots = .allocate(capacity: 1)
        unsafe listKeys = .allocate(capacity: 1)
        unsafe batchRows = .allocate(capacity: Self.batch)
        unsafe bridges = .allocate(capacity: Self.batch)
        unsafe hits = .allocate(capacity: Self.batch)
        unsafe batchCodes = .allocate(capacity: Self.batch)
        unsafe batchDots = .allocate(capacity: Self.batch)
        unsafe batchScores = .allocate(capacity: Self.batch)
        unsafe scanWords = .allocate(capacity: Self.scanWordsMax)
        unsafe scanRows = .allocate(capacity: 64 * Self.scanWordsMax)
        unsafe scanScores = .allocate(capacity: 64 * Self.scanWordsMax)
        unsafe batchRows.initialize(repeating: 0, count: Self.batch)
        unsafe bridges.initialize(repeating: 0, count: Self.batch)
        unsafe hits.initialize(repeating: 0, count: Self.batch)
        unsafe batchCodes.initialize(repeating: nil, count: Self.batch)
        unsafe batchDots.initialize(repeating: 0, count: Self.batch)
        unsafe batchScores.initialize(repeating: 0, count: Self.batch)
    }

    deinit {
        unsafe visited.deallocate()
        unsafe pool.deallocate()
        unsafe values.deallocate()
        unsafe listQuery.deallocate()
        unsafe listDots.deallocate()
        unsafe listKeys.deallocate()
        unsafe batchRows.deallocate()
        unsafe bridges.deallocate()
        unsafe hits.deallocate()
        unsafe batchCodes.deallocate()
        unsafe batchDots.deallocate()
        unsafe batchScores.deallocate()
        unsafe scanWords.deallocate()
        unsafe scanRows.deallocate()
        unsafe scanScores.deallocate()
    }

    func reserve(dimension: Int) {
        guard dimension > dimensionCapacity else { return }
        unsafe values.deallocate()
        unsafe values = .allocate(capacity: dimension)
        dimensionCapacity = dimension
    }

    func reserve(lists count: Int, dimension: Int) {
        if dimension > listDimension {
            unsafe listQuery.deallocate()
            unsafe listQuery = .allocate(capacity: dimension)
            listDimension = dimension
        }
        guard count > listCapacity else { return }
        unsafe listDots.deallocate()
        unsafe listKeys.deallocate()
        unsafe listDots = .allocate(capacity: count)
        unsafe listKeys = .allocate(capacity: count)
        listCapacity = count
    }

    func reserve(pool count: Int) {
        guard count > poolCapacity else { return }
        unsafe pool.deallocate()
        unsafe pool = .allocate(capacity: count)
        poolCapacity = count
    }

    /// Makes every row in [0, rowCount) unvisited. Costs a fill once in 255 times.
    func beginVisits(rowCount: Int) {
        if rowCount > visitedCapacity {
            unsafe visited.deallocate()
            visitedCapacity = max(rowCount, 2 * visitedCapacity)
            unsafe visited = .allocate(capacity: visitedCapacity)
            unsafe visited.initialize(repeating: 0, count: visitedCapacity)
            epoch = 0
        }
        if epoch == .max {
            unsafe visited.update(repeating: 0, count: visitedCapacity)
            epoch = 0
        }
        epoch += 1
    }
}

/// Working memory of searches: keep one per thread or per search in flight and pass it in again.
/// A value: a copy that is used while the original lives gets memory of its own.
public struct VectorScratch: Sendable {
    private var owned = ScratchMemory()

    public init() {}

    mutating func memory() -> ScratchMemory {
        if !isKnownUniquelyReferenced(&owned) { owned = ScratchMemory() }
        return owned
    }
}
