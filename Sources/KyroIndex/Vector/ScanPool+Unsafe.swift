// The candidates of a scan: the best of many that come in no order.

/// A buffer of twice the keys that are wanted, in borrowed memory. When it is full the better half
/// stays and its last key becomes the bar for what comes next: a few comparisons a key, where a
/// sorted array moves half of itself for each. Keys are those of `CandidatePool`.
@unsafe struct ScanPool {
    let keys: UnsafeMutablePointer<UInt64>
    let wanted: Int
    private(set) var count = 0
    /// A key at or below this would not be kept.
    private(set) var threshold: UInt64 = 0

    static func capacity(wanted: Int) -> Int { 2 * wanted }

    /// - Parameter keys: room for `capacity(wanted:)` keys.
    init(keys: UnsafeMutablePointer<UInt64>, wanted: Int) {
        precondition(wanted > 0, "\(wanted) keys wanted")
        unsafe self.keys = unsafe keys
        unsafe self.wanted = wanted
    }

    /// A score below this would not be kept.
    @inline(__always) var leastScore: Float {
        unsafe threshold == 0 ? -.infinity : CandidatePool.score(threshold)
    }

    @inline(__always) mutating func insert(_ key: UInt64) {
        guard unsafe key > threshold else { return }
        if unsafe count == 2 * wanted { unsafe keepWanted() }
        unsafe keys[count] = key
        unsafe count += 1
    }

    /// The best `wanted` keys, sorted.
    mutating func sorted() -> CandidatePool {
        if unsafe count > wanted { unsafe keepWanted() }
        var kept = unsafe UnsafeMutableBufferPointer(start: keys, count: count)
        unsafe kept.sort(by: >)
        return unsafe CandidatePool(sorted: keys, count: count, wanted: wanted)
    }

    /// Moves the best `wanted` keys to the front. - Precondition: `count > wanted`.
    private mutating func keepWanted() {
        unsafe Self.select(keys, count: count, position: wanted - 1)
        unsafe threshold = keys[wanted - 1]
        unsafe count = wanted
    }

    /// Puts the key that belongs at `position` of the descending order there, better ones before
    /// it and worse ones behind (Hoare 1961, algorithm 65). Keys differ from each other.
    static func select(_ keys: UnsafeMutablePointer<UInt64>, count: Int, position: Int) {
        var low = 0
        var high = count - 1
        while low < high {
            let pivot = unsafe middle(keys[low], keys[(low + high) >> 1], keys[high])
            var i = low
            var j = high
            while i <= j {
                while unsafe keys[i] > pivot { i += 1 }
                while unsafe keys[j] < pivot { j -= 1 }
                guard i <= j else { break }
                let key = unsafe keys[i]
                unsafe keys[i] = unsafe keys[j]
                unsafe keys[j] = key
                i += 1
                j -= 1
            }
            if position <= j {
                high = j
            } else if position >= i {
                low = i
            } else {
                return
            }
        }
    }

    private static func middle(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        max(min(a, b), min(max(a, b), c))
    }
}
