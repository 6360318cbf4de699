// Which slots have a field.
import KyroBytes
import KyroModel
import Synchronization

/// One bit a slot in atomic words, since readers look at a word whose other bits the writer sets.
final class PresenceColumn: Sendable {
    private let words = AtomicColumn64(baseShift: 4)
    private let wordCount = Atomic<Int>(0)

    /// Writer only.
    func insert(_ slot: Int) {
        let word = slot >> 6
        var reserved = wordCount.load(ordering: .relaxed)
        while reserved <= word {
            words.reserve(row: reserved)
            reserved += words.contiguousRows(from: reserved)
        }
        words.store(words.load(word) | 1 << UInt64(slot & 63), word)
        if word >= wordCount.load(ordering: .relaxed) {
            wordCount.store(word + 1, ordering: .releasing)
        }
    }

    /// Makes room for slots below `slotCount`; false when there is no memory for them. Writer only.
    func tryReserve(slotCount: Int) -> Bool {
        let end = (slotCount + 63) >> 6
        return words.tryReserve(rows: min(wordCount.load(ordering: .relaxed), end)..<end)
    }

    /// Any thread, of a slot that was published.
    func contains(_ slot: Int) -> Bool {
        let word = slot >> 6
        guard word < wordCount.load(ordering: .acquiring) else { return false }
        return words.load(word) >> UInt64(slot & 63) & 1 == 1
    }

    func mask(slotCount: Int) -> SlotMask {
        var mask = SlotMask(slotCount: slotCount)
        let whole = slotCount >> 6
        let rest = slotCount & 63
        let known = wordCount.load(ordering: .acquiring)
        for word in 0..<min(known, whole) { mask.words[word] = words.load(word) }
        if rest > 0, known > whole {
            mask.words[whole] = words.load(whole) & ((1 << UInt64(rest)) - 1)
        }
        return mask
    }

    var residentBytes: Int { 8 * wordCount.load(ordering: .relaxed) }
}
