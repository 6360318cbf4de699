// The numbers of one metadata field.
import KyroBytes
import KyroModel
import Synchronization

/// Pairs of a slot and the ordered key of one of its values, slots ascending; a list field has
/// several pairs a slot, a document without the field none.
///
/// `@unchecked Sendable`: pairs are written before the count that covers them.
final class NumberColumn: @unchecked Sendable {
    let keys = Column<Int64>()
    let owners = Column<UInt32>()
    private let published = Atomic<Int>(0)
    private let isOfLists = Atomic<Bool>(false)
    private let lowest = Atomic<Int64>(.max)
    private let highest = Atomic<Int64>(.min)

    /// Whether a slot may have several pairs. Ask for the count first.
    var hasLists: Bool { isOfLists.load(ordering: .relaxed) }

    var count: Int { published.load(ordering: .acquiring) }

    /// Writer only.
    func append(_ key: Int64, slot: Int) {
        let row = published.load(ordering: .relaxed)
        if row > 0, owners[row - 1] == UInt32(slot) { isOfLists.store(true, ordering: .relaxed) }
        keys.append(key, at: row)
        owners.append(UInt32(slot), at: row)
        if key < lowest.load(ordering: .relaxed) { lowest.store(key, ordering: .relaxed) }
        if key > highest.load(ordering: .relaxed) { highest.store(key, ordering: .relaxed) }
        published.store(row + 1, ordering: .releasing)
    }

    /// Of all keys that were appended; nil where there is none. Any thread.
    var keyRange: ClosedRange<Int64>? {
        guard count > 0 else { return nil }
        return lowest.load(ordering: .relaxed)...highest.load(ordering: .relaxed)
    }

    /// Makes room for so many more numbers; false when there is no memory for them. Writer only.
    func tryReserve(numbers: Int) -> Bool {
        let row = published.load(ordering: .relaxed)
        let rows = row..<(row + numbers)
        return keys.tryReserve(rows: rows) && owners.tryReserve(rows: rows)
    }

    var residentBytes: Int { 12 * published.load(ordering: .relaxed) }
}
