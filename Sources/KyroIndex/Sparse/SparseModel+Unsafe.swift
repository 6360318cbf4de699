// A dot product of sparse vectors, one dimension of it.

/// weight × value. The bounds of a block are those of its exact values: weights of either sign.
struct SparseModel: PostingModel {
    let weight: Double

    @inline(__always)
    func part(_ entry: UInt64) -> Double {
        weight * Double(Float(bitPattern: UInt32(entry >> 32)))
    }

    @inline(__always) @unsafe
    func forEachPart(
        _ entries: UnsafeBufferPointer<UInt64>, isWanted: (Int) -> Bool,
        _ body: (_ slot: Int, _ part: Double) -> Void
    ) {
        for i in 0..<entries.count {
            let entry = unsafe entries[i]
            let slot = Int(entry & 0xFFFF_FFFF)
            if isWanted(slot) { body(slot, part(entry)) }
        }
    }

    func bound(_ block: borrowing PostingCursor) -> PostingBound {
        var greatest = -Double.infinity
        var least = Double.infinity
        if let summary = block.summary {
            let ends = (
                weight * Double(summary.greatestValue), weight * Double(summary.leastValue)
            )
            greatest = max(ends.0, ends.1)
            least = min(ends.0, ends.1)
        } else {
            let entries = unsafe block.block
            for i in 0..<entries.count {
                let part = unsafe part(entries[i])
                greatest = max(greatest, part)
                least = min(least, part)
            }
        }
        return PostingBound(gain: max(0, greatest), magnitude: max(abs(greatest), abs(least)))
    }
}
