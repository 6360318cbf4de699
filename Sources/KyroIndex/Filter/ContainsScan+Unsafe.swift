// Which rows' lists of numbers have all of some numbers.
import KyroBytes
import KyroModel

extension NumberColumn {
    /// Slots below `slotCount` with every one of the keys, in one pass however many they are.
    /// - Parameter wanted: ascending, each once, at least one.
    func scan(
        all wanted: [Int64], slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotMask {
        var mask = SlotMask(slotCount: slotCount)
        // The slot that had the key last, plus one: nothing has to be cleared between slots.
        var seenBy = [UInt32](repeating: 0, count: wanted.count)
        var current: UInt32 = 0
        var found = 0
        let count = count
        var row = 0
        while row < count {
            try cancellation.check()
            let run = min(
                count - row, 1 << 14, keys.contiguousRows(from: row),
                owners.contiguousRows(from: row))
            let keys = unsafe keys.pointer(row)
            let owners = unsafe owners.pointer(row)
            for i in 0..<run {
                let owner = unsafe owners[i]
                if owner >= slotCount { return mask }
                if owner + 1 != current {
                    current = owner + 1
                    found = 0
                }
                guard let place = Self.place(of: unsafe keys[i], in: wanted),
                    seenBy[place] != current
                else { continue }
                seenBy[place] = current
                found += 1
                if found == wanted.count { mask.insert(Int(owner)) }
            }
            row += run
        }
        return mask
    }

    private static func place(of key: Int64, in wanted: [Int64]) -> Int? {
        var low = 0
        var high = wanted.count
        while low < high {
            let middle = (low + high) >> 1
            if wanted[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low < wanted.count && wanted[low] == key ? low : nil
    }
}
