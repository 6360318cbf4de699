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
        // Lengths lie in chunks: one look-up serves all postings up to the chunk's end.
        var lengths = unsafe UnsafePointer<UInt32>?.none
        var lengthsStart = 0
        var lengthsEnd = 0
        try unsafe index.postings.forEachBlock(term) { entries throws(KyroError) in
            try cancellation.check()
            return unsafe sums.withUnsafeMutableBufferPointer { sums in
                unsafe touched.withUnsafeMutableBufferPointer { touched in
                    for i in 0..<entries.count {
                        let entry = unsafe entries[i]
                        let slot = Int(entry & 0xFFFF_FFFF)
                        if slot >= slotCount { return false }
                        if let mask, !mask.contains(slot) { continue }
                        if slot >= lengthsEnd {
                            lengthsStart = slot
                            lengthsEnd = slot + index.lengths.contiguousRows(from: slot)
                            unsafe lengths = UnsafePointer(index.lengths.pointer(slot))
                        }
                        guard let run = unsafe lengths else { return false }
                        let length = Double(unsafe run[slot - lengthsStart] - 1)
                        let tf = Double(entry >> 32)
                        let part =
                            weights.idf * tf / (tf + weights.constant + weights.perToken * length)
                        let before = unsafe sums[slot]
                        if before == -.infinity {
                            unsafe sums[slot] = part
                            unsafe touched[touchedCount] = UInt32(slot)
                            touchedCount += 1
                        } else {
                            unsafe sums[slot] = before + part
                        }
                        scored += 1
                    }
                    return true
                }
            }
        }
        return scored
    }
}
