// Scans over columns of numbers and over rows' visibility.
import CKernels
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
    /// Slots below `slotCount` with a key that passes. A nanosecond a key; a range of keys of which
    /// each document has one costs a quarter of that.
    func scan(
        _ test: KeyTest, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotMask {
        switch test {
        case .inRange(let range):
            return try scan(range, slotCount, cancellation)
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

    /// 64 keys at a time where their owners follow each other.
    private func scan(
        _ range: ClosedRange<Int64>, _ slotCount: Int, _ cancellation: Cancellation
    ) throws(KyroError) -> SlotMask {
        var mask = SlotMask(slotCount: slotCount)
        // Before the question whether there are lists: a list's second key is told of first.
        let count = count
        let isOneEach = !hasLists
        var row = 0
        while row < count {
            try cancellation.check()
            let run = min(count - row, keys.contiguousRows(from: row), 1 << 14)
            let keys = unsafe keys.pointer(row)
            let owners = unsafe owners.pointer(row)
            var i = 0
            while i < run {
                let owner = unsafe Int(owners[i])
                if owner >= slotCount { return mask }
                if isOneEach, i + 64 <= run, unsafe Int(owners[i + 63]) == owner + 63,
                    owner + 63 < slotCount
                {
                    var bits: UInt64 = 0
                    unsafe kyro_in_range_i64(
                        keys + i, 1, range.lowerBound, range.upperBound, &bits)
                    let shift = UInt64(owner & 63)
                    mask.words[owner >> 6] |= bits << shift
                    if shift != 0 { mask.words[(owner >> 6) + 1] |= bits >> (64 - shift) }
                    i += 64
                } else {
                    if unsafe range.contains(keys[i]) { mask.insert(owner) }
                    i += 1
                }
            }
            row += run
        }
        return mask
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

extension TimeColumn {
    /// Slots below `slotCount` whose time lies in the range, which does not hold `none`.
    func slots(
        in range: ClosedRange<Int64>, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotMask {
        var mask = SlotMask(slotCount: slotCount)
        let count = min(count, slotCount)
        var row = 0
        while row < count {
            if row % (16 * Self.zoneRows) == 0 { try cancellation.check() }
            let end = min(row + Self.zoneRows, count)
            if end == row + Self.zoneRows {
                let zone = row / Self.zoneRows
                let earliest = earliest[zone]
                let latest = latest[zone]
                if latest < range.lowerBound || earliest > range.upperBound {
                    row = end
                    continue
                }
                if earliest >= range.lowerBound, latest <= range.upperBound {
                    for word in (row >> 6)..<(end >> 6) { mask.words[word] = .max }
                    row = end
                    continue
                }
            }
            scan(row..<end, range, &mask)
            row = end
        }
        return mask
    }

    /// - Parameter slots: begin with a word of the mask.
    private func scan(_ slots: Range<Int>, _ range: ClosedRange<Int64>, _ mask: inout SlotMask) {
        var row = slots.lowerBound
        while row < slots.upperBound {
            // Chunks begin with a multiple of 64 rows, too.
            let run = min(slots.upperBound - row, times.contiguousRows(from: row))
            let values = unsafe times.pointer(row)
            unsafe mask.words.withUnsafeMutableBufferPointer { words in
                guard let base = words.baseAddress else { return }
                unsafe kyro_in_range_i64(
                    values, run >> 6, range.lowerBound, range.upperBound, base + (row >> 6))
            }
            for i in (run & ~63)..<run where unsafe range.contains(values[i]) {
                mask.insert(row + i)
            }
            row += run
        }
    }
}

extension SlotMask {
    /// Takes out what the read may not see: a fraction of a nanosecond a row where there are marks,
    /// and two a member that is marked.
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
            // Rows lie in the order of their births: with the last all of them are born.
            let marks = unsafe born[run - 1] <= visibility.seq ? visibility.marks : nil
            var slot = row
            while slot < row + run {
                let word = slot >> 6
                let end = min((slot | 63) + 1, row + run)
                // Members of this word from `slot` to `end`; those outside stay for another run.
                var rest = words[word] & (.max << UInt64(slot & 63))
                if end & 63 != 0 { rest &= (1 << UInt64(end & 63)) - 1 }
                if let marks, rest != 0 { rest &= marks.word(word) }
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
