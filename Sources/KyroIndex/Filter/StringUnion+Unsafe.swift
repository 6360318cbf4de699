// From posting lists to sets.
import KyroModel

extension StringColumn {
    /// Slots below `slotCount` with one of the numbered values.
    func slots(
        with values: [Int], slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        let total = values.reduce(0) { $0 + postings.count($1) }
        if SlotSet.prefersSparse(count: total, slotCount: slotCount) {
            let set = RoaringSet()
            try unsafe forEachBlock(values, slotCount, cancellation) { unsafe set.insert($0) }
            return .sparse(set)
        }
        var mask = SlotMask(slotCount: slotCount)
        try unsafe forEachBlock(values, slotCount, cancellation) { unsafe mask.insert(each: $0) }
        return .dense(mask)
    }

    private func forEachBlock(
        _ values: [Int], _ slotCount: Int, _ cancellation: Cancellation,
        _ body: (UnsafeBufferPointer<UInt32>) -> Void
    ) throws(KyroError) {
        for value in values {
            try unsafe postings.forEachBlock(value) { block throws(KyroError) in
                try cancellation.check()
                var count = block.count
                while count > 0, unsafe block[count - 1] >= slotCount { count -= 1 }
                unsafe body(UnsafeBufferPointer(rebasing: block[..<count]))
                return count == block.count
            }
        }
    }
}

extension SlotMask {
    /// - Precondition: slots ascend and are below the slot count.
    mutating func insert(each slots: UnsafeBufferPointer<UInt32>) {
        guard let last = unsafe slots.last else { return }
        precondition(Int(last) < slotCount, "slot \(last) of \(slotCount)")
        unsafe words.withUnsafeMutableBufferPointer { words in
            for i in 0..<slots.count {
                let slot = unsafe slots[i]
                unsafe words[Int(slot >> 6)] |= 1 << UInt64(slot & 63)
            }
        }
    }
}
