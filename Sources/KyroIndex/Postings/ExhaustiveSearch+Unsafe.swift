// Term at a time: every posting of every list, into one sum per slot.
import KyroModel

extension ScoreScratch {
    /// Adds one list's parts to every slot of it that the mask allows. Returns the number of postings
    /// scored.
    mutating func add<Model: PostingModel>(
        _ list: Int, of postings: PostingLists<UInt64>, _ model: Model, slotCount: Int,
        mask: SlotMask?, cancellation: Cancellation
    ) throws(KyroError) -> Int {
        var scored = 0
        try unsafe postings.forEachBlock(list) { entries throws(KyroError) in
            try cancellation.check()
            // Slots ascend: cut once what is not published yet.
            var count = entries.count
            while count > 0, unsafe Int(entries[count - 1] & 0xFFFF_FFFF) >= slotCount {
                count -= 1
            }
            let visible = unsafe UnsafeBufferPointer(rebasing: entries[..<count])
            if let mask {
                scored += unsafe add(visible, model) { mask.contains($0) }
            } else {
                scored += unsafe add(visible, model) { _ in true }
            }
            return count == entries.count
        }
        return scored
    }

    @inline(__always)
    private mutating func add<Model: PostingModel>(
        _ entries: UnsafeBufferPointer<UInt64>, _ model: Model, isWanted: (Int) -> Bool
    ) -> Int {
        var scored = 0
        var filled = touchedCount
        unsafe sums.withUnsafeMutableBufferPointer { sums in
            unsafe touched.withUnsafeMutableBufferPointer { touched in
                unsafe model.forEachPart(entries, isWanted: isWanted) { slot, part in
                    let before = unsafe sums[slot]
                    let isNew = before == -.infinity
                    unsafe sums[slot] = isNew ? part : before + part
                    unsafe touched[filled] = UInt32(slot)
                    filled += isNew ? 1 : 0
                    scored += 1
                }
            }
        }
        touchedCount = filled
        return scored
    }

    /// Adds what `gain` makes of each sum of `other`, and empties it.
    mutating func take(_ other: inout ScoreScratch, gain: (Double) -> Double) {
        for i in 0..<other.touchedCount {
            let slot = Int(other.touched[i])
            let part = gain(other.sums[slot])
            let before = sums[slot]
            if before == -.infinity {
                sums[slot] = part
                touched[touchedCount] = UInt32(slot)
                touchedCount += 1
            } else {
                sums[slot] = before + part
            }
        }
        other.clear()
    }
}
