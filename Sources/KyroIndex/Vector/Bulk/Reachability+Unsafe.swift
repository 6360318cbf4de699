// Makes every row of a layer reachable from its entry.
//
// A walk in breadth finds a tree of edges that reaches what can be reached. A row outside is given
// an edge from the nearest row inside that has a free cell or an edge that the tree does not need,
// and one back, and the walk goes on from it. Edges of the tree are never given up, so one pass is
// enough; and somebody always has a cell to give, because the leaves of a tree lead nobody on.
import CKernels
import KyroModel

@safe struct Reachability {
    private let rows: BulkRows
    private let lists: BulkArray<UInt32>
    private let width: Int
    private let entry: Int
    private let cancellation: Cancellation
    /// Member + 1 that leads to each in the tree; the entry leads to itself; 0 for not reached.
    private let parents: BulkArray<UInt32>
    private let memory = ScratchMemory()
    /// Rows outside the tree that were given an edge.
    private(set) var repaired = 0

    /// Candidates of the search for a near row inside.
    private static let candidates = 48

    init(
        _ rows: BulkRows, lists: BulkArray<UInt32>, width: Int, entry: Int,
        cancellation: Cancellation
    ) {
        self.rows = rows
        self.cancellation = cancellation
        self.lists = lists
        self.width = width
        self.entry = entry
        parents = BulkArray(repeating: 0, count: rows.count)
        memory.reserve(pool: Self.candidates)
    }

    /// False when cancelled.
    mutating func repair() -> Bool {
        guard !cancellation.isCancelled else { return false }
        parents[entry] = UInt32(entry) + 1
        guard reach(from: entry) else { return false }
        for member in 0..<rows.count where parents[member] == 0 {
            guard !cancellation.isCancelled else { return false }
            repaired += 1
            attach(member)
            guard reach(from: member) else { return false }
        }
        return true
    }

    private func reach(from start: Int) -> Bool {
        var open = [start]
        var count = 0
        while let member = open.popLast() {
            count += 1
            if count % 4_096 == 0, cancellation.isCancelled { return false }
            for i in (member * width)..<((member + 1) * width) {
                if lists[i] == 0 { break }
                let next = Int(lists[i]) - 1
                guard parents[next] == 0 else { continue }
                parents[next] = UInt32(member) + 1
                open.append(next)
            }
        }
        return true
    }

    private func attach(_ member: Int) {
        for near in nearest(to: member) where lead(from: near, to: member) {
            parents[member] = UInt32(near) + 1
            _ = lead(from: member, to: near)
            return
        }
        for near in 0..<rows.count where parents[near] != 0 && lead(from: near, to: member) {
            parents[member] = UInt32(near) + 1
            return
        }
        preconditionFailure("no row of \(rows.count) has a cell of \(width) to give")
    }

    /// False when all cells are needed by the tree.
    private func lead(from row: Int, to member: Int) -> Bool {
        let cells = (row * width)..<((row + 1) * width)
        for i in cells {
            if lists[i] == UInt32(member) + 1 { return true }
            guard lists[i] == 0 else { continue }
            lists[i] = UInt32(member) + 1
            return true
        }
        for i in cells.reversed() where parents[Int(lists[i]) - 1] != UInt32(row) + 1 {
            lists[i] = UInt32(member) + 1
            return true
        }
        return false
    }

    /// Rows of the tree, nearest first: best-first from the entry.
    private func nearest(to member: Int) -> [Int] {
        let wanted = Self.candidates
        var pool = unsafe CandidatePool(keys: memory.pool, capacity: wanted, wanted: wanted)
        memory.beginVisits(rowCount: rows.count)
        let visited = unsafe memory.visited
        let epoch = memory.epoch
        unsafe visited[entry] = epoch
        unsafe memory.batchRows[0] = UInt32(entry)
        unsafe memory.batchCodes[0] = unsafe rows.codes(entry)
        var count = 1
        while true {
            unsafe kyro_dot_i8_list(
                rows.codes(member), memory.batchCodes, count, rows.dimension, memory.batchDots)
            for i in 0..<count {
                let row = unsafe memory.batchRows[i]
                let score = unsafe rows.score(memory.batchDots[i], member, Int(row))
                let key = unsafe CandidatePool.key(score: score, row: row, isAdmitted: true)
                if unsafe key > pool.threshold { _ = unsafe pool.insert(key) }
            }
            var cursor = 0
            while unsafe cursor < pool.count
                && pool.keys[cursor] & CandidatePool.expanded != 0
            {
                cursor += 1
            }
            guard unsafe cursor < pool.count else { break }
            let next = unsafe Int(CandidatePool.row(pool.keys[cursor]))
            unsafe pool.keys[cursor] |= CandidatePool.expanded
            count = 0
            for i in (next * width)..<((next + 1) * width) {
                if lists[i] == 0 { break }
                let row = Int(lists[i]) - 1
                if unsafe visited[row] == epoch { continue }
                unsafe visited[row] = epoch
                unsafe memory.batchRows[count] = UInt32(row)
                unsafe memory.batchCodes[count] = unsafe rows.codes(row)
                count += 1
            }
        }
        return unsafe (0..<pool.count).map { unsafe Int(CandidatePool.row(pool.keys[$0])) }
    }
}
