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
    /// Of the candidates in order: factor, bias, and the score that leaves one out.
    private var factors: BulkArray<Float>
    private var biases: BulkArray<Float>
    private var bounds: BulkArray<Float>

    private static let seenCount = 2 * BulkParameters.candidatesMax

    init(_ rows: BulkRows, lists: BulkArray<UInt32>, width: Int) {
        self.rows = rows
        self.lists = lists
        self.width = width
        let capacity = BulkParameters.candidatesMax
        seen = BulkArray(toBeFilled: Self.seenCount)
        candidates = BulkArray(toBeFilled: capacity)
        keys = BulkArray(toBeFilled: capacity)
        codes = CodeList(capacity: capacity)
        dots = BulkArray(toBeFilled: capacity)
        factors = BulkArray(toBeFilled: capacity)
        biases = BulkArray(toBeFilled: capacity)
        bounds = BulkArray(toBeFilled: capacity)
    }

    /// The first list of a row: up to `limit` of what its partitions found.
    func chooseOwn(
        _ row: Int, partitions: Partitioning, found: BulkArray<UInt32>, kept: Int, limit: Int
    ) {
        unsafe seen.pointer.update(repeating: 0, count: Self.seenCount)
        var count = 0
        for t in 0..<partitions.overlap {
            let place = Int(partitions.places[row * partitions.overlap + t])
            let first = unsafe found.pointer + place * kept
            for i in 0..<kept {
                let member = unsafe first[i]
                if member == AllPairs.none { break }
                guard isNew(member), Int(member) != row else { continue }
                candidates[count] = member
                count += 1
            }
        }
        sort(count, for: row)
        store(prune(count, for: row, limit: limit), of: row)
    }

    private func isNew(_ member: UInt32) -> Bool {
        var place = Int((member &* 0x9E37_79B1) >> 24) & (Self.seenCount - 1)
        while true {
            let cell = seen[place]
            if cell == member + 1 { return false }
            if cell == 0 {
                seen[place] = member + 1
                return true
            }
            place = (place + 1) & (Self.seenCount - 1)
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
        sort(count, for: row)
        store(prune(count, for: row, limit: width), of: row)
    }

    private func reserve(_ count: Int) {
        guard count > candidates.count else { return }
        let capacity = 2 * count
        candidates = BulkArray(toBeFilled: capacity)
        keys = BulkArray(toBeFilled: capacity)
        codes.reserve(capacity)
        dots = BulkArray(toBeFilled: capacity)
        factors = BulkArray(toBeFilled: capacity)
        biases = BulkArray(toBeFilled: capacity)
        bounds = BulkArray(toBeFilled: capacity)
    }

    /// Scores the candidates into `keys`, best first.
    private func sort(_ count: Int, for row: Int) {
        let codes = unsafe codes.pointer
        for i in 0..<count { unsafe codes[i] = unsafe rows.codes(Int(candidates[i])) }
        unsafe kyro_dot_i8_list(rows.codes(row), codes, count, rows.dimension, dots.pointer)
        if count > BulkParameters.candidatesMax {
            var buffer = unsafe UnsafeMutableBufferPointer(start: keys.pointer, count: count)
            for i in 0..<count { unsafe buffer[i] = key(i, for: row) }
            unsafe buffer.sort(by: >)
            return
        }
        var best = unsafe BulkBest(keys: keys.pointer, capacity: count)
        for i in 0..<count { unsafe best.insert(key(i, for: row)) }
    }

    private func key(_ i: Int, for row: Int) -> UInt64 {
        let score = rows.score(dots[i], row, Int(candidates[i]))
        return BulkKey.key(score, candidates[i], asks: UInt32(row))
    }

    /// Subramanya et al. 2019, algorithm 2: takes the nearest, and leaves out all those that it is
    /// nearer to than the row is, by more than a factor of alpha; then the nearest of the rest.
    /// Returns how many are taken, which stand in front in `candidates`.
    private func prune(_ count: Int, for row: Int, limit: Int) -> Int {
        let members = unsafe candidates.pointer
        let codes = unsafe codes.pointer
        let (factors, biases, bounds) = unsafe (
            factors.pointer, biases.pointer, bounds.pointer
        )
        for i in 0..<count {
            let candidate = BulkKey.member(keys[i], asks: UInt32(row))
            let member = Int(candidate)
            unsafe members[i] = candidate
            unsafe codes[i] = unsafe rows.codes(member)
            unsafe (factors[i], biases[i]) = rows.terms(member)
            unsafe bounds[i] = rows.leaveOutScore(BulkKey.score(keys[i]), row, member)
        }
        let dots = unsafe dots.pointer
        var end = count
        var taken = 0
        while taken < limit, taken < end {
            let first = taken + 1
            guard first < end else { return end }
            unsafe kyro_dot_i8_list(
                codes[taken], codes + first, end - first, rows.dimension, dots)
            let factor = unsafe factors[taken]
            let bias = unsafe biases[taken]
            var last = first
            for i in first..<end {
                let score =
                    unsafe Float(dots[i - first])
                    * (rows.pairFactor * (factor * factors[i])) + (bias + biases[i])
                if unsafe score >= bounds[i] { continue }
                unsafe members[last] = unsafe members[i]
                unsafe codes[last] = unsafe codes[i]
                unsafe factors[last] = unsafe factors[i]
                unsafe biases[last] = unsafe biases[i]
                unsafe bounds[last] = unsafe bounds[i]
                last += 1
            }
            end = last
            taken = first
        }
        return taken
    }

    private func store(_ count: Int, of row: Int) {
        let cells = unsafe lists.pointer + row * width
        for i in 0..<count { unsafe cells[i] = candidates[i] + 1 }
        for i in count..<width { unsafe cells[i] = 0 }
    }
}

/// The edges of the lists by the row that they lead to.
@safe struct Choosers: Sendable {
    /// First edge that leads to each member, and the end of the last.
    let starts: BulkArray<UInt32>
    /// Where each comes from.
    let edges: BulkArray<UInt32>

    /// Nil when cancelled.
    init?(lists: BulkArray<UInt32>, width: Int, cancellation: Cancellation) {
        let count = lists.count / width
        let ends = BulkArray<UInt32>(repeating: 0, count: count + 1)
        var total: UInt32 = 0
        for row in 0..<count {
            if row % 4_096 == 0, cancellation.isCancelled { return nil }
            for i in (row * width)..<((row + 1) * width) {
                if lists[i] == 0 { break }
                ends[Int(lists[i]) - 1] += 1
            }
        }
        for i in 0...count {
            let own = ends[i]
            ends[i] = total
            total += own
        }
        starts = BulkArray(toBeFilled: count + 1)
        for i in 0...count { starts[i] = ends[i] }
        edges = BulkArray(toBeFilled: Int(total))
        for row in 0..<count {
            if row % 4_096 == 0, cancellation.isCancelled { return nil }
            for i in (row * width)..<((row + 1) * width) {
                if lists[i] == 0 { break }
                let target = Int(lists[i]) - 1
                edges[Int(ends[target])] = UInt32(row)
                ends[target] += 1
            }
        }
    }

    func of(_ row: Int) -> Range<Int> { Int(starts[row])..<Int(starts[row + 1]) }
}
