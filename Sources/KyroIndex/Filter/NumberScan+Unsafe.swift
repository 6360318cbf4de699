// Scans over columns of numbers and over rows' visibility.
import KyroBytes
import KyroModel
import Synchronization

/// What a key must be.
enum KeyTest {
    case inRange(ClosedRange<Int64>)
    /// Ascending.
    case oneOf([Int64])
}

extension NumberColumn {
    /// Slots below `slotCount` with a key that passes. About a nanosecond a key.
    func scan(
        _ test: KeyTest, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotMask {
        switch test {
        case .inRange(let range):
            let low = range.lowerBound
            let high = range.upperBound
            return try scan(slotCount, cancellation) { key in key >= low && key <= high }
        case .oneOf(let wanted) where wanted.count <= 8:
            return try scan(slotCount, cancellation) { key in
                var hit = false
                for other in wanted where other == key { hit = true }
                return hit
            }
        case .oneOf(let wanted):
            return try scan(slotCount, cancellation) { key in
                var low = 0
                var high = wanted.count
                while low < high {
                    let middle = (low + high) >> 1
                    if wanted[middle] < key { low = middle + 1 } else { high = middle }
                }
                return low < wanted.count && wanted[low] == key
            }
        }
    }

    @inline(__always)
    private func scan(
        _ slotCount: Int, _ cancellation: Cancellation, _ passes: (Int64) -> Bool
    ) throws(KyroError) -> SlotMask {
        var mask = SlotMask(slotCount: slotCount)
        let count = count
        var row = 0
        while row < count {
            try cancellation.check()
            let run = min(count - row, keys.contiguousRows(from: row), 1 << 14)
            let keys = unsafe keys.pointer(row)
            let owners = unsafe owners.pointer(row)
            var word = 0
            var bits: UInt64 = 0
            for i in 0..<run {
                let owner = unsafe Int(owners[i])
                if owner >= slotCount {
                    if bits != 0 { mask.words[word] |= bits }
                    return mask
                }
                if owner >> 6 != word {
                    if bits != 0 { mask.words[word] |= bits }
                    word = owner >> 6
                    bits = 0
                }
                let hit: UInt64 = unsafe passes(keys[i]) ? 1 : 0
                bits |= hit << UInt64(owner & 63)
            }
            if bits != 0 { mask.words[word] |= bits }
            row += run
        }
        return mask
    }
}

extension SlotMask {
    /// Slots below `rows` whose value lies in the range.
    init(
        scanning column: Column<Int64>, rows: Int, range: ClosedRange<Int64>, slotCount: Int,
        cancellation: Cancellation
    ) throws(KyroError) {
        self.init(slotCount: slotCount)
        let count = min(rows, slotCount)
        var row = 0
        while row < count {
            try cancellation.check()
            let run = min(count - row, column.contiguousRows(from: row), 1 << 14)
            let values = unsafe column.pointer(row)
            var slot = row
            while slot < row + run {
                let end = min((slot | 63) + 1, row + run)
                var bits: UInt64 = 0
                for i in slot..<end {
                    let value = unsafe values[i - row]
                    let hit: UInt64 = value >= range.lowerBound && value <= range.upperBound ? 1 : 0
                    bits |= hit << UInt64(i & 63)
                }
                words[slot >> 6] |= bits
                slot = end
            }
            row += run
        }
    }

    /// Takes out what the read may not see: two nanoseconds a member.
    mutating func keepVisible(
        _ visibility: Visibility, cancellation: Cancellation
    ) throws(KyroError) {
        precondition(
            slotCount <= visibility.slotCount, "\(slotCount) slots of \(visibility.slotCount)")
        var row = 0
        while row < slotCount {
            try cancellation.check()
            let run = min(
                slotCount - row, 1 << 14, visibility.born.contiguousRows(from: row),
                visibility.expiresAt.contiguousRows(from: row),
                visibility.died.contiguousRows(from: row))
            let born = unsafe visibility.born.pointer(row)
            let expiresAt = unsafe visibility.expiresAt.pointer(row)
            let died = unsafe visibility.died.cell(row)
            var slot = row
            while slot < row + run {
                let word = slot >> 6
                let end = min((slot | 63) + 1, row + run)
                // Members of this word from `slot` to `end`; those outside stay for another run.
                var rest = words[word] & (.max << UInt64(slot & 63))
                if end & 63 != 0 { rest &= (1 << UInt64(end & 63)) - 1 }
                var hidden: UInt64 = 0
                while rest != 0 {
                    let bit = rest & (0 &- rest)
                    let i = (word << 6) + rest.trailingZeroBitCount - row
                    let death = unsafe died[i].load(ordering: .acquiring)
                    let isVisible =
                        unsafe born[i] <= visibility.seq
                        && (death == 0 || death > visibility.seq)
                        && expiresAt[i] > visibility.nowMillis
                    if !isVisible { hidden |= bit }
                    rest ^= bit
                }
                words[word] &= ~hidden
                slot = end
            }
            row += run
        }
    }
}
