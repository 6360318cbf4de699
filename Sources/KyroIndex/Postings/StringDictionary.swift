// Byte strings numbered in the order of their first appearance: terms, values, field names.
import KyroBytes
import Synchronization

/// Append-only. One writer; readers find strings beside it and see every string whose number they
/// have learnt of.
///
/// `@unchecked Sendable`: rows are written before the cell that names them is published.
final class StringDictionary: @unchecked Sendable {
    private let table = ProbeTable()
    private let arena = ByteArena()
    /// The byte count has 24 bits of a place.
    static let stringBytesMax = (1 << 24) - 1

    /// offset << 24 | byte count.
    private let places = Column<UInt64>()
    private let hashes = Column<UInt64>()
    /// The first eight bytes, big-endian and zero-padded: compares as the strings do, up to there.
    private let heads = Column<UInt64>()
    private let published = Atomic<Int>(0)
    /// Of the arena, stored by the writer for those who ask for memory.
    private let arenaBytes = Atomic<Int>(0)
    /// Of this table alone, so that nobody can prepare strings that collide.
    private let seed = UInt64.random(in: .min ... .max)

    var count: Int { published.load(ordering: .acquiring) }

    func find(_ bytes: [UInt8]) -> Int? { find(bytes, hash: xxh3(bytes, seed: seed)) }

    private func find(_ bytes: [UInt8], hash: UInt64) -> Int? {
        table.find(hash: hash) { id in
            hashes[id] == hash && equals(bytes, id)
        }
    }

    private func equals(_ bytes: [UInt8], _ id: Int) -> Bool {
        let place = places[id]
        return arena.equals(bytes, at: Int(place >> 24), count: Int(place & 0xFF_FFFF))
    }

    /// Makes room for so many new strings with so many bytes together; false when there is no memory
    /// for them. Writer only.
    func tryReserve(strings: Int, byteCount: Int) -> Bool {
        let known = published.load(ordering: .relaxed)
        let rows = known..<(known + strings)
        return places.tryReserve(rows: rows) && hashes.tryReserve(rows: rows)
            && heads.tryReserve(rows: rows) && arena.tryReserve(byteCount: byteCount)
            && table.tryReserve(idCount: rows.upperBound)
    }

    /// Writer only. The string's number; `prepare` is called with a new one before readers can
    /// find it.
    func intern(_ bytes: [UInt8], prepare: (Int) -> Void) -> Int {
        let hash = xxh3(bytes, seed: seed)
        if let id = find(bytes, hash: hash) { return id }
        let id = published.load(ordering: .relaxed)
        precondition(bytes.count <= Self.stringBytesMax, "a string of \(bytes.count) bytes")
        places.append(UInt64(arena.append(bytes)) << 24 | UInt64(bytes.count), at: id)
        hashes.append(hash, at: id)
        heads.append(Self.head(bytes), at: id)
        arenaBytes.store(arena.count, ordering: .relaxed)
        prepare(id)
        table.insert(hash: hash, id: id) { hashes[$0] }
        published.store(id + 1, ordering: .releasing)
        return id
    }

    func bytes(_ id: Int) -> [UInt8] {
        let place = places[id]
        return arena.bytes(at: Int(place >> 24), count: Int(place & 0xFF_FFFF))
    }

    /// Calls `body` with number, bytes and byte count of every string of such a length, ascending,
    /// until it returns false.
    func forEach(
        byteCounts: ClosedRange<Int>, _ body: (Int, Span<UInt8>, Int) -> Bool
    ) {
        for id in 0..<count {
            let place = places[id]
            let byteCount = Int(place & 0xFF_FFFF)
            guard byteCounts.contains(byteCount), byteCount > 0 else { continue }
            let goesOn = arena.withBytes(from: Int(place >> 24)) { body(id, $0, byteCount) }
            if !goesOn { return }
        }
    }

    /// Numbers of the strings that begin with `prefix`, ascending.
    func numbers(prefix: [UInt8]) -> [Int] {
        let wanted = Self.head(prefix)
        let bits = UInt64(min(prefix.count, 8) * 8)
        let mask: UInt64 = bits == 0 ? 0 : ~0 << (64 - bits)
        var found: [Int] = []
        for id in 0..<count where heads[id] & mask == wanted {
            let place = places[id]
            // A short string whose zero padding looks like the prefix is none.
            guard Int(place & 0xFF_FFFF) >= prefix.count else { continue }
            if prefix.count <= 8
                || arena.equals(prefix, at: Int(place >> 24), count: prefix.count)
            {
                found.append(id)
            }
        }
        return found
    }

    /// Numbers of the strings between two bounds in byte order, ascending.
    func numbers(
        lower: (bytes: [UInt8], isInclusive: Bool)?, upper: (bytes: [UInt8], isInclusive: Bool)?
    ) -> [Int] {
        let lowest = lower.map { Self.head($0.bytes) } ?? 0
        let highest = upper.map { Self.head($0.bytes) } ?? .max
        var found: [Int] = []
        for id in 0..<count {
            let head = heads[id]
            if head < lowest || head > highest { continue }
            if head == lowest, let lower {
                let own = bytes(id)
                if own.lexicographicallyPrecedes(lower.bytes) { continue }
                if !lower.isInclusive && own == lower.bytes { continue }
            }
            if head == highest, let upper {
                let own = bytes(id)
                if upper.bytes.lexicographicallyPrecedes(own) { continue }
                if !upper.isInclusive && own == upper.bytes { continue }
            }
            found.append(id)
        }
        return found
    }

    private static func head(_ bytes: [UInt8]) -> UInt64 {
        var head: UInt64 = 0
        for i in 0..<8 { head = head << 8 | (i < bytes.count ? UInt64(bytes[i]) : 0) }
        return head
    }

    var residentBytes: Int {
        table.residentBytes + arenaBytes.load(ordering: .relaxed)
            + 24 * published.load(ordering: .relaxed)
    }
}
