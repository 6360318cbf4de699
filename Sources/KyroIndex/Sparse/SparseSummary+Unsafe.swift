// The impacts of 64 postings of a dimension: their greatest and their least value.
import KyroBytes

extension SparseIndex {
    /// Writer only.
    func post(_ entry: UInt64, to list: Int) {
        unsafe postings.append(entry, to: list) { entries in
            var greatest = -Float.infinity
            var least = Float.infinity
            for i in 0..<entries.count {
                let value = Float(bitPattern: unsafe UInt32(entries[i] >> 32))
                greatest = max(greatest, value)
                least = min(least, value)
            }
            return PostingSummary(
                low: 0, high: UInt64(greatest.bitPattern) << 32 | UInt64(least.bitPattern))
        }
    }
}

extension PostingSummary {
    var greatestValue: Float { Float(bitPattern: UInt32(truncatingIfNeeded: high >> 32)) }
    var leastValue: Float { Float(bitPattern: UInt32(truncatingIfNeeded: high)) }
}
