// How many rows have each of many keys.
import KyroBytes

/// A hash table from keys to counts, in which a row counts once for a key however often it has it.
struct KeyCounts {
    /// In the order of their first appearance.
    private(set) var keys: [Int64] = []
    /// By position in `keys`.
    private(set) var counts: [Int] = []
    /// The row that was counted last.
    private var lastRows: [UInt64] = []
    /// Open addressing, at most half full: position in `keys`, plus one.
    private var cells = [UInt32](repeating: 0, count: 64)

    var count: Int { keys.count }

    /// Rows come one after another: once another row was added, none before it comes again.
    @inline(__always)
    mutating func add(_ key: Int64, row: UInt64) {
        var place = Int(truncatingIfNeeded: mix64(UInt64(bitPattern: key))) & (cells.count - 1)
        while cells[place] != 0 {
            let position = Int(cells[place]) - 1
            if keys[position] == key {
                if lastRows[position] != row {
                    lastRows[position] = row
                    counts[position] += 1
                }
                return
            }
            place = (place + 1) & (cells.count - 1)
        }
        insert(key, row, at: place)
    }

    @inline(never)
    private mutating func insert(_ key: Int64, _ row: UInt64, at place: Int) {
        keys.append(key)
        counts.append(1)
        lastRows.append(row)
        cells[place] = UInt32(keys.count)
        if keys.count * 2 > cells.count { grow() }
    }

    private mutating func grow() {
        var larger = [UInt32](repeating: 0, count: cells.count * 4)
        for (position, key) in keys.enumerated() {
            var place = Int(truncatingIfNeeded: mix64(UInt64(bitPattern: key))) & (larger.count - 1)
            while larger[place] != 0 { place = (place + 1) & (larger.count - 1) }
            larger[place] = UInt32(position + 1)
        }
        cells = larger
    }

    /// Positions in the order of the keys.
    var sortedPositions: [Int] { keys.indices.sorted { keys[$0] < keys[$1] } }
}
