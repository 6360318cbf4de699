// A navigable small-world graph over codes (Malkov & Yashunin 2018), walked while it grows.
//
// Row r is in layer 0 and, with probability 1/M each, in the layers above; its height follows from
// a hash of r, so that it needs no memory and a restart finds the same. A list is fixed-width cells
// of row + 1, filled from the front, 0 behind. The maintenance thread alone stores cells; a reader
// may see any mix of an old and a new list, because every row in either is complete: its columns
// were published by the writer before the graph learnt of it, and a release-store of a cell
// follows them. A reader skips rows at or above the count that it loaded when it began.
import CKernels
import KyroBytes
import KyroModel
import Synchronization

/// `@unchecked Sendable`: cells are atomic; `upperList` is written before a cell leads to its row.
@safe final class VectorGraph: @unchecked Sendable {
    static let layersMax = 8

    let rows: VectorRows
    let parameters: GraphParameters
    let base: AtomicColumn32
    /// Lists above the base, one after the other for the layers of one row.
    let upper: AtomicColumn32
    /// First list of a row in `upper`, for rows that are in layer 1.
    let upperList: Column<UInt32>
    /// Lists given out in `upper`. Maintenance only.
    var upperCount = 0
    /// The first rows, as many as were built at once; all others were linked singly. Maintenance
    /// only.
    var builtAtOnceCount = 0
    private let heightShift: Int
    /// The highest row, + 1; stored after the count that includes it.
    private let entryCell = Atomic<UInt32>(0)
    private let published = Atomic<Int>(0)
    /// A bit a row, see `isGone`; stored by maintenance alone.
    let goneWords = AtomicColumn32()
    let goneNumber = Atomic<Int>(0)
    let repaired = Atomic<UInt64>(0)

    init(rows: VectorRows, parameters: GraphParameters) {
        self.rows = rows
        self.parameters = parameters
        base = AtomicColumn32(width: parameters.baseCells)
        upper = AtomicColumn32(width: parameters.neighboursMax)
        upperList = Column()
        heightShift = parameters.heightShift
    }

    /// Rows in the graph.
    var count: Int { published.load(ordering: .acquiring) }

    var entry: UInt32? {
        let cell = entryCell.load(ordering: .acquiring)
        return cell == 0 ? nil : cell - 1
    }

    /// The highest layer of a row (SplitMix64's finaliser as the hash).
    @inline(__always) func height(_ row: UInt32) -> Int {
        var hash = (UInt64(row) &+ 1) &* 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        hash ^= hash >> 31
        return min(hash.trailingZeroBitCount / heightShift, Self.layersMax - 1)
    }

    /// Maintenance only: counts `row` in, and makes it the entry if none is as high.
    func publish(row: UInt32) {
        published.store(Int(row) + 1, ordering: .releasing)
        if isGone(row) { return }
        if let entry, height(entry) >= height(row) { return }
        entryCell.store(row + 1, ordering: .releasing)
    }

    /// Maintenance only: shows the first rows at once, of which `entry` is a highest one.
    func publish(count: Int, entry: UInt32) {
        published.store(count, ordering: .releasing)
        entryCell.store(entry + 1, ordering: .releasing)
    }

    /// Maintenance only.
    func setEntry(_ row: UInt32?) {
        entryCell.store(row.map { $0 + 1 } ?? 0, ordering: .releasing)
    }

    /// Maintenance only: gives `row` its empty lists.
    func reserve(row: UInt32) {
        base.reserve(row: Int(row))
        goneWords.reserve(row: Int(row >> 5))
        upperList.reserve(row: Int(row))
        let height = height(row)
        guard height > 0 else { return }
        upperList[Int(row)] = UInt32(upperCount)
        for list in upperCount..<(upperCount + height) { upper.reserve(row: list) }
        upperCount += height
    }

    /// Maintenance only: makes room for the lists of `row`; false when there is no memory for them.
    func tryReserve(row: UInt32) -> Bool {
        let rows = Int(row)..<(Int(row) + 1)
        let word = Int(row >> 5)
        return base.tryReserve(rows: rows) && upperList.tryReserve(rows: rows)
            && goneWords.tryReserve(rows: word..<(word + 1))
            && upper.tryReserve(rows: upperCount..<(upperCount + height(row)))
    }

    func width(layer: Int) -> Int {
        layer == 0 ? parameters.baseCells : parameters.neighboursMax
    }

    @unsafe @inline(__always)
    func cells(_ row: UInt32, layer: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        if layer == 0 { return unsafe base.cells(Int(row)) }
        return unsafe upper.cells(Int(upperList[Int(row)]) + layer - 1)
    }

    var residentBytes: Int {
        base.residentBytes(rowCount: count) + upperList.residentBytes(rowCount: count)
            + upper.residentBytes(rowCount: count / parameters.rowsPerUpperList + 1)
    }
}

extension VectorGraph {
    /// Candidates kept in the layers above the base. One, as in the paper, ends in a wrong cluster
    /// now and then, and a base layer that was built at once may not lead out of it: of 50,000 rows
    /// in 64 clusters 1.2 % were not found by their own vector, with eight as few as in a graph that
    /// grew row by row (0.02 to 0.04 %), for 5 % more distances.
    static let descentBeam = 8

    /// Goes from `start` to the best row found in each layer from `top` down to `bottom`.
    func descend(
        from start: UInt32, top: Int, bottom: Int, bound: UInt32,
        query: CodeQuery, memory: ScratchMemory, scored: inout Int
    ) -> UInt32 {
        var best = start
        memory.reserve(pool: Self.descentBeam)
        for layer in stride(from: top, through: bottom, by: -1) {
            var pool = unsafe CandidatePool(
                keys: memory.pool, capacity: Self.descentBeam, wanted: Self.descentBeam,
                isDistinct: true)
            do {
                try unsafe walk(
                    layer: layer, from: best, bound: bound, query: query,
                    admission: nil, memory: memory, pool: &pool, scored: &scored,
                    cancellation: nil)
            } catch {
                preconditionFailure("a walk without cancellation was cancelled: \(error)")
            }
            best = unsafe CandidatePool.row(pool.keys[0])
        }
        return best
    }

    /// Best-first search of one layer (algorithm 2): expands what is in the pool, best first,
    /// until everything kept is expanded. With an admission, only what it admits counts towards
    /// the pool's `wanted`, and the rest leads on.
    ///
    /// - Parameter start: where to begin; below `bound`.
    func walk(
        layer: Int, from start: UInt32, bound: UInt32, query: CodeQuery,
        admission: Admission?, memory: ScratchMemory, pool: inout CandidatePool,
        scored: inout Int, cancellation: Cancellation?
    ) throws(KyroError) {
        memory.beginVisits(rowCount: Int(bound))
        let visited = unsafe memory.visited
        let epoch = memory.epoch
        let batchRows = unsafe memory.batchRows
        let scores = unsafe memory.coding.scores
        let codes = rows.codes
        let width = width(layer: layer)

        unsafe visited[Int(start)] = epoch
        unsafe batchRows[0] = start
        var count = 1
        var cursor = 0
        var steps = 0
        while true {
            unsafe codes.scores(
                query, rows: batchRows, count: count, into: scores, memory: memory)
            scored += count
            for i in 0..<count {
                let row = unsafe batchRows[i]
                let score = unsafe scores[i]
                var key = unsafe CandidatePool.key(score: score, row: row, isAdmitted: true)
                guard unsafe key > pool.threshold else { continue }
                if let admission, !admission.admits(Int(row)) {
                    unsafe key &= ~CandidatePool.admitted
                    guard unsafe key > pool.threshold else { continue }
                }
                cursor = min(cursor, unsafe pool.insert(key))
            }
            while unsafe cursor < pool.count
                && pool.keys[cursor] & CandidatePool.expanded != 0
            {
                cursor += 1
            }
            guard unsafe cursor < pool.count else { return }
            let key = unsafe pool.keys[cursor]
            unsafe pool.keys[cursor] = key | CandidatePool.expanded
            if unsafe cursor + 1 < pool.count {
                // Likely the next to be expanded.
                let next = unsafe CandidatePool.row(pool.keys[cursor + 1])
                let nextCells = unsafe UnsafeRawPointer(cells(next, layer: layer))
                unsafe kyro_prefetch(nextCells)
                unsafe kyro_prefetch(nextCells + 64)
            }
            let cells = unsafe cells(CandidatePool.row(key), layer: layer)
            count = 0
            for i in 0..<width {
                let cell = unsafe cells[i].load(ordering: .acquiring)
                if cell == 0 { break }
                let row = cell - 1
                if row >= bound { continue }
                if unsafe visited[Int(row)] == epoch { continue }
                unsafe visited[Int(row)] = epoch
                unsafe batchRows[count] = row
                codes.prefetchTerms(Int(row))
                count += 1
            }
            steps += 1
            if steps & 31 == 0, let cancellation { try cancellation.check() }
        }
    }
}
