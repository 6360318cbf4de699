// The strings of one metadata field.
import KyroBytes
import KyroModel

/// Distinct values, numbered, and for each the slots that have it.
///
/// `@unchecked Sendable`: `last` belongs to the writer.
final class StringColumn: @unchecked Sendable {
    let dictionary = StringDictionary()
    /// Slots ascending, each once.
    let postings = PostingLists<UInt32>(baseShift: 8)
    /// Writer only: the last slot of each value, to take a value repeated in a list once.
    private let last = Column<UInt32>()

    /// Writer only.
    func append(_ value: [UInt8], slot: Int) {
        let number = dictionary.intern(value) { number in
            postings.reserve(list: number)
            last.reserve(row: number)
        }
        if postings.count(number) > 0, last[number] == UInt32(slot) { return }
        postings.append(UInt32(slot), to: number)
        last[number] = UInt32(slot)
    }

    /// Writer only: a value of several slots, ascending and above all before.
    func append(_ value: [UInt8], slots: [Int]) {
        for slot in slots.prefix(1) { append(value, slot: slot) }
        guard let number = dictionary.find(value) else { return }
        for slot in slots.dropFirst() { postings.append(UInt32(slot), to: number) }
        if let end = slots.last { last[number] = UInt32(end) }
    }

    /// Makes room for so many more strings with so many bytes together; false when there is no memory
    /// for them. Writer only.
    func tryReserve(strings: Int, byteCount: Int) -> Bool {
        let known = dictionary.count
        return dictionary.tryReserve(strings: strings, byteCount: byteCount)
            && postings.tryReserve(entries: strings, newLists: strings)
            && last.tryReserve(rows: known..<(known + strings))
    }

    var residentBytes: Int {
        dictionary.residentBytes + postings.residentBytes + 4 * dictionary.count
    }
}
