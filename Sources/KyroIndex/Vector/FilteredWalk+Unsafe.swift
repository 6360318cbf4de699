// A walk of the graph's base layer under a filter.
import CKernels
import KyroBytes
import KyroModel
import Synchronization

/// Which rows a filter matches, for the time of one walk.
@unsafe struct RowFilter {
    private let words: UnsafePointer<UInt64>?
    private let slots: Column<UInt32>
    /// Every slot has a row, so that their numbers are the same.
    private let isDense: Bool
    /// Rows, or slots where their numbers differ, at or above this do not match.
    private let limit: UInt32

    /// - Parameter words: of the mask; must outlive this.
    init(words: UnsafeBufferPointer<UInt64>, rows: VectorRows, rowCount: Int) {
        unsafe self.words = words.baseAddress
        unsafe limit = UInt32(clamping: 64 * words.count)
        unsafe slots = rows.slots
        unsafe isDense = rowCount == 0 || Int(rows.slots[rowCount - 1]) == rowCount - 1
    }

    /// 1 where it does, else 0.
    @inline(__always) func matches(_ row: UInt32) -> Int {
        let slot = unsafe isDense ? row : slots[Int(row)]
        guard unsafe slot < limit, let words = unsafe words else { return 0 }
        return unsafe Int(truncatingIfNeeded: words[Int(slot >> 6)] >> UInt64(slot & 63)) & 1
    }
}

/// Best-first search as `VectorGraph.walk`, in two parts: it looks around the query whatever the
/// filter says, and goes on by what it has met there (`FilterCosts`).
@unsafe struct FilteredWalk {
    let graph: VectorGraph
    let bound: UInt32
    let query: CodeQuery
    let filter: RowFilter
    let admission: Admission
    let memory: ScratchMemory
    let cancellation: Cancellation
    /// Distances of codes, and lists of neighbours read.
    private(set) var scored = 0
    private(set) var lists = 0
    /// Rows looked at around the query whatever they are, and those of them that match.
    private(set) var met = 0
    private(set) var matched = 0
    /// Distances and lists after which the walk gives up.
    var costMax = Int.max
    private static let batchMin = 8
    private let visited: UnsafeMutablePointer<UInt8>
    private let epoch: UInt8
    private let width: Int
    private var cursor = 0
    /// Rows gathered and not yet scored.
    private var count = 0

    init(
        graph: VectorGraph, bound: UInt32, query: CodeQuery, filter: RowFilter,
        admission: Admission, memory: ScratchMemory, cancellation: Cancellation
    ) {
        memory.beginVisits(rowCount: Int(bound))
        unsafe self.graph = graph
        unsafe self.bound = bound
        unsafe self.query = unsafe query
        unsafe self.filter = unsafe filter
        unsafe self.admission = admission
        unsafe self.memory = memory
        unsafe self.cancellation = cancellation
        unsafe visited = unsafe memory.visited
        unsafe epoch = memory.epoch
        unsafe width = graph.width(layer: 0)
    }

    /// - Parameter start: below `bound`.
    mutating func begin(at start: UInt32, _ pool: inout CandidatePool) {
        unsafe visited[Int(start)] = epoch
        unsafe gather(start)
        unsafe score(&pool, allMatch: false)
    }

    /// Expands what is kept, best first, and scores all that it leads to, until the best `keptMax`
    /// are expanded. False when it gave up.
    mutating func lead(_ pool: inout CandidatePool, keptMax: Int) throws(KyroError) -> Bool {
        while unsafe cursor < keptMax, let row = unsafe next(&pool) {
            if unsafe scored + lists > costMax { return false }
            let cells = unsafe graph.cells(row, layer: 0)
            for i in unsafe 0..<width {
                let cell = unsafe cells[i].load(ordering: .acquiring)
                if cell == 0 { break }
                let row = cell - 1
                if unsafe row >= bound || visited[Int(row)] == epoch { continue }
                unsafe visited[Int(row)] = epoch
                unsafe matched += filter.matches(row)
                unsafe gather(row)
            }
            unsafe met += count
            unsafe score(&pool, allMatch: false)
            if unsafe lists & 31 == 0 { unsafe try cancellation.check() }
        }
        return true
    }

    /// Goes on with what matches alone: of those expanded, neighbours that match are scored, and from
    /// a row that matches also the matching neighbours of those that do not (Patel et al. 2024,
    /// ACORN, section 5.2). False when it gave up.
    ///
    /// A neighbour's list is read once: what of it matches has been scored by then.
    mutating func hop(_ pool: inout CandidatePool) throws(KyroError) -> Bool {
        let hits = unsafe memory.hits
        let bridges = unsafe memory.bridges
        unsafe cursor = 0
        while let row = unsafe next(&pool) {
            if unsafe scored + lists > costMax { return false }
            let isBridged = unsafe filter.matches(row) == 1
            let (hitCount, missCount) = unsafe sort(row, hits: hits, misses: bridges)
            unsafe gather(hits, hitCount)
            if isBridged {
                let bridgeCount = unsafe unread(bridges, missCount)
                unsafe lists += bridgeCount
                for i in 0..<bridgeCount {
                    // A batch has room for one list and a few rows more.
                    if unsafe count >= Self.batchMin { unsafe score(&pool, allMatch: true) }
                    let hitCount = unsafe hitsOnly(bridges[i], hits)
                    unsafe gather(hits, hitCount)
                }
            }
            if unsafe count > 0 { unsafe score(&pool, allMatch: true) }
            unsafe try cancellation.check()
        }
        return true
    }

    /// Moves those whose lists have not been read to the front and has their lists fetched.
    @inline(__always) private func unread(
        _ bridges: UnsafeMutablePointer<UInt32>, _ bridgeCount: Int
    ) -> Int {
        var kept = 0
        for i in 0..<bridgeCount {
            let bridge = unsafe bridges[i]
            if unsafe visited[Int(bridge)] == epoch { continue }
            unsafe visited[Int(bridge)] = epoch
            let cells = unsafe UnsafeRawPointer(graph.cells(bridge, layer: 0))
            unsafe kyro_prefetch(cells)
            unsafe kyro_prefetch(cells + 64)
            unsafe bridges[kept] = bridge
            kept += 1
        }
        return kept
    }

    /// The neighbours of a row that match, and the others.
    @inline(__always) private func sort(
        _ row: UInt32, hits: UnsafeMutablePointer<UInt32>, misses: UnsafeMutablePointer<UInt32>
    ) -> (hits: Int, misses: Int) {
        let cells = unsafe graph.cells(row, layer: 0)
        var hitCount = 0
        var missCount = 0
        for i in unsafe 0..<width {
            let cell = unsafe cells[i].load(ordering: .acquiring)
            if cell == 0 { break }
            let row = cell - 1
            if unsafe row >= bound { continue }
            let matches = unsafe filter.matches(row)
            unsafe hits[hitCount] = row
            unsafe misses[missCount] = row
            hitCount += matches
            missCount += 1 - matches
        }
        return (hitCount, missCount)
    }

    /// The neighbours of a row that match.
    @inline(__always) private func hitsOnly(
        _ row: UInt32, _ hits: UnsafeMutablePointer<UInt32>
    ) -> Int {
        let cells = unsafe graph.cells(row, layer: 0)
        var hitCount = 0
        for i in unsafe 0..<width {
            let cell = unsafe cells[i].load(ordering: .acquiring)
            if cell == 0 { break }
            let row = cell - 1
            if unsafe row >= bound { continue }
            unsafe hits[hitCount] = row
            unsafe hitCount += filter.matches(row)
        }
        return hitCount
    }

    @inline(__always) private mutating func gather(
        _ rows: UnsafeMutablePointer<UInt32>, _ rowCount: Int
    ) {
        for i in 0..<rowCount {
            let row = unsafe rows[i]
            if unsafe visited[Int(row)] == epoch { continue }
            unsafe visited[Int(row)] = epoch
            unsafe gather(row)
        }
    }

    @inline(__always) private mutating func gather(_ row: UInt32) {
        unsafe memory.batchRows[count] = row
        unsafe graph.rows.codes.prefetchTerms(Int(row))
        unsafe count += 1
    }

    /// Scores what was gathered.
    @inline(__always) private mutating func score(_ pool: inout CandidatePool, allMatch: Bool) {
        let rows = unsafe graph.rows
        let scores = unsafe memory.coding.scores
        unsafe rows.codes.scores(
            query, rows: memory.batchRows, count: count, into: scores, memory: memory)
        unsafe scored += count
        for i in unsafe 0..<count {
            let row = unsafe memory.batchRows[i]
            var key = unsafe CandidatePool.key(score: scores[i], row: row, isAdmitted: true)
            guard unsafe key > pool.threshold else { continue }
            let isAdmitted =
                unsafe (allMatch || filter.matches(row) == 1)
                && admission.visibility.isVisible(Int(rows.slots[Int(row)]))
            if !isAdmitted {
                unsafe key &= ~CandidatePool.admitted
                guard unsafe key > pool.threshold else { continue }
            }
            unsafe cursor = min(cursor, pool.insert(key))
        }
        unsafe count = 0
    }

    /// The best row that is not expanded, which it is from now on; nil where there is none.
    @inline(__always) private mutating func next(_ pool: inout CandidatePool) -> UInt32? {
        while unsafe cursor < pool.count && pool.keys[cursor] & CandidatePool.expanded != 0 {
            unsafe cursor += 1
        }
        guard unsafe cursor < pool.count else { return nil }
        let key = unsafe pool.keys[cursor]
        unsafe pool.keys[cursor] = key | CandidatePool.expanded
        unsafe lists += 1
        if unsafe cursor + 1 < pool.count {
            // Likely the next to be expanded.
            let next = unsafe CandidatePool.row(pool.keys[cursor + 1])
            let nextCells = unsafe UnsafeRawPointer(graph.cells(next, layer: 0))
            unsafe kyro_prefetch(nextCells)
            unsafe kyro_prefetch(nextCells + 64)
        }
        return unsafe CandidatePool.row(key)
    }
}
