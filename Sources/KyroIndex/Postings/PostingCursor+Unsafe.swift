// A walk over one posting list in the order of its slots that can pass over what it need not see.
import KyroBytes

/// Stands at a posting, or at the end. Postings come in blocks of at most 64; those of the list's
/// first 63 and of its last, unfinished 64 have no summary. Sees the list as it was when the cursor
/// was made; any thread.
///
/// - Complexity: `next` is O(1); `advance` is logarithmic within a block, and reads the summaries
///   alone of the blocks that it passes.
@safe struct PostingCursor {
    /// The slot of a cursor behind the last posting.
    static let end = Int.max
    typealias Lists = PostingLists<UInt64>

    private let lists: Lists
    /// Postings in the list.
    let count: Int
    /// Slots from here on are not shown.
    private let slotCount: Int

    /// Link cell of the stretch of blocks that lie together, and log2 of its postings.
    private var stretch: UnsafeMutablePointer<UInt64>
    private var shift = 0
    /// Ordinal in the list of the stretch's first posting, and of the block's.
    private var stretchStart = 0
    private var blockStart = 0
    private var entries: UnsafePointer<UInt64>
    private var blockCount = 0
    /// In the block.
    private var position = 0
    /// Of the last posting of the block, or `end` where there is none.
    private(set) var blockLast = PostingCursor.end
    /// Of the current posting, or `end`.
    private(set) var slot = PostingCursor.end

    /// Stands at the first posting of a list; nil where the list is empty.
    /// - Parameter slotCount: of the slots that the reader knows of; postings behind are not shown.
    init?(_ lists: Lists, list: Int, below slotCount: Int) {
        let count = lists.count(list)
        guard count > 0 else { return nil }
        self.lists = lists
        self.count = count
        self.slotCount = slotCount
        unsafe stretch = lists.cells.pointer(Int(lists.heads[list]))
        unsafe entries = UnsafePointer(stretch)
        enterBlock()
        settle()
    }

    /// The current posting: slot | payload << 32.
    /// - Precondition: the cursor is not at the end.
    @inline(__always)
    var entry: UInt64 { unsafe entries[position] }

    /// Of the current posting: a term frequency or the bits of a value.
    /// - Precondition: the cursor is not at the end.
    @inline(__always)
    var payload: UInt32 {
        precondition(slot != Self.end, "a cursor at its end has no posting")
        return unsafe UInt32(truncatingIfNeeded: entries[position] >> 32)
    }

    /// Of the current posting in its list, from zero on; `count` at the end of the list.
    var ordinal: Int { blockStart + position }

    /// Of the block's first posting.
    @inline(__always)
    var blockOrdinal: Int { blockStart }

    /// The postings of the block, current one or not.
    @inline(__always) @unsafe
    var block: UnsafeBufferPointer<UInt64> {
        unsafe UnsafeBufferPointer(start: entries, count: blockCount)
    }

    /// Of the block; nil where it has none.
    @inline(__always)
    var summary: PostingSummary? {
        guard blockCount == Lists.summarySize else { return nil }
        let cell = unsafe stretch + 1 + 2 * ((blockStart - stretchStart) >> Lists.summaryShift)
        return unsafe PostingSummary(low: UInt32(cell[0] >> 32), high: cell[1])
    }

    /// To the next posting. - Precondition: the cursor is not at the end.
    @inline(__always)
    mutating func next() {
        precondition(slot != Self.end, "a cursor cannot go on from its end")
        position += 1
        if position == blockCount, !nextBlock() {
            slot = Self.end
            return
        }
        settle()
    }

    /// To the first posting at `target` or behind it; stays where it is when it is there already.
    @inline(__always)
    mutating func advance(to target: Int) {
        guard target > slot else { return }
        skipBlocks(to: target)
        guard slot != Self.end else { return }
        // Most steps are short: double them, then halve.
        var low = position
        var step = 1
        while low + step < blockCount, slotAt(low + step) < target {
            low += step
            step *= 2
        }
        var high = min(low + step, blockCount - 1)
        // The block ends at `target` or behind it.
        if slotAt(low) >= target {
            high = low
        } else {
            while high - low > 1 {
                let middle = (low + high) / 2
                if slotAt(middle) < target { low = middle } else { high = middle }
            }
        }
        position = high
        settle()
    }

    /// To the first block that ends at `target` or behind it, without a look at its postings: until
    /// the next `advance` the current posting is unknown, and `slot` tells `end` or nothing.
    @inline(__always)
    mutating func skipBlocks(to target: Int) {
        while blockLast < target {
            if !nextBlock() {
                slot = Self.end
                return
            }
        }
    }

    /// Calls `body` with all postings from the current one on that lie before `end`, a stretch at a
    /// time; then stands at the first that does not.
    @inline(__always) @unsafe
    mutating func forEachRun(before end: Int, _ body: (UnsafeBufferPointer<UInt64>) -> Void) {
        while slot < end {
            let first = position
            if blockLast < end {
                position = blockCount
            } else {
                // Behind the current posting, which lies before `end`: the block's last does not.
                var low = position
                var high = blockCount - 1
                while high - low > 1 {
                    let middle = (low + high) / 2
                    if slotAt(middle) < end { low = middle } else { high = middle }
                }
                position = high
            }
            unsafe body(
                UnsafeBufferPointer(start: entries + first, count: position - first))
            if position == blockCount, !nextBlock() {
                slot = Self.end
                return
            }
            settle()
        }
    }

    /// Calls `body` with a cursor at each block behind the current one, up to the one that ends at
    /// `last` or behind it. What they tell of is the block alone.
    @inline(__always)
    func forEachBlock(
        behindCurrentThrough last: Int, _ body: (borrowing PostingCursor) -> Void
    ) {
        var ahead = self
        while ahead.blockLast < last, ahead.nextBlock() { body(ahead) }
    }

    @inline(__always)
    private func slotAt(_ position: Int) -> Int {
        unsafe Int(entries[position] & 0xFFFF_FFFF)
    }

    @inline(__always)
    private mutating func settle() {
        let found = slotAt(position)
        slot = found < slotCount ? found : Self.end
    }

    /// False at the list's end.
    private mutating func nextBlock() -> Bool {
        let next = blockStart + blockCount
        guard next < count else {
            // Behind the last posting.
            position = blockCount
            blockLast = Self.end
            return false
        }
        if next - stretchStart == 1 << shift {
            let offset = unsafe Int(stretch.pointee)
            unsafe stretch = lists.cells.pointer(offset)
            shift = min(shift + 1, Lists.blockShiftMax)
            stretchStart = next
        }
        blockStart = next
        enterBlock()
        return true
    }

    /// At `blockStart`, which lies in the stretch.
    @inline(__always)
    private mutating func enterBlock() {
        let within = blockStart - stretchStart
        unsafe entries = UnsafePointer(stretch + 1 + lists.summaryCells(ofBlock: shift) + within)
        blockCount = min(count - blockStart, 1 << shift, Lists.summarySize)
        position = 0
        if blockCount == Lists.summarySize {
            let cell = unsafe stretch + 1 + 2 * (within >> Lists.summaryShift)
            blockLast = unsafe Int(cell.pointee & 0xFFFF_FFFF)
        } else {
            blockLast = slotAt(blockCount - 1)
        }
    }
}
