// The candidates of a walk or a scan, best first.

/// A sorted array of keys in borrowed memory. Short arrays beat heaps here: an insertion moves some
/// hundred bytes, and what is to be expanded next needs no second structure.
///
/// A key is `score as an ordered integer (32 bits) | row (30 bits) | admitted | expanded`.
/// Admitted candidates are the ones that a search may return; the others only lead on. What lies
/// behind the `wanted`th admitted one is cut off.
@unsafe struct CandidatePool {
    static let rowsMax = 1 << 30
    static let expanded: UInt64 = 1
    static let admitted: UInt64 = 2

    let keys: UnsafeMutablePointer<UInt64>
    let capacity: Int
    private(set) var wanted: Int
    /// Of rows with one score only the first is kept: copies of one row must not fill a short pool,
    /// since they lead to each other and to nobody else.
    let isDistinct: Bool
    private(set) var count = 0
    private(set) var admittedCount = 0

    /// - Parameters:
    ///   - capacity: keys that fit into `keys`.
    ///   - wanted: admitted candidates to keep.
    init(
        keys: UnsafeMutablePointer<UInt64>, capacity: Int, wanted: Int, isDistinct: Bool = false
    ) {
        precondition(wanted > 0 && capacity >= wanted)
        unsafe self.keys = unsafe keys
        unsafe self.capacity = capacity
        unsafe self.wanted = wanted
        unsafe self.isDistinct = isDistinct
    }

    /// Takes keys that are in order already, all of them admitted.
    init(sorted keys: UnsafeMutablePointer<UInt64>, count: Int, wanted: Int) {
        precondition(count <= wanted, "\(count) keys of \(wanted)")
        unsafe self.keys = unsafe keys
        unsafe capacity = wanted
        unsafe self.wanted = wanted
        unsafe isDistinct = false
        unsafe self.count = count
        unsafe admittedCount = count
    }

    /// Integers in the order of the scores.
    @inline(__always) static func key(score: Float, row: UInt32, isAdmitted: Bool) -> UInt64 {
        let bits = score.bitPattern
        let ordered = bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
        return UInt64(ordered) << 32 | UInt64(row) << 2 | (isAdmitted ? unsafe admitted : 0)
    }

    @inline(__always) static func row(_ key: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: key) >> 2
    }

    @inline(__always) static func score(_ key: UInt64) -> Float {
        let ordered = UInt32(truncatingIfNeeded: key >> 32)
        let bits = ordered & 0x8000_0000 != 0 ? ordered & 0x7FFF_FFFF : ~ordered
        return Float(bitPattern: bits)
    }

    /// A key at or below this would not be kept.
    @inline(__always) var threshold: UInt64 {
        let isFull = unsafe count == capacity || admittedCount == wanted
        return unsafe isFull ? keys[count - 1] : 0
    }

    /// A score below this would not be kept.
    @inline(__always) var leastScore: Float {
        let threshold = unsafe threshold
        return threshold == 0 ? -.infinity : unsafe Self.score(threshold)
    }

    /// Where the key went, or the count where it did not. - Precondition: `key > threshold`.
    @inline(__always) mutating func insert(_ key: UInt64) -> Int {
        if unsafe isDistinct && hasScore(of: key) { return unsafe count }
        if unsafe count == capacity { unsafe dropLast() }
        var low = 0
        var high = unsafe count
        while low < high {
            let middle = (low + high) >> 1
            if unsafe keys[middle] > key { low = middle + 1 } else { high = middle }
        }
        unsafe (keys + low + 1).update(from: keys + low, count: count - low)
        unsafe keys[low] = key
        unsafe count += 1
        if unsafe key & Self.admitted != 0 {
            unsafe admittedCount += 1
            if unsafe admittedCount > wanted { unsafe dropLast() }
            if unsafe admittedCount == wanted { unsafe trim() }
        }
        return low
    }

    /// Keeps no more than so many admitted candidates from now on.
    mutating func keep(wanted fewer: Int) {
        unsafe wanted = min(wanted, max(1, fewer))
        while unsafe admittedCount > wanted { unsafe dropLast() }
        if unsafe admittedCount == wanted { unsafe trim() }
    }

    private func hasScore(of key: UInt64) -> Bool {
        unsafe (0..<count).contains { unsafe keys[$0] >> 32 == key >> 32 }
    }

    @inline(__always) private mutating func dropLast() {
        unsafe count -= 1
        if unsafe keys[count] & Self.admitted != 0 { unsafe admittedCount -= 1 }
    }

    /// Cuts what lies behind the last admitted candidate.
    @inline(__always) private mutating func trim() {
        while unsafe count > 0 && keys[count - 1] & Self.admitted == 0 { unsafe count -= 1 }
    }
}
