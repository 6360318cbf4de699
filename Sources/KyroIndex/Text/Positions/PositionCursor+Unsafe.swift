// A walk through one term's postings that can jump, and that finds positions.
import KyroModel

/// One term's postings below a slot count, in the order of their slots. For one query: it keeps the
/// index, whose blocks never move.
@safe final class PositionCursor {
    /// Of postings, and of the positions' cells beside them.
    @safe private struct Block {
        let entries: UnsafeBufferPointer<UInt64>
        let cells: UnsafePointer<UInt32>?
        let lastSlot: Int
    }

    static let endSlot = Int.max

    private let index: TextIndex
    private var blocks: [Block] = []
    private var block = 0
    private var within = 0
    /// Of the posting it stands at; `endSlot` behind the last.
    private(set) var slot = PositionCursor.endSlot
    /// Postings below the slot count.
    private(set) var count = 0

    /// - Parameter withPositions: whether `readPositions` will be asked.
    init(
        _ term: Int, of index: TextIndex, slotCount: Int, withPositions: Bool
    ) throws(KyroError) {
        self.index = index
        try unsafe index.postings.forEachBlock(term) { entries throws(KyroError) in
            var count = entries.count
            while count > 0, unsafe Self.slot(entries[count - 1]) >= slotCount { count -= 1 }
            guard count > 0 else { return false }
            unsafe blocks.append(
                Block(
                    entries: UnsafeBufferPointer(rebasing: entries[..<count]), cells: nil,
                    lastSlot: Self.slot(entries[count - 1])))
            self.count += count
            return count == entries.count
        }
        if withPositions, let positions = index.positions {
            var next = 0
            try unsafe positions.cells.forEachBlock(term) { cells throws(KyroError) in
                guard next < blocks.count else { return false }
                let known = blocks[next]
                precondition(
                    unsafe cells.count >= known.entries.count,
                    "\(cells.count) positions beside \(unsafe known.entries.count) postings")
                unsafe blocks[next] = Block(
                    entries: known.entries, cells: cells.baseAddress, lastSlot: known.lastSlot)
                next += 1
                return true
            }
        }
        settle()
    }

    @inline(__always)
    private static func slot(_ entry: UInt64) -> Int { Int(entry & 0xFFFF_FFFF) }

    /// Of the document it stands at.
    var frequency: Int {
        guard slot != Self.endSlot else { return 0 }
        return unsafe Int(blocks[block].entries[within] >> 32)
    }

    /// Of the document it stands at, ascending, appended.
    func readPositions(into positions: inout [Int]) {
        guard slot != Self.endSlot, let store = index.positions,
            let cells = unsafe blocks[block].cells
        else { return }
        store.read(unsafe cells[within], count: frequency, into: &positions)
    }

    private func settle() {
        slot =
            block < blocks.count
            ? unsafe Self.slot(blocks[block].entries[within]) : Self.endSlot
    }

    func advance() {
        guard slot != Self.endSlot else { return }
        within += 1
        if unsafe within == blocks[block].entries.count {
            block += 1
            within = 0
        }
        settle()
    }

    /// Goes on to the first posting at or behind a slot.
    func seek(_ target: Int) {
        guard slot < target else { return }
        if blocks[block].lastSlot < target {
            var low = block + 1
            var high = blocks.count
            while low < high {
                let middle = (low + high) / 2
                if blocks[middle].lastSlot < target {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            block = low
            within = 0
        }
        guard block < blocks.count else {
            slot = Self.endSlot
            return
        }
        let entries = unsafe blocks[block].entries
        // Most jumps are short: doubling steps first.
        var step = 1
        var low = within
        while low + step < entries.count, unsafe Self.slot(entries[low + step]) < target {
            low += step
            step *= 2
        }
        var high = min(low + step, entries.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if unsafe Self.slot(entries[middle]) < target {
                low = middle + 1
            } else {
                high = middle
            }
        }
        within = low
        settle()
    }

    /// Calls `body` with slot and frequency of every posting from here to `end`, and goes behind them.
    /// Returns how many there were.
    @inline(__always)
    func drain(below end: Int, _ body: (_ slot: Int, _ frequency: Int) -> Void) -> Int {
        var drained = 0
        while slot < end {
            let entries = unsafe blocks[block].entries
            var position = within
            while position < entries.count {
                let entry = unsafe entries[position]
                if Self.slot(entry) >= end { break }
                body(Self.slot(entry), Int(entry >> 32))
                position += 1
            }
            drained += position - within
            within = position
            if position == entries.count {
                block += 1
                within = 0
            }
            settle()
        }
        return drained
    }
}
