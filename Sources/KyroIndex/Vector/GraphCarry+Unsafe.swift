// A graph taken over by an index that has only some of its rows, in a fraction of the time that
// inserting them anew takes.
//
// In the base layer a row keeps its neighbours. In the place of those that are gone it chooses among
// the neighbours that they had (after Singh et al. 2021, FreshDiskANN, algorithm 4), nearest first
// and diverse as ever, and is made known to them. A row's height follows from its number, which changes, so the
// layers above, with one row in sixteen, are built anew. Rows that nobody leads to any more are
// inserted once more.
import CKernels
import KyroBytes
import KyroModel
import Synchronization

/// Carries one graph over, some rows at a time.
///
/// `@unchecked Sendable`: the new index's maintenance process alone calls it.
@safe public final class GraphCarry: @unchecked Sendable {
    private enum Phase: CaseIterable {
        case base
        case mending
        case upper
        case orphans
    }

    private let old: VectorGraph
    private let new: VectorGraph
    private let builder: GraphBuilder
    /// Rows of the old graph, and those of them that are left.
    private let oldCount: Int
    private let newCount: Int
    /// New row + 1 by old row; zero for what is gone.
    private let newRows: UnsafeMutablePointer<UInt32>
    private let oldRows: UnsafeMutablePointer<UInt32>
    /// Whether some row leads to the row.
    private let isLedTo: UnsafeMutablePointer<Bool>
    private let gathered: UnsafeMutablePointer<UInt32>
    private var phase = Phase.base
    private var next: UInt32 = 0

    /// Below this share of rows that are left, inserting them anew is cheaper and better.
    private static let shareMin = 0.3
    private static let gatheredMax = 512

    /// Nil when the rows should rather be inserted anew, if there is a graph at all.
    /// - Parameters:
    ///   - slotCount: old slots below were mapped, and their vectors taken by `new` in order.
    ///   - map: from the old index's slots to the new one's.
    public init?(from old: VectorIndex, to new: VectorIndex, below slotCount: Int, map: SlotMap) {
        let count = min(
            old.graph.count, old.rows.rows(belowSlot: slotCount, rowCount: old.rows.count))
        guard count > 0, new.graph.count == 0, new.buildsGraph,
            old.field.indexing.isLinked(like: new.field.indexing),
            old.parameters.baseCells == new.parameters.baseCells
        else { return nil }
        let newRows = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        var left: UInt32 = 0
        for row in 0..<count {
            let isLeft = map[Int(old.rows.slots[row])] != nil
            if isLeft { left += 1 }
            unsafe (newRows + row).initialize(to: isLeft ? left : 0)
        }
        guard Int(left) > new.flatRowsMax, Double(left) >= Self.shareMin * Double(count) else {
            unsafe newRows.deallocate()
            return nil
        }
        precondition(Int(left) <= new.rows.count, "\(left) rows of \(new.rows.count)")
        self.old = old.graph
        self.new = new.graph
        builder = new.builder
        oldCount = count
        newCount = Int(left)
        unsafe self.newRows = unsafe newRows
        unsafe oldRows = .allocate(capacity: newCount)
        unsafe isLedTo = .allocate(capacity: newCount)
        unsafe gathered = .allocate(capacity: Self.gatheredMax)
        unsafe oldRows.initialize(repeating: 0, count: newCount)
        unsafe isLedTo.initialize(repeating: false, count: newCount)
        unsafe gathered.initialize(repeating: 0, count: Self.gatheredMax)
        for row in 0..<count {
            let cell = unsafe newRows[row]
            guard cell != 0 else { continue }
            unsafe oldRows[Int(cell) - 1] = UInt32(row)
            if row < old.graph.builtAtOnceCount { new.graph.builtAtOnceCount = Int(cell) }
        }
    }

    deinit {
        unsafe newRows.deallocate()
        unsafe oldRows.deallocate()
        unsafe isLedTo.deallocate()
        unsafe gathered.deallocate()
    }

    /// Of the rows that are left, as many as the work done comes to.
    public var rowsDone: Int {
        let phases = Phase.allCases
        let before = phases.firstIndex(of: phase) ?? 0
        return (before * newCount + Int(next)) / phases.count
    }

    /// About `rowsMax` rows further; true at the end, when the new index has its graph.
    public func step(rowsMax: Int) -> Bool {
        var rest = rowsMax
        while rest > 0 {
            rest -= 1
            let row = next
            next += 1
            switch phase {
            case .base:
                new.reserve(row: row)
                carry(row)
            case .mending: mend(row)
            case .upper: builder.insertAbove(row)
            case .orphans:
                if unsafe !isLedTo[Int(row)] { builder.relink(row, bound: UInt32(newCount)) }
            }
            guard Int(next) == newCount else { continue }
            next = 0
            switch phase {
            case .base: phase = .mending
            case .mending: phase = .upper
            case .upper: phase = .orphans
            case .orphans: return true
            }
        }
        return false
    }

    /// The neighbours that are left, with their new numbers.
    private func carry(_ row: UInt32) {
        let from = unsafe old.cells(oldRows[Int(row)], layer: 0)
        let to = unsafe new.cells(row, layer: 0)
        var count = 0
        for i in 0..<old.width(layer: 0) {
            let cell = unsafe from[i].load(ordering: .acquiring)
            if cell == 0 { break }
            guard Int(cell) <= oldCount else { continue }
            let left = unsafe newRows[Int(cell) - 1]
            guard left != 0 else { continue }
            unsafe to[count].store(left, ordering: .releasing)
            unsafe isLedTo[Int(left) - 1] = true
            count += 1
        }
    }

    /// Where neighbours have gone, new ones from among theirs.
    private func mend(_ row: UInt32) {
        let from = unsafe old.cells(oldRows[Int(row)], layer: 0)
        let width = old.width(layer: 0)
        var lost = 0
        for i in 0..<width {
            let cell = unsafe from[i].load(ordering: .acquiring)
            if cell == 0 { break }
            if Int(cell) <= oldCount, unsafe newRows[Int(cell) - 1] == 0 { lost += 1 }
        }
        guard lost > 0 else { return }
        let memory = builder.memory
        memory.beginVisits(rowCount: newCount)
        unsafe memory.visited[Int(row)] = memory.epoch
        let cells = unsafe new.cells(row, layer: 0)
        var kept = 0
        while kept < width {
            let cell = unsafe cells[kept].load(ordering: .relaxed)
            if cell == 0 { break }
            unsafe memory.visited[Int(cell) - 1] = memory.epoch
            kept += 1
        }
        var count = 0
        for i in 0..<width {
            let cell = unsafe from[i].load(ordering: .acquiring)
            if cell == 0 { break }
            guard Int(cell) <= oldCount, unsafe newRows[Int(cell) - 1] == 0 else { continue }
            inherit(from: cell - 1, count: &count)
        }
        guard count > 0 else { return }
        unsafe builder.mend(row, kept: kept, among: gathered, count: count, limit: lost) { heir in
            unsafe isLedTo[Int(heir)] = true
        }
        unsafe isLedTo[Int(row)] = true
    }

    /// The neighbours of a row that is gone.
    private func inherit(from gone: UInt32, count: inout Int) {
        let cells = unsafe old.cells(gone, layer: 0)
        for i in 0..<old.width(layer: 0) {
            let cell = unsafe cells[i].load(ordering: .acquiring)
            if cell == 0 { return }
            guard Int(cell) <= oldCount else { continue }
            take(cell - 1, count: &count)
        }
    }

    /// Gathers what an old row became, if it is left and new here.
    private func take(_ oldRow: UInt32, count: inout Int) {
        let cell = unsafe newRows[Int(oldRow)]
        guard cell != 0, count < Self.gatheredMax else { return }
        let memory = builder.memory
        let row = Int(cell) - 1
        guard unsafe memory.visited[row] != memory.epoch else { return }
        unsafe memory.visited[row] = memory.epoch
        unsafe gathered[count] = cell - 1
        count += 1
    }
}

extension GraphBuilder {
    /// Links a row that has its base list into the layers above, and publishes it.
    func insertAbove(_ row: UInt32) {
        if let entry = graph.entry, graph.height(row) > 0 {
            link(row, entry: entry, bottom: 1, bound: row)
        }
        graph.publish(row: row)
    }

    /// Chooses a row's base list anew and lets those it chooses lead to it.
    /// - Precondition: nobody leads to it; rows below `bound` are published.
    func relink(_ row: UInt32, bound: UInt32) {
        guard let entry = graph.entry else { return }
        let found = descend(for: row, from: entry, bottom: 1, bound: bound)
        let start = found == row ? entry : found
        guard start != row else { return }
        let cells = unsafe graph.cells(row, layer: 0)
        for i in 0..<graph.width(layer: 0) { unsafe cells[i].store(0, ordering: .releasing) }
        _ = link(row, layer: 0, from: start, bound: bound)
    }

    /// Adds up to `limit` of the rows gathered to the `kept` neighbours of a row, and the row to
    /// theirs.
    func mend(
        _ row: UInt32, kept: Int, among gathered: UnsafePointer<UInt32>, count: Int, limit: Int,
        onLink: (UInt32) -> Void
    ) {
        let cells = unsafe graph.cells(row, layer: 0)
        for i in 0..<kept { unsafe chosen[i] = unsafe cells[i].load(ordering: .relaxed) - 1 }
        let pool = unsafe score(gathered, count: count, for: row)
        let most = min(kept + limit, graph.width(layer: 0))
        let taken = unsafe choose(pool.keys, count: pool.count, for: row, limit: most, taken: kept)
        for i in kept..<taken {
            unsafe cells[i].store(chosen[i] + 1, ordering: .releasing)
        }
        for i in kept..<taken {
            let neighbour = unsafe cells[i].load(ordering: .relaxed) - 1
            onLink(neighbour)
            connectOnce(neighbour, to: row)
        }
    }

    private func connectOnce(_ neighbour: UInt32, to row: UInt32) {
        let cells = unsafe graph.cells(neighbour, layer: 0)
        for i in 0..<graph.width(layer: 0) {
            let cell = unsafe cells[i].load(ordering: .relaxed)
            if cell == 0 { break }
            if cell == row + 1 { return }
        }
        connect(neighbour, to: row, layer: 0)
    }

    /// The nearest of the rows to `row`.
    func score(
        _ gathered: UnsafePointer<UInt32>, count: Int, for row: UInt32
    ) -> CandidatePool {
        let rows = graph.rows
        let query = unsafe rows.codes.query(row: Int(row), isLong: false, scratch: memory.coding)
        let scores = unsafe memory.coding.scores
        let ef = graph.parameters.efConstruction
        var pool = unsafe CandidatePool(keys: memory.pool, capacity: ef, wanted: ef)
        var first = 0
        while first < count {
            let batch = min(ScratchMemory.batch, count - first)
            unsafe rows.codes.scores(
                query, rows: gathered + first, count: batch, into: scores, memory: memory)
            for i in 0..<batch {
                let candidate = unsafe gathered[first + i]
                let key = unsafe CandidatePool.key(
                    score: scores[i], row: candidate, isAdmitted: true)
                if unsafe key > pool.threshold { _ = unsafe pool.insert(key) }
            }
            first += batch
        }
        return unsafe pool
    }
}
