// What 64 postings can contribute at most, kept beside them.
import KyroBytes

/// 96 bits that the index lays out: impacts of which none of the postings has a greater one.
struct PostingSummary: Equatable {
    var low: UInt32
    var high: UInt64
}

extension PostingLists where Entry == UInt64 {
    /// Entries that share a summary.
    static var summarySize: Int { 1 << summaryShift }

    /// Appends to a summarised list. Writer only.
    /// - Parameter summarise: called with the 64 entries that the new one completes.
    @inline(__always)
    func append(
        _ entry: UInt64, to list: Int, summarise: (UnsafeBufferPointer<UInt64>) -> PostingSummary
    ) {
        let count = Int(counts.load(list))
        let (filled, shift) = place(entry, at: count, in: list)
        let cellCount = summaryCells(ofBlock: shift)
        if cellCount > 0, filled & (Self.summarySize - 1) == 0 {
            let start = unsafe cells.pointer(Int(tails[list])) + 1
            let first = filled - Self.summarySize
            let entries = unsafe UnsafeBufferPointer(
                start: start + cellCount + first, count: Self.summarySize)
            let summary = unsafe summarise(entries)
            let cell = unsafe start + 2 * (first >> Self.summaryShift)
            unsafe cell[0] = entry & 0xFFFF_FFFF | UInt64(summary.low) << 32
            unsafe cell[1] = summary.high
        }
        counts.store(UInt32(count + 1), list)
    }
}
