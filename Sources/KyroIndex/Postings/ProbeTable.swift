// Open addressing that readers probe while the writer inserts.
//
// Generation g holds 256 << g cells and lies in the g-th chunk of one column, so that a table that
// has grown stays where readers may still probe it; all older generations together are smaller
// than the current one. A cell is zero, or (upper 32 bits of the hash) << 32 | id + 1.
import KyroBytes
import Synchronization

/// Maps hashes to ids that the owner gives out from zero on. Owners keep the keys.
final class ProbeTable: Sendable {
    private static let baseShift = 8
    private let cells = AtomicColumn64(baseShift: ProbeTable.baseShift)
    private let generation = Atomic<Int>(0)

    init() { cells.reserve(row: 0) }

    /// The id whose key `matches`, among those with this hash. Any thread.
    @inline(__always)
    func find(hash: UInt64, matches: (Int) -> Bool) -> Int? {
        let generation = generation.load(ordering: .acquiring)
        let first = (1 << (Self.baseShift + generation)) - (1 << Self.baseShift)
        let mask = (1 << (Self.baseShift + generation)) - 1
        let tag = hash >> 32
        var position = Int(truncatingIfNeeded: hash) & mask
        while true {
            let cell = cells.load(first + position)
            if cell == 0 { return nil }
            let id = Int(cell & 0xFFFF_FFFF) - 1
            if cell >> 32 == tag, matches(id) { return id }
            position = (position + 1) & mask
        }
    }

    /// Makes room for ids below `idCount`; false when there is no memory for them. Writer only.
    func tryReserve(idCount: Int) -> Bool {
        var next = generation.load(ordering: .relaxed)
        while idCount * 8 > 5 << (Self.baseShift + next) {
            next += 1
            let first = (1 << (Self.baseShift + next)) - (1 << Self.baseShift)
            guard cells.tryReserve(rows: first..<(first + 1)) else { return false }
        }
        return true
    }

    /// Writer only: publishes `id`, which is the number of ids inserted before. Everything a reader
    /// looks up by the id was written before.
    /// - Parameter hashOf: the hash of an id inserted before.
    func insert(hash: UInt64, id: Int, hashOf: (Int) -> UInt64) {
        var current = generation.load(ordering: .relaxed)
        // At most 5/8 full: probes stay short, and a search for what is absent ends.
        if (id + 1) * 8 > 5 << (Self.baseShift + current) {
            current += 1
            cells.reserve(row: (1 << (Self.baseShift + current)) - (1 << Self.baseShift))
            for old in 0..<id { place(old, hash: hashOf(old), generation: current) }
            place(id, hash: hash, generation: current)
            generation.store(current, ordering: .releasing)
        } else {
            place(id, hash: hash, generation: current)
        }
    }

    private func place(_ id: Int, hash: UInt64, generation: Int) {
        let first = (1 << (Self.baseShift + generation)) - (1 << Self.baseShift)
        let mask = (1 << (Self.baseShift + generation)) - 1
        var position = Int(truncatingIfNeeded: hash) & mask
        while cells.load(first + position) != 0 { position = (position + 1) & mask }
        cells.store(hash & ~0xFFFF_FFFF | UInt64(id + 1), first + position)
    }

    var residentBytes: Int { 16 << (Self.baseShift + generation.load(ordering: .relaxed)) }
}
