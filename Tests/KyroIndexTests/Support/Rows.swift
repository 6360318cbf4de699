// The engine's part in an index test: births, deaths, expiry and an order of ids.
import KyroBytes
import KyroIndex
import KyroModel
import Synchronization

/// SplitMix64: small, and the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        defer { state &+= 1 }
        return mix64(state)
    }
}

/// Ids are the slots themselves.
final class SlotsAreIDs: SlotOrder {
    func precedes(_ a: Int, _ b: Int) -> Bool { a < b }
}

/// Columns as a shard keeps them, for one writer and any readers.
final class Rows: @unchecked Sendable {
    let born = Column<UInt64>()
    let died = AtomicColumn64()
    let expiresAt = Column<Int64>()
    let marks = RowMarks()
    let published = Atomic<Int>(0)
    let seq = Atomic<UInt64>(0)
    private(set) var written = 0

    /// Writes the row of the next slot; `publish` shows it.
    func append(expiresAt expiry: Int64 = .max) -> Slot {
        let slot = written
        born.append(seq.load(ordering: .relaxed) + 1, at: slot)
        died.reserve(row: slot)
        expiresAt.append(expiry, at: slot)
        marks.append(slot, isMarked: expiry != .max)
        written += 1
        return Slot(index: slot)
    }

    func kill(_ slot: Int) {
        marks.mark(slot)
        died.store(seq.load(ordering: .relaxed) + 1, slot)
    }

    func publish() {
        published.store(written, ordering: .releasing)
        seq.add(1, ordering: .releasing)
    }

    func visibility(seq: UInt64? = nil, nowMillis: Int64 = 0) -> Visibility {
        let seq = seq ?? self.seq.load(ordering: .acquiring)
        return Visibility(
            born: born, died: died, expiresAt: expiresAt, seq: seq,
            slotCount: published.load(ordering: .acquiring), nowMillis: nowMillis, marks: marks)
    }
}

/// A snapshot in memory.
final class MemoryStream: SnapshotSink, SnapshotSource {
    var bytes: [UInt8] = []
    private var position = 0

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    func write(_ bytes: [UInt8]) throws(KyroError) { self.bytes += bytes }

    func read(count: Int) throws(KyroError) -> [UInt8] {
        guard count >= 0, count <= bytes.count - position else {
            throw KyroError(.internal, "the snapshot ends")
        }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }

    var isAtEnd: Bool { position == bytes.count }
}
