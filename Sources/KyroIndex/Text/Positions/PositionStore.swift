// Where the terms of a field stand in its documents.
//
// Beside every posting lies a cell of 32 bits, in lists that grow as those of the postings do: entry
// i of a term's list is about the same document in both. A cell is the position itself where the
// document has the term once, as most have; otherwise it is the offset of the positions in an arena:
//
//   first position varint, then per further one: varint position − previous position
//
// How many there are says the posting.
import KyroBytes

/// One writer; a reader may ask for what belongs to a posting that it sees.
///
/// `@unchecked Sendable`: cells and bytes are written before the posting that leads to them, and
/// `encoded` is the writer's.
final class PositionStore: @unchecked Sendable {
    let cells = PostingLists<UInt32>(baseShift: 10)
    private let arena = ByteArena()
    private var encoded: [UInt8] = []

    /// Of a position or a gap: a text has less than 2^21 words.
    private static let bytesPerPositionMax = 3

    /// Writer only, before a reader can learn of the list.
    func reserve(list: Int) { cells.reserve(list: list) }

    /// Writer only.
    /// - Parameter run: positions in the lower halves, ascending, at least one.
    func append(_ run: ArraySlice<UInt64>, to list: Int) {
        guard run.count > 1 else {
            for token in run { cells.append(UInt32(truncatingIfNeeded: token), to: list) }
            return
        }
        encoded.removeAll(keepingCapacity: true)
        var previous: UInt32 = 0
        for token in run {
            let position = UInt32(truncatingIfNeeded: token)
            var gap = position &- previous
            while gap >= 0x80 {
                encoded.append(UInt8(truncatingIfNeeded: gap) | 0x80)
                gap >>= 7
            }
            encoded.append(UInt8(truncatingIfNeeded: gap))
            previous = position
        }
        let offset = arena.append(encoded)
        precondition(offset <= Int(UInt32.max), "positions at byte \(offset)")
        cells.append(UInt32(offset), to: list)
    }

    /// Makes room for `entries` more positions in any lists, of which `newLists` are new; false when
    /// there is no memory for them, or their offsets would not fit into cells. Writer only.
    func tryReserve(entries: Int, newLists: Int) -> Bool {
        let bytes = Self.bytesPerPositionMax * entries
        // Lists have gaps, at most as large as themselves.
        guard arena.count + 2 * bytes < Int(UInt32.max),
            cells.residentBytes / 2 + 3 * entries < Int(UInt32.max)
        else { return false }
        return cells.tryReserve(entries: entries, newLists: newLists)
            && arena.tryReserve(byteCount: bytes)
    }

    /// Appends the positions of a posting, ascending.
    /// - Parameter count: the posting's frequency.
    func read(_ cell: UInt32, count: Int, into positions: inout [Int]) {
        if count == 1 { return positions.append(Int(cell)) }
        arena.withBytes(from: Int(cell)) { bytes in
            var next = 0
            var position = 0
            for _ in 0..<count {
                var gap = 0
                var shift = 0
                while bytes[next] >= 0x80 {
                    gap |= Int(bytes[next] & 0x7F) << shift
                    shift += 7
                    next += 1
                }
                gap |= Int(bytes[next]) << shift
                next += 1
                position += gap
                positions.append(position)
            }
        }
    }

    var residentBytes: Int { cells.residentBytes + arena.residentBytes }
}
