// Room for one query's scores, kept by its owner between queries.

/// A sum of contributions per slot and the list of slots that have one. Nobody else may use it
/// while a search does; a search leaves it empty, also when it throws.
public struct ScoreScratch: Sendable {
    /// Sum by slot; minus infinity where nothing was added.
    var sums: [Double] = []
    /// Slots with a sum, in the order of their first contribution; `touchedCount` are in use. One
    /// more than there are slots: the loops write before they know whether a slot is new.
    var touched: [UInt32] = []
    var touchedCount = 0

    // Of a window of slots, where blocks are passed over: by list and slot, by slot, a bit by slot.
    var windowParts: [Double] = []
    var windowCells: [WindowCell] = []
    var windowTouched: [UInt64] = []

    public init() {}

    mutating func prepare(slotCount: Int) {
        precondition(touchedCount == 0, "\(touchedCount) sums left by an earlier search")
        guard sums.count < slotCount else { return }
        let size = max(slotCount, sums.count * 3 / 2)
        sums = Array(repeating: -.infinity, count: size)
        touched = Array(repeating: 0, count: size + 1)
    }

    public var residentBytes: Int {
        sums.count * 12 + windowParts.count * 8 + windowCells.count * 16 + windowTouched.count * 8
    }
}

public typealias TextScratch = ScoreScratch
public typealias SparseScratch = ScoreScratch
