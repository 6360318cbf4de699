// Document at a time, a window of slots at a time, past the blocks that cannot matter.
//
// Block-max MaxScore (Ding & Suel 2011; Chakrabarti, Chaudhuri & Ganti 2011; windows as in Lucene 9).
// In a window each list has a bound, that of its blocks there. Where all bounds together miss the
// threshold, the worst score kept, the window is passed over. A list without which the others miss it
// is required: candidates are the slots that all required lists share. Where none is, the lists of
// which the least bounds together miss the threshold bring no candidates of their own. A candidate is
// given up as soon as what it has and the bounds of what has not been looked at miss the threshold;
// what is left is scored anew, part by part in the order of the lists, exactly as exhaustively.
//
// Sums and bounds are rounded: a bound counts as missing only where it does so by more than all
// rounding errors together. Candidates that equal the threshold stay: their ids decide.
import KyroBytes
import KyroModel

extension ScoreScratch {
    /// Slots of a window whose candidates come from several lists.
    static let windowSlots = 1_024
    /// One bit each in a word.
    static let clausesMax = 64

    /// The best `k` visible documents, best first; those below `floor` may be left out.
    mutating func searchBlocks<Model: PostingModel>(
        _ clauses: inout [PostingClause<Model>], k: Int, floor: Float, positiveOnly: Bool,
        visibility: Visibility, mask: SlotMask?, order: any SlotOrder,
        counters: inout SearchCounters, cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        precondition(clauses.count <= Self.clausesMax, "\(clauses.count) lists")
        try cancellation.check()
        prepareWindow(lists: clauses.count)
        var best = TopK(k: k, order: order)
        var isCancelled = false
        var scored = 0
        unsafe clauses.withUnsafeMutableBufferPointer { clauses in
            unsafe windowParts.withUnsafeMutableBufferPointer { parts in
                unsafe windowCells.withUnsafeMutableBufferPointer { cells in
                    unsafe windowTouched.withUnsafeMutableBufferPointer { touched in
                        var run = unsafe BlockMaxRun(
                            clauses: clauses, parts: parts, cells: cells, touched: touched,
                            best: best, floor: floor, positiveOnly: positiveOnly,
                            visibility: visibility, mask: mask)
                        isCancelled = unsafe run.search(cancellation)
                        best = unsafe run.best
                        scored = unsafe run.scored
                    }
                }
            }
        }
        counters.postingsScored += scored
        if isCancelled { try cancellation.check() }
        return best.drainSorted()
    }

    private mutating func prepareWindow(lists: Int) {
        if windowParts.count < lists * Self.windowSlots {
            windowParts = Array(repeating: 0, count: lists * Self.windowSlots)
        }
        guard windowCells.isEmpty else { return }
        windowCells = Array(repeating: WindowCell(), count: Self.windowSlots)
        windowTouched = Array(repeating: 0, count: Self.windowSlots / 64)
    }
}

/// What the lists of a window have brought of one slot.
struct WindowCell: Sendable {
    /// Sum of the gains.
    var gain = 0.0
    /// One bit for each list that has the slot.
    var present: UInt64 = 0
}

/// One search over the lists of one shard.
@unsafe private struct BlockMaxRun<Model: PostingModel> {
    let clauses: UnsafeMutableBufferPointer<PostingClause<Model>>
    /// By list and slot of the window; of one candidate, by list, where lists are required.
    let parts: UnsafeMutableBufferPointer<Double>
    /// By slot of the window; as they began where no slot is touched.
    let cells: UnsafeMutableBufferPointer<WindowCell>
    /// One bit for each slot of the window.
    let touched: UnsafeMutableBufferPointer<UInt64>
    var best: TopK
    let floor: Float
    let positiveOnly: Bool
    let visibility: Visibility
    let mask: SlotMask?
    /// The least score that can still be kept.
    var threshold: Float = -.infinity
    var scored = 0

    // Of the current window.
    /// Lists that may have something there, by falling bound.
    var ranked = InlineArray<64, UInt8>(repeating: 0)
    var rankedCount = 0
    /// Sum of the bounds.
    var total = 0.0
    /// More than all rounding errors of a sum together.
    var slack = 0.0

    /// True where it was cancelled.
    @inline(__always)
    mutating func search(_ cancellation: Cancellation) -> Bool {
        unsafe threshold = max(floor, best.threshold)
        let all: UInt64 = unsafe clauses.count == 64 ? .max : 1 << UInt64(clauses.count) - 1
        let end = unsafe visibility.slotCount
        let least = unsafe leastWidth
        var drivers = all
        var from = 0
        var windows = 0
        while from < end {
            windows += 1
            if windows & 15 == 0, cancellation.isCancelled { return true }
            let to = unsafe windowEnd(from: from, drivers: drivers, least: least, end: end)
            unsafe boundLists(from: from, to: to)
            if unsafe rankedCount == 0 || misses(total) {
                drivers = all
                from = to
                continue
            }
            let required = unsafe requiredLists()
            if required != 0 {
                drivers = required
                unsafe visitShared(required, from: from, to: to)
                from = to
            } else {
                let (leading, rest) = unsafe leadingLists()
                drivers = leading
                let stop = min(to, from + ScoreScratch.windowSlots)
                unsafe visitUnion(leading, restBound: rest, from: from, to: stop)
                from = stop
            }
        }
        return false
    }

    /// Whether a document with this bound cannot be kept.
    @inline(__always)
    func misses(_ bound: Double) -> Bool { unsafe Float(bound + slack) < threshold }

    /// Narrower windows would cost more than they save: half a block of each list.
    var leastWidth: Int {
        var postings = 1
        for i in unsafe 0..<clauses.count { postings += unsafe clauses[i].cursor.count }
        let width = unsafe visibility.slotCount * 32 * clauses.count / postings
        return max(1, min(width, ScoreScratch.windowSlots))
    }

    /// Behind the first block of a driver that ends.
    @inline(__always)
    func windowEnd(from: Int, drivers: UInt64, least: Int, end: Int) -> Int {
        var to = end
        for i in unsafe 0..<clauses.count {
            unsafe clauses[i].cursor.skipBlocks(to: from)
            guard drivers & 1 << UInt64(i) != 0,
                unsafe clauses[i].cursor.slot != PostingCursor.end
            else { continue }
            to = unsafe min(to, clauses[i].cursor.blockLast + 1)
        }
        return max(to, min(from + least, end))
    }

    /// Finds what each list can bring to the window.
    @inline(__always)
    mutating func boundLists(from: Int, to: Int) {
        var magnitude = 0.0
        unsafe total = 0
        unsafe rankedCount = 0
        for i in unsafe 0..<clauses.count {
            let last = unsafe clauses[i].cursor.blockLast
            // A block much wider than the window may well have nothing there.
            if last >= to, last - from > 4 * (to - from) {
                unsafe clauses[i].cursor.advance(to: from)
            }
            guard unsafe clauses[i].cursor.slot < to else { continue }
            let bound = unsafe Self.bound(&clauses[i], through: to - 1)
            unsafe clauses[i].bound = bound
            unsafe total += bound.gain
            magnitude += bound.magnitude
            var position = unsafe rankedCount
            while position > 0,
                unsafe clauses[Int(ranked[position - 1])].bound.gain < bound.gain
            {
                unsafe ranked[position] = ranked[position - 1]
                position -= 1
            }
            unsafe ranked[position] = UInt8(i)
            unsafe rankedCount += 1
        }
        // A sum of 64 numbers errs by 2^-46 of their magnitude at most.
        unsafe slack = magnitude * 0x1p-40
    }

    /// Of a list's blocks from the current one on.
    @inline(__always)
    static func bound(_ clause: inout PostingClause<Model>, through last: Int) -> PostingBound {
        if clause.boundedBlock != clause.cursor.blockOrdinal {
            clause.blockBound = clause.model.bound(clause.cursor)
            clause.boundedBlock = clause.cursor.blockOrdinal
        }
        var bound = clause.blockBound
        guard clause.cursor.blockLast < last else { return bound }
        let model = clause.model
        clause.cursor.forEachBlock(behindCurrentThrough: last) { block in
            let next = model.bound(block)
            bound.gain = max(bound.gain, next.gain)
            bound.magnitude = max(bound.magnitude, next.magnitude)
        }
        return bound
    }

    /// Lists without which all others miss the threshold.
    @inline(__always)
    func requiredLists() -> UInt64 {
        var required: UInt64 = 0
        for position in unsafe 0..<rankedCount {
            let i = unsafe Int(ranked[position])
            guard unsafe misses(total - clauses[i].bound.gain) else { break }
            required |= 1 << UInt64(i)
        }
        return required
    }

    /// Lists that bring candidates, and what all others together can add.
    @inline(__always)
    func leadingLists() -> (lists: UInt64, rest: Double) {
        var rest = 0.0
        var count = unsafe rankedCount
        while count > 0 {
            let next = unsafe rest + clauses[Int(ranked[count - 1])].bound.gain
            guard unsafe misses(next) else { break }
            rest = next
            count -= 1
        }
        var lists: UInt64 = 0
        for position in 0..<count { unsafe lists |= 1 << UInt64(ranked[position]) }
        return (lists, rest)
    }

    // MARK: candidates that required lists share

    @inline(__always)
    mutating func visitShared(_ required: UInt64, from: Int, to: Int) {
        var required = required
        var driver = unsafe shortest(required)
        unsafe clauses[driver].cursor.advance(to: from)
        while unsafe clauses[driver].cursor.slot < to {
            let slot = unsafe clauses[driver].cursor.slot
            let next = unsafe firstShared(required, behind: slot)
            if next > slot {
                if next >= to { return }
                unsafe clauses[driver].cursor.advance(to: next)
            } else if unsafe mask?.contains(slot) ?? true, unsafe scoreShared(required, slot) {
                // The threshold has risen: more lists may be required now, or all miss it.
                if unsafe misses(total) { return }
                required = unsafe requiredLists()
                driver = unsafe shortest(required)
                unsafe clauses[driver].cursor.advance(to: slot + 1)
            } else {
                unsafe clauses[driver].cursor.next()
            }
        }
    }

    @inline(__always)
    func shortest(_ lists: UInt64) -> Int {
        var best = lists.trailingZeroBitCount
        var rest = lists & (lists - 1)
        while rest != 0 {
            let i = rest.trailingZeroBitCount
            rest &= rest - 1
            if unsafe clauses[i].cursor.count < clauses[best].cursor.count { best = i }
        }
        return best
    }

    /// `slot` where all lists have it; else a later slot, before which they do not.
    @inline(__always)
    func firstShared(_ lists: UInt64, behind slot: Int) -> Int {
        var rest = lists
        while rest != 0 {
            let i = rest.trailingZeroBitCount
            rest &= rest - 1
            unsafe clauses[i].cursor.advance(to: slot)
            let found = unsafe clauses[i].cursor.slot
            if found > slot { return found }
        }
        return slot
    }

    /// True where it has raised the threshold.
    @inline(__always)
    mutating func scoreShared(_ required: UInt64, _ slot: Int) -> Bool {
        var upper = unsafe total
        var present: UInt64 = 0
        var rest = required
        while rest != 0 {
            let i = rest.trailingZeroBitCount
            rest &= rest - 1
            unsafe upper += score(i, slot: slot, present: &present, stride: 1, at: 0)
            if unsafe misses(upper) { return false }
        }
        return unsafe finish(
            slot, upper: upper, done: required, present: present, stride: 1, at: 0)
    }

    /// Scores the current posting of a list. Returns by how much it differs from the bound.
    @inline(__always)
    mutating func score(
        _ i: Int, slot: Int, present: inout UInt64, stride: Int, at offset: Int
    ) -> Double {
        let part = unsafe clauses[i].model.part(clauses[i].cursor.entry)
        unsafe parts[i * stride + offset] = part
        present |= 1 << UInt64(i)
        unsafe scored += 1
        return unsafe clauses[i].model.gain(part) - clauses[i].bound.gain
    }

    /// Looks the candidate up in the lists that have not been looked at, and keeps it if it is good.
    /// True where it has raised the threshold.
    @inline(__always)
    mutating func finish(
        _ slot: Int, upper: Double, done: UInt64, present: UInt64, stride: Int, at offset: Int
    ) -> Bool {
        var upper = upper
        var present = present
        for position in unsafe 0..<rankedCount {
            let i = unsafe Int(ranked[position])
            if done & 1 << UInt64(i) != 0 { continue }
            unsafe clauses[i].cursor.advance(to: slot)
            if unsafe clauses[i].cursor.slot == slot {
                unsafe upper += score(
                    i, slot: slot, present: &present, stride: stride, at: offset)
            } else {
                unsafe upper -= clauses[i].bound.gain
            }
            if unsafe misses(upper) { return false }
        }
        let parts = unsafe parts
        let sum = unsafe Model.total(clauses, present: present) { i in
            unsafe parts[i * stride + offset]
        }
        let score = Float(sum)
        guard unsafe score >= threshold, unsafe score > 0 || !positiveOnly,
            unsafe visibility.isVisible(slot)
        else { return false }
        unsafe best.insert(ScoredSlot(slot: slot, score: score))
        guard unsafe best.threshold > threshold else { return false }
        unsafe threshold = best.threshold
        return true
    }

    // MARK: candidates of any of the leading lists

    @inline(__always)
    mutating func visitUnion(_ leading: UInt64, restBound: Double, from: Int, to: Int) {
        var rest = leading
        while rest != 0 {
            let i = rest.trailingZeroBitCount
            rest &= rest - 1
            if let mask = unsafe mask {
                unsafe collect(i, from: from, to: to) { mask.contains($0) }
            } else {
                unsafe collect(i, from: from, to: to) { _ in true }
            }
        }
        for word in 0..<((to - from + 63) >> 6) {
            var bits = unsafe touched[word]
            if bits == 0 { continue }
            unsafe touched[word] = 0
            while bits != 0 {
                let offset = word << 6 + bits.trailingZeroBitCount
                bits &= bits - 1
                let cell = unsafe cells[offset]
                unsafe cells[offset] = WindowCell()
                let upper = cell.gain + restBound
                if unsafe misses(upper) { continue }
                _ = unsafe finish(
                    from + offset, upper: upper, done: leading, present: cell.present,
                    stride: ScoreScratch.windowSlots, at: offset)
            }
        }
    }

    /// Scores a list's postings in the window.
    @inline(__always)
    mutating func collect(_ i: Int, from: Int, to: Int, isWanted: (Int) -> Bool) {
        let bit: UInt64 = 1 << UInt64(i)
        let (cells, touched, model) = unsafe (cells, touched, clauses[i].model)
        let own = unsafe UnsafeMutableBufferPointer(
            rebasing: parts[(i * ScoreScratch.windowSlots)..<((i + 1) * ScoreScratch.windowSlots)])
        var count = 0
        unsafe clauses[i].cursor.advance(to: from)
        unsafe clauses[i].cursor.forEachRun(before: to) { entries in
            unsafe model.forEachPart(entries, isWanted: isWanted) { slot, part in
                let offset = slot - from
                unsafe own[offset] = part
                unsafe cells[offset].gain += model.gain(part)
                unsafe cells[offset].present |= bit
                unsafe touched[offset >> 6] |= 1 << UInt64(offset & 63)
                count += 1
            }
        }
        unsafe scored += count
    }
}
