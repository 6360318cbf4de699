// The inner loop of a sparse dot product.
import KyroModel

extension ScoreScratch {
    /// Adds one dimension's product to every slot of its list that the mask allows. Returns the
    /// number of postings scored.
    mutating func addDimension(
        _ list: Int, of index: SparseIndex, weight: Float, slotCount: Int, mask: SlotMask?,
        cancellation: Cancellation
    ) throws(KyroError) -> Int {
        let weight = Double(weight)
        var scored = 0
        try unsafe index.postings.forEachBlock(list) { entries throws(KyroError) in
            try cancellation.check()
            return unsafe sums.withUnsafeMutableBufferPointer { sums in
                unsafe touched.withUnsafeMutableBufferPointer { touched in
                    for i in 0..<entries.count {
                        let entry = unsafe entries[i]
                        let slot = Int(entry & 0xFFFF_FFFF)
                        if slot >= slotCount { return false }
                        if let mask, !mask.contains(slot) { continue }
                        let value = Float(bitPattern: UInt32(entry >> 32))
                        let product = weight * Double(value)
                        let before = unsafe sums[slot]
                        if before == -.infinity {
                            unsafe sums[slot] = product
                            unsafe touched[touchedCount] = UInt32(slot)
                            touchedCount += 1
                        } else {
                            unsafe sums[slot] = before + product
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
