// Neighbours of each row out of what its partitions found, and of those that chose it.
import CKernels
import KyroModel

/// One thread's memory and verbs over the lists of a layer: `width` cells of member + 1 a row,
/// filled from the front, 0 behind.
@safe final class Pruning {
    private let rows: BulkRows
    private let lists: BulkArray<UInt32>
    private let width: Int

    /// Members that were seen, + 1; open addressing.
    private let seen: BulkArray<UInt32>
    private var candidates: BulkArray<UInt32>
    private var keys: BulkArray<UInt64>
    private var codes: CodeList
    private var dots: BulkArray<Int32>
    private var factors: BulkArray<Float>
    private var biases: BulkArray<Float>
    /// The score with a neighbour that leaves a candidate out.
    private var bounds: BulkArray<Float>
    private let taken: BulkArray<UInt32>

    /// What `kyro_leave_out` writes behind the last candidate, at most.
    private static let spare = 16
    private static let seenCount = 2 * BulkParameters.candidatesMax

    init(_ rows: BulkRows, lists: BulkArray<UInt32>, width: Int) {
        self.rows = rows
        self.lists = lists
        self.width = width
        let capacity = BulkParameters.candidatesMax
        seen = BulkArray(toBeFilled: Self.seenCount)
        let room = capacity + Self.spare
        candidates = BulkArray(toBeFilled: capacity)
        keys = BulkArray(toBeFilled: room)
        codes = CodeList(capacity: room)
        dots = BulkArray(toBeFilled: capacity)
        factors = BulkArray(toBeFilled: room)
        biases = BulkArray(toBeFilled: room)
        bounds = BulkArray(toBeFilled: room)
        taken = BulkArray(toBeFilled: width)
    }

    /// The first list of a row: up to `limit` of what its partitions found.
    func chooseOwn(
        _ row: Int, partitions: Partitioning, found: BulkArray<UInt32>, kept: Int, limit: Int
    ) {
        let seen = unsafe seen.pointer
        unsafe seen.update(repeating: 0, count: Self.seenCount)
        let members = unsafe candidates.pointer
        var count = 0
        for t in 0..<partitions.overlap {
            let place = Int(partitions.places[row * partitions.overlap + t])
            let first = unsafe found.pointer + place * kept
            for i in 0..<kept {
                let member = unsafe first[i]
                if member == AllPairs.none { break }
                var cell = Self.seenCell(member)
                while unsafe seen[cell] != 0, unsafe seen[cell] != member + 1 {
                    cell = (cell + 1) & (Self.seenCount - 1)
                }
                // Whether it is new is as good as random: no branch.
                let isNew = unsafe seen[cell] == 0
                unsafe seen[cell] = member + 1
                unsafe members[count] = member
                count += isNew ? 1 : 0
            }
        }
        store(prune(count, for: row, limit: limit), of: row)
    }

    private static func seenCell(_ member: UInt32) -> Int {
        Int((member &* 0x9E37_79B1) >> 24) & (seenCount - 1)
    }

    /// Asks for what `chooseOwn` will read if it is at this place that the row has its turn.
    func prefetch(
        _ place: Int, partitions: Partitioning, found: BulkArray<UInt32>, kept: Int
    ) {
        guard place < partitions.members.count else { return }
        let first = Int(partitions.members[place]) * partitions.overlap
        guard Int(partitions.places[first]) == place else { return }
        for t in 0..<partitions.overlap {
            let place = Int(partitions.places[first + t])
            unsafe kyro_prefetch(found.pointer + place * kept)
        }
    }

    /// Adds those that chose the row, and chooses anew when they are too many.
    func addChoosers(_ row: Int, _ choosers: Range<Int>, of edges: BulkArray<UInt32>) {
        let cells = unsafe lists.pointer + row * width
        var own = 0
        while own < width, unsafe cells[own] != 0 { own += 1 }
        reserve(own + choosers.count)
        for i in 0..<own { candidates[i] = unsafe cells[i] - 1 }
        var count = own
        for edge in choosers {
            let chooser = edges[edge]
            var isKnown = false
            for i in 0..<own where unsafe cells[i] == chooser + 1 { isKnown = true }
            if isKnown { continue }
            candidates[count] = chooser
            count += 1
        }
        if count <= width {
            for i in own..<count { unsafe cells[i] = candidates[i] + 1 }
            return
        }
        store(prune(count, for: row, limit: width), of: row)
    }

    private func reserve(_ count: Int) {
        guard count > candidates.count else { return }
        let capacity = 2 * count
        let room = capacity + Self.spare
        candidates = BulkArray(toBeFilled: capacity)
        keys = BulkArray(toBeFilled: room)
        codes.reserve(room)
        dots = BulkArray(toBeFilled: capacity)
        factors = BulkArray(toBeFilled: room)
        biases = BulkArray(toBeFilled: room)
        bounds = BulkArray(toBeFilled: room)
    }

    /// Subramanya et al. 2019, algorithm 2: takes the nearest candidate, and leaves out all those
    /// that it is nearer to than the row is, by more than a factor of alpha; then the nearest of
    /// the rest. Returns how many are in `taken`.
    private func prune(_ count: Int, for row: Int, limit: Int) -> Int {
        let codes = unsafe codes.pointer
        let dots = unsafe dots.pointer
        for i in 0..<count { unsafe codes[i] = unsafe rows.codes(Int(candidates[i])) }
        unsafe kyro_dot_i8_list(rows.codes(row), codes, count, rows.dimension, dots)
        let own = rows.terms(row)
        var nearest = 0
        for i in 0..<count {
            let member = Int(candidates[i])
            let terms = rows.terms(member)
            let score = unsafe rows.score(dots[i], own, terms)
            keys[i] = BulkKey.key(score, candidates[i], asks: UInt32(row))
            (factors[i], biases[i]) = terms
            bounds[i] = rows.leaveOutScore(score, row, member)
            if keys[i] > keys[nearest] { nearest = i }
        }
        var set = unsafe kyro_candidates(
            keys: keys.pointer, codes: codes, factors: factors.pointer, biases: biases.pointer,
            bounds: bounds.pointer)
        var left = count
        var takenCount = 0
        while left > 0, takenCount < limit {
            taken[takenCount] = BulkKey.member(keys[nearest], asks: UInt32(row))
            takenCount += 1
            let one = unsafe codes[nearest]
            let terms = (factor: factors[nearest], bias: biases[nearest])
            left -= 1
            move(left, to: nearest)
            guard left > 0, takenCount < limit else { break }
            unsafe kyro_dot_i8_list(one, codes, left, rows.dimension, dots)
            left = unsafe kyro_leave_out(
                dots, left, rows.pairFactor, terms.factor, terms.bias, &set, &nearest)
        }
        return takenCount
    }

    @inline(__always) private func move(_ from: Int, to: Int) {
        unsafe codes.pointer[to] = unsafe codes.pointer[from]
        keys[to] = keys[from]
        factors[to] = factors[from]
        biases[to] = biases[from]
        bounds[to] = bounds[from]
    }

    private func store(_ count: Int, of row: Int) {
        let cells = unsafe lists.pointer + row * width
        for i in 0..<count { unsafe cells[i] = taken[i] + 1 }
        for i in count..<width { unsafe cells[i] = 0 }
    }
}

/// The edges of the lists by the row that they lead to.
@safe struct Choosers: Sendable {
    /// First edge that leads to each member, and the end of the last.
    let starts: BulkArray<UInt32>
    /// Where each comes from.
    let edges: BulkArray<UInt32>

    private struct Cells: BulkEntries {
        let lists: BulkArray<UInt32>
        let width: Int
        let edges: BulkArray<UInt32>

        var ownerCount: Int { lists.count / width }
        /// An empty cell wraps around.
        @inline(__always) func group(_ row: Int, _ i: Int) -> UInt32 {
            lists[row * width + i] &- 1
        }
        @inline(__always) func put(_ row: Int, _ i: Int, at place: Int) {
            edges[place] = UInt32(row)
        }
    }

    /// Nil when cancelled.
    init?(
        lists: BulkArray<UInt32>, width: Int, workers: any BulkWorkers, cancellation: Cancellation
    ) {
        // There is memory behind what is written alone.
        edges = BulkArray(toBeFilled: lists.count)
        let starts = BulkGrouping.place(
            Cells(lists: lists, width: width, edges: edges), groupCount: lists.count / width,
            workers: workers, cancellation: cancellation)
        guard let starts else { return nil }
        self.starts = starts
    }

    func of(_ row: Int) -> Range<Int> { Int(starts[row])..<Int(starts[row + 1]) }
}
