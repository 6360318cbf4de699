// The inner loop of BM25 and the logarithm that it needs.
import Glibc
import KyroBytes
import KyroModel

func naturalLogarithm(_ x: Double) -> Double { log(x) }

/// One term's BM25 as a function of frequency and length: idf × tf / (tf + constant + perToken ×
/// length).
struct TermWeights {
    let idf: Double
    let constant: Double
    let perToken: Double
}

extension ScoreScratch {
    /// Adds one term's contribution to every slot of its list that the mask allows. Returns the
    /// number of postings scored.
    mutating func addTerm(
        _ term: Int, of index: TextIndex, weights: TermWeights, slotCount: Int, mask: SlotMask?,
        cancellation: Cancellation
    ) throws(KyroError) -> Int {
        var scored = 0
        try unsafe index.postings.forEachBlock(term) { entries throws(KyroError) in
            try cancellation.check()
            // Slots ascend: cut once what is not published yet.
            var count = entries.count
            while count > 0, unsafe Int(entries[count - 1] & 0xFFFF_FFFF) >= slotCount {
                count -= 1
            }
            let visible = unsafe UnsafeBufferPointer(rebasing: entries[..<count])
            if let mask {
                scored += unsafe add(visible, index.lengths, weights) { mask.contains($0) }
            } else {
                scored += unsafe add(visible, index.lengths, weights) { _ in true }
            }
            return count == entries.count
        }
        return scored
    }

    @inline(__always)
    private mutating func add(
        _ entries: UnsafeBufferPointer<UInt64>, _ lengths: Column<UInt32>, _ weights: TermWeights,
        _ isWanted: (Int) -> Bool
    ) -> Int {
        var scored = 0
        var filled = touchedCount
        unsafe sums.withUnsafeMutableBufferPointer { sums in
            unsafe touched.withUnsafeMutableBufferPointer { touched in
                var position = 0
                // Lengths lie in chunks: one look-up serves all postings up to the chunk's end.
                while position < entries.count {
                    let first = unsafe Int(entries[position] & 0xFFFF_FFFF)
                    let end = first + lengths.contiguousRows(from: first)
                    let run = unsafe lengths.pointer(first)
                    while position < entries.count {
                        let entry = unsafe entries[position]
                        let slot = Int(entry & 0xFFFF_FFFF)
                        if slot >= end { break }
                        position += 1
                        if !isWanted(slot) { continue }
                        let length = Double(unsafe run[slot - first] - 1)
                        let tf = Double(UInt32(entry >> 32))
                        let part =
                            weights.idf * tf / (tf + weights.constant + weights.perToken * length)
                        let before = unsafe sums[slot]
                        let isNew = before == -.infinity
                        unsafe sums[slot] = isNew ? part : before + part
                        unsafe touched[filled] = UInt32(slot)
                        filled += isNew ? 1 : 0
                        scored += 1
                    }
                }
            }
        }
        touchedCount = filled
        return scored
    }
}
