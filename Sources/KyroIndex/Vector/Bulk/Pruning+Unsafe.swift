// Neighbours of each row out of what its partitions found, and of those that chose it.
import CKernels

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
    private var codes: UnsafeMutablePointer<UnsafePointer<Int8>?>
    private var dots: BulkArray<Int32>
    private let taken: BulkArray<UInt32>
    private let takenCodes: UnsafeMutablePointer<UnsafePointer<Int8>?>
    private let takenDots: BulkArray<Int32>

    /// Taken neighbours that a candidate is compared with at once.
    private static let batch = 4
    private static let seenCount = 2 * BulkParameters.candidatesMax

    init(_ rows: BulkRows, lists: BulkArray<UInt32>, width: Int) {
        self.rows = rows
        self.lists = lists
        self.width = width
        let capacity = BulkParameters.candidatesMax
        seen = BulkArray(repeating: 0, count: Self.seenCount)
        candidates = BulkArray(repeating: 0, count: capacity)
        keys = BulkArray(repeating: 0, count: capacity)
        dots = BulkArray(repeating: 0, count: capacity)
        unsafe codes = .allocate(capacity: capacity)
        unsafe codes.initialize(repeating: nil, count: capacity)
        taken = BulkArray(repeating: 0, count: width)
        takenDots = BulkArray(repeating: 0, count: Self.batch)
        unsafe takenCodes = .allocate(capacity: width)
        unsafe takenCodes.initialize(repeating: nil, count: width)
    }

    deinit {
        unsafe codes.deallocate()
        unsafe takenCodes.deallocate()
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
        candidates = BulkArray(repeating: 0, count: capacity)
        keys = BulkArray(repeating: 0, count: capacity)
        dots = BulkArray(repeating: 0, count: capacity)
        unsafe codes.deallocate()
        unsafe codes = .allocate(capacity: capacity)
        unsafe codes.initialize(repeating: nil, count: capacity)
    }

    /// Scores the candidates into `keys`, best first.
    private func sort(_ count: Int, for row: Int) {
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

    /// Subramanya et al. 2019, algorithm 2: takes the nearest, and leaves out what one of those
    /// taken is nearer to by more than a factor of alpha. Returns how many are in `taken`.
    private func prune(_ count: Int, for row: Int, limit: Int) -> Int {
        var takenCount = 0
        for i in 0..<count where takenCount < limit {
            let candidate = BulkKey.member(keys[i], asks: UInt32(row))
            let member = Int(candidate)
            let score = BulkKey.score(keys[i])
            let leaveOut = rows.leaveOutScore(score, row, member)
            let codes = unsafe rows.codes(member)
            var isTaken = true
            var next = 0
            while isTaken, next < takenCount {
                let batch = min(Self.batch, takenCount - next)
                unsafe kyro_dot_i8_list(
                    codes, takenCodes + next, batch, rows.dimension, takenDots.pointer)
                for j in 0..<batch {
                    let other = Int(taken[next + j])
                    if rows.score(takenDots[j], member, other) >= leaveOut { isTaken = false }
                }
                next += batch
            }
            if isTaken {
                taken[takenCount] = candidate
                unsafe takenCodes[takenCount] = unsafe codes
                takenCount += 1
            }
        }
        return takenCount
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

    init(lists: BulkArray<UInt32>, width: Int) {
        let count = lists.count / width
        let ends = BulkArray<UInt32>(repeating: 0, count: count + 1)
        var total: UInt32 = 0
        for i in 0..<lists.count where lists[i] != 0 { ends[Int(lists[i]) - 1] += 1 }
        for i in 0...count {
            let own = ends[i]
            ends[i] = total
            total += own
        }
        starts = BulkArray(repeating: 0, count: count + 1)
        for i in 0...count { starts[i] = ends[i] }
        edges = BulkArray(repeating: 0, count: Int(total))
        for row in 0..<count {
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
