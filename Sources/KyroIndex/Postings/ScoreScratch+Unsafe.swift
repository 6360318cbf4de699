// The selection at the end of a search: every sum is looked at once and taken away.
import KyroModel

extension ScoreScratch {
    /// The best `k` of the visible slots, best first, those with positive scores alone if so asked.
    /// Empties the scratch, also when cancelled.
    mutating func drain(
        k: Int, positiveOnly: Bool, visibility: Visibility, order: any SlotOrder,
        cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        var best = TopK(k: k, order: order)
        var threshold = -Float.infinity
        let count = touchedCount
        var position = 0
        unsafe sums.withUnsafeMutableBufferPointer { sums in
            unsafe touched.withUnsafeBufferPointer { touched in
                while position < count {
                    if position & 4095 == 0, cancellation.isCancelled { return }
                    let slot = unsafe Int(touched[position])
                    let score = unsafe Float(sums[slot])
                    unsafe sums[slot] = -.infinity
                    position += 1
                    guard score >= threshold, score > 0 || !positiveOnly,
                        visibility.isVisible(slot)
                    else { continue }
                    best.insert(ScoredSlot(slot: slot, score: score))
                    threshold = best.threshold
                }
            }
        }
        if position < count {
            clear(from: position)
            try cancellation.check()
        }
        touchedCount = 0
        return best.drainSorted()
    }

    /// Forgets the sums from the `position`-th touched slot on.
    mutating func clear(from position: Int = 0) {
        for i in position..<touchedCount { sums[Int(touched[i])] = -.infinity }
        touchedCount = 0
    }
}
