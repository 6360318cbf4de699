// Walks over the values of the rows of a mask.
import KyroBytes
import KyroModel

/// What an aggregation is over in one shard.
public struct AggregationRows: Sendable {
    public let metadata: MetadataIndex
    public let mask: SlotMask
    /// Of the mask.
    public let count: Int

    public init(metadata: MetadataIndex, mask: SlotMask) {
        self.metadata = metadata
        self.mask = mask
        count = mask.count()
    }

    /// Values looked at between two looks at the mask as a whole: few where it is nearly empty, so
    /// that most of the column is stepped over.
    var batch: Int { count < mask.slotCount / 256 ? 512 : 1 << 14 }
}

extension SlotMask {
    /// Whether a slot of the range, by words, is in the set.
    func meets(_ slots: ClosedRange<Int>) -> Bool {
        var word = slots.lowerBound >> 6
        let last = min(slots.upperBound >> 6, words.count - 1)
        while word <= last {
            if words[word] != 0 { return true }
            word += 1
        }
        return false
    }
}

extension NumberColumn {
    /// Calls `body` with key and slot of every value of the rows, slots ascending, and `afterBatch`
    /// now and then and at the end. About a nanosecond a value.
    @inline(__always)
    func forEach(
        in rows: AggregationRows, cancellation: Cancellation,
        afterBatch: () throws(KyroError) -> Void, _ body: (Int64, Int) -> Void
    ) throws(KyroError) {
        let slotCount = rows.mask.slotCount
        let batch = rows.batch
        let count = count
        var row = 0
        while row < count {
            try cancellation.check()
            let run = min(count - row, keys.contiguousRows(from: row), batch)
            let keys = unsafe keys.pointer(row)
            let owners = unsafe owners.pointer(row)
            row += run
            let first = unsafe Int(owners[0])
            if first >= slotCount { return }
            guard rows.mask.meets(first...(unsafe Int(owners[run - 1]))) else { continue }
            unsafe rows.mask.words.withUnsafeBufferPointer { words in
                for i in 0..<run {
                    let owner = unsafe Int(owners[i])
                    if owner >= slotCount { return }
                    if unsafe words[owner >> 6] & (1 << UInt64(owner & 63)) != 0 {
                        unsafe body(keys[i], owner)
                    }
                }
            }
            try afterBatch()
        }
    }
}

extension MetadataIndex {
    /// The same over event times.
    @inline(__always)
    func forEachEventTime(
        in rows: AggregationRows, cancellation: Cancellation,
        afterBatch: () throws(KyroError) -> Void, _ body: (Int64, Int) -> Void
    ) throws(KyroError) {
        let times = eventTimes.times
        let count = min(eventTimes.count, rows.mask.slotCount)
        let batch = rows.batch
        var row = 0
        while row < count {
            try cancellation.check()
            let run = min(count - row, times.contiguousRows(from: row), batch)
            let values = unsafe times.pointer(row)
            let start = row
            row += run
            guard rows.mask.meets(start...(row - 1)) else { continue }
            unsafe rows.mask.words.withUnsafeBufferPointer { words in
                for i in 0..<run {
                    let slot = start + i
                    let time = unsafe values[i]
                    if unsafe words[slot >> 6] & (1 << UInt64(slot & 63)) != 0,
                        time != TimeColumn.none
                    {
                        body(time, slot)
                    }
                }
            }
            try afterBatch()
        }
    }
}

extension StringColumn {
    /// Members of the mask that have the numbered value; `body` is told each.
    @inline(__always)
    func count(
        _ value: Int, in mask: SlotMask, cancellation: Cancellation, _ body: (Int) -> Void
    ) throws(KyroError) -> Int {
        var count = 0
        try unsafe postings.forEachBlock(value) { block throws(KyroError) in
            try cancellation.check()
            var isWithin = true
            unsafe mask.words.withUnsafeBufferPointer { words in
                for i in 0..<block.count {
                    let slot = unsafe Int(block[i])
                    if slot >= mask.slotCount {
                        isWithin = false
                        return
                    }
                    if unsafe words[slot >> 6] & (1 << UInt64(slot & 63)) != 0 {
                        count += 1
                        body(slot)
                    }
                }
            }
            return isWithin
        }
        return count
    }
}
