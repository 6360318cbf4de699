// From document ids to slots, read by everybody while one thread writes.
import KyroBytes
import KyroModel

/// The ids of a collection's rows in one shard, by slot: a number, or a text in an arena.
final class IDColumn: Sendable {
    /// The number, or the text's offset in `texts`.
    private let words = Column<UInt64>()
    /// Bytes of the text plus one; zero marks a number.
    private let lengths = Column<UInt32>()
    private let texts = ByteArena()

    /// Makes room for the ids of these slots with so many bytes of text; false when there is no memory
    /// for them. Writer only.
    func tryReserve(slots: Range<Int>, textBytes: Int) -> Bool {
        words.tryReserve(rows: slots) && lengths.tryReserve(rows: slots)
            && texts.tryReserve(byteCount: textBytes)
    }

    /// Writer only.
    func append(_ id: DocumentID, slot: Int) {
        switch id {
        case .number(let value):
            words.append(value, at: slot)
            lengths.append(0, at: slot)
        case .text(let value):
            let bytes = Array(value.utf8)
            words.append(UInt64(texts.append(bytes)), at: slot)
            lengths.append(UInt32(bytes.count) + 1, at: slot)
        }
    }

    // MARK: Snapshots: the number or 0, the length of a text plus one or 0, and the texts

    /// Appends what stands for the rows to three parts of a block.
    func append(
        rows: Range<Int>, words: inout [UInt64], lengths: inout [UInt32],
        texts target: inout ByteWriter
    ) {
        for slot in rows {
            let length = self.lengths[slot]
            lengths.append(length)
            words.append(length == 0 ? self.words[slot] : 0)
            if length > 1 {
                texts.append(at: Int(self.words[slot]), count: Int(length) - 1, to: &target)
            }
        }
    }

    /// Makes rows of what `append` wrote. Writer only.
    ///
    /// - Parameters:
    ///   - bytes: holds the words at `wordsOffset`, the lengths at `lengthsOffset`.
    ///   - textBytes: where the texts lie in `bytes`.
    /// - Returns: false when the lengths do not add up to `textBytes`.
    func fill(
        rows: Range<Int>, from bytes: [UInt8], wordsOffset: Int, lengthsOffset: Int,
        textBytes: Range<Int>
    ) -> Bool {
        words.fill(rows: rows, from: bytes, at: wordsOffset)
        lengths.fill(rows: rows, from: bytes, at: lengthsOffset)
        var position = textBytes.lowerBound
        for slot in rows {
            let length = Int(lengths[slot])
            if length == 0 { continue }
            guard length - 1 <= textBytes.upperBound - position else { return false }
            words[slot] = UInt64(texts.append(bytes, range: position..<(position + length - 1)))
            position += length - 1
        }
        return position == textBytes.upperBound
    }

    /// What `IDKey` computes of the same id.
    func hash(_ slot: Int, seed: UInt64) -> UInt64 {
        let length = lengths[slot]
        if length == 0 { return DocumentID.number(words[slot]).hash(seed: seed) }
        return texts.xxh3(at: Int(words[slot]), count: Int(length) - 1, seed: seed)
    }

    func areEqual(_ a: Int, _ b: Int) -> Bool {
        let length = lengths[a]
        guard length == lengths[b] else { return false }
        if length == 0 { return words[a] == words[b] }
        return texts.areEqual(Int(words[a]), Int(words[b]), count: Int(length) - 1)
    }

    subscript(slot: Int) -> DocumentID {
        let length = lengths[slot]
        if length == 0 { return .number(words[slot]) }
        return .text(String(decoding: textBytes(slot, length), as: UTF8.self))
    }

    func isEqual(_ slot: Int, _ key: IDKey) -> Bool {
        let length = lengths[slot]
        switch key.id {
        case .number(let value): return length == 0 && words[slot] == value
        case .text:
            return length != 0
                && texts.equals(key.bytes, at: Int(words[slot]), count: Int(length) - 1)
        }
    }

    /// Numbers before texts; texts by their bytes.
    func precedes(_ a: Int, _ b: Int) -> Bool {
        let (lengthA, lengthB) = (lengths[a], lengths[b])
        switch (lengthA == 0, lengthB == 0) {
        case (true, true): return words[a] < words[b]
        case (true, false): return true
        case (false, true): return false
        case (false, false):
            return texts.precedes(
                Int(words[a]), count: Int(lengthA) - 1, Int(words[b]), count: Int(lengthB) - 1)
        }
    }

    private func textBytes(_ slot: Int, _ length: UInt32) -> [UInt8] {
        texts.bytes(at: Int(words[slot]), count: Int(length) - 1)
    }

    func residentBytes(slotCount: Int) -> Int {
        words.residentBytes(rowCount: slotCount) + lengths.residentBytes(rowCount: slotCount)
            + texts.residentBytes
    }
}

/// An id with what a look-up needs of it, computed once.
struct IDKey {
    let id: DocumentID
    let hash: UInt64
    /// UTF-8 of a text id, empty for a number.
    let bytes: [UInt8]

    init(_ id: DocumentID, seed: UInt64) {
        self.id = id
        hash = id.hash(seed: seed)
        switch id {
        case .number: bytes = []
        case .text(let value): bytes = Array(value.utf8)
        }
    }
}

/// Open addressing with linear probing over atomic cells: a cell is zero or the newest slot of an
/// id, plus one. Cells change from one version of an id to the next and are never emptied, so a
/// probe that meets a zero has proved absence. Older versions hang off the newest through
/// `VersionColumns.previous`.
final class IDTable: Sendable {
    private let cells: AtomicColumn32
    let capacity: Int

    /// - Parameter capacity: a power of two.
    init(capacity: Int) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0)
        self.capacity = capacity
        cells = AtomicColumn32(baseShift: capacity.trailingZeroBitCount)
        cells.reserve(row: 0)
    }

    /// - Returns: nil when there is no memory for the table.
    init?(ifRoomFor capacity: Int) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0)
        self.capacity = capacity
        cells = AtomicColumn32(baseShift: capacity.trailingZeroBitCount)
        guard cells.tryReserve(rows: 0..<1) else { return nil }
    }

    /// The newest slot of the id, visible or not.
    func find(_ key: IDKey, in ids: IDColumn) -> Int? {
        var position = Int(truncatingIfNeeded: key.hash) & (capacity - 1)
        while true {
            let cell = cells.load(position)
            if cell == 0 { return nil }
            if ids.isEqual(Int(cell) - 1, key) { return Int(cell) - 1 }
            position = (position + 1) & (capacity - 1)
        }
    }

    /// Writer only. Replaces the id's cell; returns whether the id is new to the table.
    /// - Precondition: the row's id is written, and a cell is free.
    func set(_ key: IDKey, slot: Int, in ids: IDColumn) -> Bool {
        var position = Int(truncatingIfNeeded: key.hash) & (capacity - 1)
        while true {
            let cell = cells.load(position)
            if cell == 0 || ids.isEqual(Int(cell) - 1, key) {
                cells.store(UInt32(slot) + 1, position)
                return cell == 0
            }
            position = (position + 1) & (capacity - 1)
        }
    }

    /// The same for a row whose id is written, without making a key of it.
    func set(slot: Int, in ids: IDColumn, seed: UInt64) -> Bool {
        var position = Int(truncatingIfNeeded: ids.hash(slot, seed: seed)) & (capacity - 1)
        while true {
            let cell = cells.load(position)
            if cell == 0 || ids.areEqual(Int(cell) - 1, slot) {
                cells.store(UInt32(slot) + 1, position)
                return cell == 0
            }
            position = (position + 1) & (capacity - 1)
        }
    }

    /// A larger table with the same content; nil when there is no memory for it.
    func grown(to capacity: Int, ids: IDColumn, seed: UInt64) -> IDTable? {
        guard let larger = IDTable(ifRoomFor: capacity) else { return nil }
        for position in 0..<self.capacity {
            let cell = cells.load(position)
            guard cell != 0 else { continue }
            _ = larger.set(slot: Int(cell) - 1, in: ids, seed: seed)
        }
        return larger
    }

    var residentBytes: Int { capacity * 4 }
}
