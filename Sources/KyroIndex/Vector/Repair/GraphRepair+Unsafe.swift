// Takes dead rows out of a graph in place, one by one, beside its readers (after Xu et al. 2025,
// "In-place updates of a graph index for streaming approximate nearest neighbor search", section 4).
//
// A pass looks through the rows for such as have died, notes them as gone, and takes them out: a
// walk from the row meets its neighbourhood, and there those who lead to it. Each of them gets, for
// all its neighbours that are gone, others out of theirs and out of what the walk met, chosen by the
// rule of insertion. Whom only the row led to is made known to somebody else.
//
// The walk may miss one who leads to the row from afar. His cell goes when his list is next
// chosen, and at the latest in a sweep over all lists, which begins when a sixteenth of the rows have
// gone since the last and looks at a few thousand in a step.
import CKernels
import KyroBytes
import KyroModel
import Synchronization

/// `@unchecked Sendable`: only the index's one maintenance thread calls it.
@safe final class GraphRepair: @unchecked Sendable {
    private let graph: VectorGraph
    private let builder: GraphBuilder
    private let memory: ScratchMemory

    /// Gone, and not yet taken out.
    private var waiting: [UInt32] = []
    /// Where the pass goes on; zero between two passes.
    private var cursor = 0
    /// What the last pass began with.
    private var passDeadCount = 0
    private var passSeq: UInt64 = 0
    /// Somebody is dead and above the sequence of the pass.
    private var hasRecentlyDead = false
    /// Rows gone since the last sweep began, and where it goes on; nil while there is none.
    private var unsweptCount = 0
    private var sweepCursor: Int?

    /// Living rows that the last walk met, nearest first, and those who lead to where it began.
    private let near: RowBuffer
    private let leading: RowBuffer
    private let lost: RowBuffer
    private let gathered: RowBuffer

    /// Living candidates of a walk for a row that goes.
    private static let candidates = 48
    /// How many times as many rows it keeps that are dead and only lead on.
    private static let poolFactor = 4
    /// Of what it met, offered to each who leads to the row.
    private static let nearMax = 48
    private static let gatheredMax = 256
    /// Rows looked through in a step: about 0.2 ms.
    private static let lookedRows = 1 << 16
    private static let sweptRows = 1 << 12
    private static let waitingMax = 1 << 12

    init(_ builder: GraphBuilder) {
        graph = builder.graph
        self.builder = builder
        memory = builder.memory
        near = RowBuffer(capacity: Self.nearMax)
        leading = RowBuffer(
            capacity: Self.candidates * Self.poolFactor + GraphParameters.listCellsMax)
        lost = RowBuffer(capacity: GraphParameters.listCellsMax)
        gathered = RowBuffer(capacity: Self.gatheredMax)
    }

    /// Whether a row that is about to be counted in is to be linked.
    func takes(_ row: UInt32, _ visibility: Visibility, deadUpTo: UInt64) -> Bool {
        let died = visibility.died.load(Int(graph.rows.slots[Int(row)]))
        if died == 0 { return true }
        guard died <= deadUpTo else {
            hasRecentlyDead = true
            return true
        }
        graph.raiseRepaired(to: died)
        return false
    }

    // MARK: Passes

    func step(
        rowsMax: Int, deadUpTo: UInt64, deadCount: Int, visibility: Visibility,
        cancellation: Cancellation
    ) -> Int {
        var done = 0
        while done < rowsMax, let row = waiting.popLast(), !cancellation.isCancelled {
            takeOut(row, visibility)
            done += 1
        }
        if done > 0 || !waiting.isEmpty { return done }
        if sweepCursor != nil || unsweptCount > max(graph.count / 16, 64) {
            return sweep(visibility)
        }
        return look(deadUpTo: deadUpTo, deadCount: deadCount, visibility)
    }

    /// Looks for the dead; returns how many rows it looked at, zero when no pass is due.
    private func look(deadUpTo: UInt64, deadCount: Int, _ visibility: Visibility) -> Int {
        let count = graph.count
        if cursor == 0 {
            guard count > 0, deadUpTo > passSeq, deadCount != passDeadCount || hasRecentlyDead
            else { return 0 }
            passDeadCount = deadCount
            passSeq = deadUpTo
            hasRecentlyDead = false
        }
        let slots = graph.rows.slots
        let begin = cursor
        var highest: UInt64 = 0
        while cursor < min(count, begin + Self.lookedRows), waiting.count < Self.waitingMax {
            let row = UInt32(cursor)
            let slot = Int(slots[cursor])
            precondition(slot < visibility.slotCount, "slot \(slot) of \(visibility.slotCount)")
            cursor += 1
            let died = visibility.died.load(slot)
            if died == 0 || graph.isGone(row) { continue }
            if died > passSeq {
                hasRecentlyDead = true
                continue
            }
            highest = max(highest, died)
            waiting.append(row)
        }
        let seen = cursor - begin
        if cursor >= count { cursor = 0 }
        guard !waiting.isEmpty else { return seen }
        graph.raiseRepaired(to: highest)
        for row in waiting { graph.setGone(row) }
        unsweptCount += waiting.count
        if let entry = graph.entry, graph.isGone(entry) { graph.replaceEntry() }
        return seen
    }

    /// Mends whoever still leads to a row that is gone.
    private func sweep(_ visibility: Visibility) -> Int {
        let count = graph.count
        let begin = sweepCursor ?? 0
        if begin == 0 { unsweptCount = 0 }
        let end = min(count, begin + Self.sweptRows)
        near.count = 0
        for row in begin..<end where !graph.isGone(UInt32(row)) {
            for layer in 0...graph.height(UInt32(row)) { mend(UInt32(row), layer: layer) }
        }
        sweepCursor = end == count ? nil : end
        return end - begin
    }

    // MARK: One row

    private func takeOut(_ row: UInt32, _ visibility: Visibility) {
        for layer in stride(from: graph.height(row), through: 0, by: -1) {
            meet(row, layer: layer, from: row, visibility)
            for i in 0..<leading.count { mend(leading[i], layer: layer) }
            let cells = unsafe graph.cells(row, layer: layer)
            for i in 0..<graph.width(layer: layer) {
                let cell = unsafe cells[i].load(ordering: .relaxed)
                if cell == 0 { break }
                if !graph.isGone(cell - 1) { makeKnown(cell - 1, layer: layer) }
            }
        }
    }

    /// Walks for a row: fills `near`, and `leading` with those who lead to it.
    private func meet(_ row: UInt32, layer: Int, from start: UInt32, _ visibility: Visibility) {
        let capacity = Self.candidates * Self.poolFactor
        memory.reserve(pool: capacity)
        var pool = unsafe CandidatePool(
            keys: memory.pool, capacity: capacity, wanted: Self.candidates)
        unsafe builder.walk(
            for: row, layer: layer, from: start,
            admission: Admission(rows: graph.rows, visibility: visibility, mask: nil), &pool)
        near.count = 0
        leading.count = 0
        for i in unsafe 0..<pool.count {
            let key = unsafe pool.keys[i]
            let other = unsafe CandidatePool.row(key)
            if other == row || graph.isGone(other) { continue }
            if leads(other, to: row, layer: layer) { leading.append(other) }
            if near.count < Self.nearMax, unsafe key & CandidatePool.admitted != 0 {
                near.append(other)
            }
        }
        let cells = unsafe graph.cells(row, layer: layer)
        for i in 0..<graph.width(layer: layer) {
            let cell = unsafe cells[i].load(ordering: .relaxed)
            if cell == 0 { break }
            let other = cell - 1
            if graph.isGone(other) || leading.contains(other) { continue }
            if leads(other, to: row, layer: layer) { leading.append(other) }
        }
    }

    private func leads(_ row: UInt32, to other: UInt32, layer: Int) -> Bool {
        let cells = unsafe graph.cells(row, layer: layer)
        for i in 0..<graph.width(layer: layer) {
            let cell = unsafe cells[i].load(ordering: .relaxed)
            if cell == 0 { return false }
            if cell == other + 1 { return true }
        }
        return false
    }

    /// In the place of neighbours that are gone: others out of their lists, and out of `near`.
    private func mend(_ row: UInt32, layer: Int) {
        let cells = unsafe graph.cells(row, layer: layer)
        let width = graph.width(layer: layer)
        var kept = 0
        lost.count = 0
        for i in 0..<width {
            let cell = unsafe cells[i].load(ordering: .relaxed)
            if cell == 0 { break }
            if graph.isGone(cell - 1) {
                lost.append(cell - 1)
            } else {
                unsafe builder.chosen[kept] = cell - 1
                kept += 1
            }
        }
        guard lost.count > 0 else { return }
        gather(for: row, layer: layer, kept: kept)
        // A list that has become short grows again.
        let most = min(width, max(kept + lost.count, graph.parameters.neighboursMax))
        let taken = builder.chooseMore(row, kept: kept, among: gathered, limit: most)
        for i in 0..<taken { unsafe cells[i].store(builder.chosen[i] + 1, ordering: .releasing) }
        for i in taken..<width where unsafe cells[i].load(ordering: .relaxed) != 0 {
            unsafe cells[i].store(0, ordering: .releasing)
        }
        for i in kept..<taken {
            let neighbour = unsafe cells[i].load(ordering: .relaxed) - 1
            lead(neighbour, to: row, layer: layer)
        }
    }

    /// Fills `gathered` with candidates that the row does not lead to.
    private func gather(for row: UInt32, layer: Int, kept: Int) {
        memory.beginVisits(rowCount: graph.count)
        let visited = unsafe memory.visited
        let epoch = memory.epoch
        unsafe visited[Int(row)] = epoch
        for i in 0..<kept { unsafe visited[Int(builder.chosen[i])] = epoch }
        gathered.count = 0
        func take(_ candidate: UInt32) {
            guard unsafe visited[Int(candidate)] != epoch, !graph.isGone(candidate) else { return }
            unsafe visited[Int(candidate)] = epoch
            if gathered.count < Self.gatheredMax { gathered.append(candidate) }
        }
        for i in 0..<lost.count {
            let cells = unsafe graph.cells(lost[i], layer: layer)
            for j in 0..<graph.width(layer: layer) {
                let cell = unsafe cells[j].load(ordering: .relaxed)
                if cell == 0 { break }
                take(cell - 1)
            }
        }
        for i in 0..<near.count { take(near[i]) }
    }

    /// Adds `row` to the list of `neighbour`, in the place of one that is gone where there is one.
    ///
    /// - Parameter isForced: in the place of the last where nothing else is free, whoever that is.
    private func lead(
        _ neighbour: UInt32, to row: UInt32, layer: Int, isForced: Bool = false
    ) {
        let cells = unsafe graph.cells(neighbour, layer: layer)
        var place: Int?
        for i in 0..<graph.width(layer: layer) {
            let cell = unsafe cells[i].load(ordering: .relaxed)
            if cell == row + 1 { return }
            if cell == 0 || graph.isGone(cell - 1) {
                if place == nil { place = i }
                if cell == 0 { break }
            }
        }
        if let place {
            unsafe cells[place].store(row + 1, ordering: .releasing)
        } else if isForced {
            let last = graph.width(layer: layer) - 1
            unsafe cells[last].store(row + 1, ordering: .releasing)
        } else {
            builder.connect(neighbour, to: row, layer: layer)
        }
    }

    /// Sees to it that somebody near leads to a row.
    private func makeKnown(_ row: UInt32, layer: Int) {
        let cells = unsafe graph.cells(row, layer: layer)
        let width = graph.width(layer: layer)
        var first: UInt32?
        for i in 0..<width {
            let cell = unsafe cells[i].load(ordering: .relaxed)
            if cell == 0 { break }
            if graph.isGone(cell - 1) { continue }
            if leads(cell - 1, to: row, layer: layer) { return }
            if first == nil { first = cell - 1 }
        }
        for i in 0..<width {
            let cell = unsafe cells[i].load(ordering: .relaxed)
            if cell == 0 { break }
            if graph.isGone(cell - 1) { continue }
            lead(cell - 1, to: row, layer: layer)
            if leads(cell - 1, to: row, layer: layer) { return }
        }
        // Everybody has nearer ones: the first gives his last cell.
        if let first { lead(first, to: row, layer: layer, isForced: true) }
    }
}

/// A few row numbers in memory of their own.
@safe final class RowBuffer: @unchecked Sendable {
    let rows: UnsafeMutablePointer<UInt32>
    let capacity: Int
    var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        unsafe rows = .allocate(capacity: capacity)
        unsafe rows.initialize(repeating: 0, count: capacity)
    }

    deinit { unsafe rows.deallocate() }

    @inline(__always) subscript(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index < count, "\(index) of \(count)")
        return unsafe rows[index]
    }

    @inline(__always) func append(_ row: UInt32) {
        precondition(count < capacity, "\(count) of \(capacity)")
        unsafe rows[count] = row
        count += 1
    }

    func contains(_ row: UInt32) -> Bool {
        for i in 0..<count where unsafe rows[i] == row { return true }
        return false
    }
}

extension GraphBuilder {
    /// Best-first in one layer, among all rows of the graph.
    func walk(
        for row: UInt32, layer: Int, from start: UInt32, admission: Admission,
        _ pool: inout CandidatePool
    ) {
        let rows = graph.rows
        var scored = 0
        do {
            try unsafe graph.walk(
                layer: layer, from: start, bound: UInt32(graph.count),
                query: rows.codes.query(row: Int(row), isLong: true, scratch: memory.coding),
                admission: admission, memory: memory, pool: &pool, scored: &scored,
                cancellation: nil)
        } catch {
            preconditionFailure("a walk without cancellation was cancelled: \(error)")
        }
    }

    /// Adds rows of `among` to the first `kept` of `chosen`, by the rule, up to `limit`.
    func chooseMore(_ row: UInt32, kept: Int, among: RowBuffer, limit: Int) -> Int {
        guard among.count > 0, limit > kept else { return kept }
        let pool = unsafe score(among.rows, count: among.count, for: row)
        return unsafe choose(pool.keys, count: pool.count, for: row, limit: limit, taken: kept)
    }
}
