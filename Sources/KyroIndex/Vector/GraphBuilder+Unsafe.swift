// Grows a graph row by row (Malkov & Yashunin 2018, algorithms 1 and 4) beside its readers.
import CKernels
import KyroBytes
import KyroModel
import Synchronization

/// The maintenance thread's half of a `VectorGraph`.
///
/// `@unchecked Sendable`: only the index's one maintenance thread calls it.
@safe final class GraphBuilder: @unchecked Sendable {
    let graph: VectorGraph
    private let rows: VectorRows
    let memory = ScratchMemory()
    /// Neighbours chosen, and candidates to choose from, of the list at hand.
    let chosen: UnsafeMutablePointer<UInt32>
    private let candidates: UnsafeMutablePointer<UInt64>

    init(graph: VectorGraph) {
        self.graph = graph
        rows = graph.rows
        unsafe chosen = .allocate(capacity: ScratchMemory.batch)
        unsafe candidates = .allocate(capacity: ScratchMemory.batch)
        unsafe chosen.initialize(repeating: 0, count: ScratchMemory.batch)
        unsafe candidates.initialize(repeating: 0, count: ScratchMemory.batch)
        memory.reserve(pool: graph.parameters.efConstruction)
    }

    deinit {
        unsafe chosen.deallocate()
        unsafe candidates.deallocate()
    }

    /// Inserts the next row and publishes it. - Precondition: the writer has published the row.
    func insertNext() {
        let row = UInt32(graph.count)
        precondition(Int(row) < rows.count, "row \(row) of \(rows.count)")
        graph.reserve(row: row)
        if let entry = graph.entry { link(row, entry: entry, bottom: 0, bound: row) }
        graph.publish(row: row)
    }

    /// Counts the next row in as one that is gone already: it gets no neighbours.
    func skipNext() {
        let row = UInt32(graph.count)
        precondition(Int(row) < rows.count, "row \(row) of \(rows.count)")
        graph.reserve(row: row)
        graph.setGone(row)
        graph.publish(row: row)
    }

    /// Finds neighbours among the rows below `bound` in the row's layers from `bottom` on, and lets
    /// both lead to each other.
    func link(_ row: UInt32, entry: UInt32, bottom: Int, bound: UInt32) {
        let height = graph.height(row)
        let top = graph.height(entry)
        var start = descend(for: row, from: entry, bottom: height + 1, bound: bound)
        for layer in stride(from: min(height, top), through: bottom, by: -1) {
            start = link(row, layer: layer, from: start, bound: bound)
        }
    }

    func descend(for row: UInt32, from entry: UInt32, bottom: Int, bound: UInt32) -> UInt32 {
        var scored = 0
        return unsafe graph.descend(
            from: entry, top: graph.height(entry), bottom: bottom, bound: bound,
            query: rows.codes.query(row: Int(row), isLong: true, scratch: memory.coding),
            memory: memory, scored: &scored)
    }

    /// One layer; returns the nearest row in it.
    func link(_ row: UInt32, layer: Int, from start: UInt32, bound: UInt32) -> UInt32 {
        let ef = graph.parameters.efConstruction
        var scored = 0
        var pool = unsafe CandidatePool(keys: memory.pool, capacity: ef, wanted: ef)
        do {
            try unsafe graph.walk(
                layer: layer, from: start, bound: bound,
                query: rows.codes.query(row: Int(row), isLong: true, scratch: memory.coding),
                admission: nil, memory: memory, pool: &pool, scored: &scored, cancellation: nil)
        } catch {
            preconditionFailure("a walk without cancellation was cancelled: \(error)")
        }
        let nearest = unsafe CandidatePool.row(pool.keys[0])
        let count = unsafe choose(
            pool.keys, count: pool.count, for: row, limit: graph.parameters.neighboursMax)
        let cells = unsafe graph.cells(row, layer: layer)
        for i in 0..<count {
            unsafe cells[i].store(chosen[i] + 1, ordering: .releasing)
        }
        for i in 0..<count {
            let neighbour = unsafe cells[i].load(ordering: .relaxed) - 1
            connect(neighbour, to: row, layer: layer)
        }
        return nearest
    }

    /// Algorithm 4: takes a candidate when it is nearer to `row` than to every one taken before.
    /// Of equals one is taken, so that copies of a row form a chain and do not fill each other's
    /// lists.
    /// Rows that are gone are never taken. Leaves the rows in `chosen`, whose first `kept` are taken already, and returns their number.
    func choose(
        _ sorted: UnsafePointer<UInt64>, count: Int, for row: UInt32, limit: Int,
        taken kept: Int = 0
    ) -> Int {
        // A score lacks the bias of the row that asked.
        let bias = rows.codes.bias(Int(row))
        let scratch = memory.coding
        scratch.reserveForms(rows.codes.model)
        for j in 0..<kept {
            rows.codes.setForm(j, row: unsafe Int(chosen[j]), scratch: scratch)
        }
        var taken = kept
        for i in 0..<count where taken < limit {
            let key = unsafe sorted[i]
            let candidate = unsafe CandidatePool.row(key)
            if candidate == row || graph.isGone(candidate) { continue }
            let toRow = unsafe CandidatePool.score(key) + bias
            rows.codes.setForm(taken, row: Int(candidate), scratch: scratch)
            let isHidden = unsafe rows.codes.isNear(
                Int(candidate), rows: chosen, count: taken, least: toRow, scratch: scratch)
            if !isHidden {
                unsafe chosen[taken] = candidate
                taken += 1
            }
        }
        return taken
    }

    /// Adds `row` to the list of `neighbour`, choosing anew when the list is full.
    func connect(_ neighbour: UInt32, to row: UInt32, layer: Int) {
        let cells = unsafe graph.cells(neighbour, layer: layer)
        let width = graph.width(layer: layer)
        for i in 0..<width where unsafe cells[i].load(ordering: .relaxed) == 0 {
            unsafe cells[i].store(row + 1, ordering: .releasing)
            return
        }
        let batchRows = unsafe memory.batchRows
        for i in 0..<width {
            unsafe batchRows[i] = unsafe cells[i].load(ordering: .relaxed) - 1
        }
        unsafe batchRows[width] = row
        let scores = unsafe memory.coding.scores
        unsafe rows.codes.scores(
            rows.codes.query(row: Int(neighbour), isLong: false, scratch: memory.coding),
            rows: batchRows, count: width + 1, into: scores, memory: memory)
        for i in 0...width {
            let score = unsafe scores[i]
            let key = unsafe CandidatePool.key(score: score, row: batchRows[i], isAdmitted: true)
            var position = i
            while position > 0, unsafe candidates[position - 1] < key {
                unsafe candidates[position] = unsafe candidates[position - 1]
                position -= 1
            }
            unsafe candidates[position] = key
        }
        let count = unsafe choose(candidates, count: width + 1, for: neighbour, limit: width)
        for i in 0..<count { unsafe cells[i].store(chosen[i] + 1, ordering: .releasing) }
        for i in count..<width { unsafe cells[i].store(0, ordering: .releasing) }
    }
}
