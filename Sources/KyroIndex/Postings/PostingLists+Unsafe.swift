// Many append-only lists in one column of cells, read while the writer appends.
//
// Block i of a list holds min(2^i, 2,048) entries behind one link cell, the offset of the next
// block: a list of one entry costs two cells, a long one wastes at most half of what it uses.
//
//   cells:  … | link | entry | … | link | entry | entry | …
//
// Lists that are summarised have, in blocks of 64 entries and more, two cells for each 64 entries
// between the link and the entries: what a search must know to pass over them unread. They are
// written before the count that covers the last of the 64.
//
//   cells:  … | link | summary of 64 | … | 64 entries | …
//   summary:  last slot u32, bounds u32 << 32 | bounds u64
import KyroBytes
import KyroModel
import Synchronization

/// One writer; a list's entries below its release-stored count never change.
///
/// `@unchecked Sendable`: entries and links are written before the count that covers them.
@safe final class PostingLists<Entry>: @unchecked Sendable
where Entry: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable {
    static var blockShiftMax: Int { 11 }
    /// log2 of the entries that share a summary, and of the first block that has any.
    static var summaryShift: Int { 6 }
    /// Entries in the growing blocks before the first of the greatest size.
    private static var growing: Int { (1 << blockShiftMax) - 1 }

    let cells: Column<Entry>
    let heads = Column<UInt64>(baseShift: 4)
    /// Writer only: offset of the block that is being filled.
    let tails = Column<UInt64>(baseShift: 4)
    let counts = AtomicColumn32(baseShift: 4)
    /// Cells given out, gaps at the ends of chunks included. Stored by the writer.
    private let used = Atomic<Int>(0)
    /// Stored by the writer.
    private let listCount = Atomic<Int>(0)
    private let isSummarised: Bool

    /// - Parameters:
    ///   - baseShift: log2 of the cells in the first chunk.
    ///   - isSummarised: entries are 64 bits wide, and `append` with `summarise` adds them.
    init(baseShift: Int, isSummarised: Bool = false) {
        precondition(!isSummarised || Entry.bitWidth == 64, "summaries of \(Entry.self)")
        cells = Column(baseShift: baseShift)
        self.isSummarised = isSummarised
    }

    /// Cells between the link and the entries of a block of 2^`shift` entries.
    @inline(__always)
    func summaryCells(ofBlock shift: Int) -> Int {
        isSummarised && shift >= Self.summaryShift ? 2 << (shift - Self.summaryShift) : 0
    }

    /// Writer only, before a reader can learn of the list.
    func reserve(list: Int) {
        heads.reserve(row: list)
        tails.reserve(row: list)
        counts.reserve(row: list)
        listCount.store(max(listCount.load(ordering: .relaxed), list + 1), ordering: .relaxed)
    }

    /// Makes room for `entries` more in any lists, of which `lists` are new; false when there is no
    /// memory for them. Writer only.
    ///
    /// A block is as large as its list was before it, and 2,048 entries at most: new blocks take no
    /// more than all old ones together, or that much for each entry, beside entries, links and
    /// summaries.
    func tryReserve(entries: Int, newLists: Int) -> Bool {
        let known = listCount.load(ordering: .relaxed)
        let lists = known..<(known + newLists)
        let used = used.load(ordering: .relaxed)
        let greatest = 1 << Self.blockShiftMax + summaryCells(ofBlock: Self.blockShiftMax)
        let blocks = min(used, entries * greatest)
        return heads.tryReserve(rows: lists) && tails.tryReserve(rows: lists)
            && counts.tryReserve(rows: lists)
            && cells.tryReserve(from: used, packing: 3 * entries + blocks)
    }

    func count(_ list: Int) -> Int { Int(counts.load(list)) }

    /// Writer only.
    func append(_ entry: Entry, to list: Int) {
        precondition(!isSummarised, "an entry without a summary")
        let count = Int(counts.load(list))
        _ = place(entry, at: count, in: list)
        counts.store(UInt32(count + 1), list)
    }

    /// Writes the entry that will be the list's `count`-th, unpublished. Returns how many entries its
    /// block has with it, and log2 of those that it can have.
    @inline(__always)
    func place(_ entry: Entry, at count: Int, in list: Int) -> (filled: Int, shift: Int) {
        let block: Int
        let within: Int
        if count < Self.growing {
            block = Int.bitWidth - 1 - (count + 1).leadingZeroBitCount
            within = count + 1 - (1 << block)
        } else {
            block = Self.blockShiftMax
            within = (count - Self.growing) & ((1 << Self.blockShiftMax) - 1)
        }
        if within == 0 {
            let offset = allocate((1 << block) + 1 + summaryCells(ofBlock: block))
            if count == 0 {
                heads[list] = UInt64(offset)
            } else {
                cells[Int(tails[list])] = Entry(offset)
            }
            tails[list] = UInt64(offset)
        }
        cells[Int(tails[list]) + 1 + summaryCells(ofBlock: block) + within] = entry
        return (within + 1, block)
    }

    private func allocate(_ size: Int) -> Int {
        var offset = used.load(ordering: .relaxed)
        while cells.contiguousRows(from: offset) < size {
            offset += cells.contiguousRows(from: offset)
        }
        precondition(UInt64(offset + size) <= UInt64(Entry.max), "\(offset) cells of postings")
        cells.reserve(row: offset)
        used.store(offset + size, ordering: .relaxed)
        return offset
    }

    /// Calls `body` with the list's entries, block by block in order, until it returns false.
    @inline(__always)
    func forEachBlock(
        _ list: Int, _ body: (UnsafeBufferPointer<Entry>) throws(KyroError) -> Bool
    ) throws(KyroError) {
        var rest = count(list)
        guard rest > 0 else { return }
        var offset = Int(heads[list])
        var shift = 0
        while true {
            let start = unsafe cells.pointer(offset)
            let block = min(rest, 1 << shift)
            let first = unsafe start + 1 + summaryCells(ofBlock: shift)
            let entries = unsafe UnsafeBufferPointer(start: first, count: block)
            guard unsafe try body(entries) else { return }
            rest -= block
            if rest == 0 { return }
            offset = unsafe Int(start.pointee)
            shift = min(shift + 1, Self.blockShiftMax)
        }
    }

    /// Calls `body` with the list's entries in order until it returns false.
    func forEachEntry(
        _ list: Int, _ body: (Entry) throws(KyroError) -> Bool
    ) throws(KyroError) {
        try unsafe forEachBlock(list) { entries throws(KyroError) in
            for i in 0..<entries.count {
                guard try body(unsafe entries[i]) else { return false }
            }
            return true
        }
    }

    /// Entries whose lower half, the slot, is below `slotCount`. Slots ascend.
    func count(_ list: Int, below slotCount: Int) throws(KyroError) -> Int {
        var count = 0
        try forEachEntry(list) { entry throws(KyroError) in
            guard UInt32(truncatingIfNeeded: entry) < slotCount else { return false }
            count += 1
            return true
        }
        return count
    }

    var residentBytes: Int {
        used.load(ordering: .relaxed) * MemoryLayout<Entry>.size
            + listCount.load(ordering: .relaxed) * 20
    }
}
