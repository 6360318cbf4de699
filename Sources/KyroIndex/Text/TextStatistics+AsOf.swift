// BM25's statistics as they were at a sequence.
import KyroModel

extension TextIndex {
    /// Of this shard at the sequence of a view: the documents that lived then, expired or not. Walks
    /// the terms' postings and the lengths of all rows, three nanoseconds each. Any thread.
    public func statistics(
        of terms: [String], at visibility: Visibility, cancellation: Cancellation
    ) throws(KyroError) -> Statistics {
        var frequencies: [Int] = []
        for term in terms {
            var count = 0
            var walked = 0
            if let number = number(term) {
                try postings.forEachEntry(number) { entry throws(KyroError) in
                    walked += 1
                    if walked & 4_095 == 0 { try cancellation.check() }
                    let slot = Int(entry & 0xFFFF_FFFF)
                    guard slot < visibility.slotCount else { return false }
                    if visibility.isAlive(slot) { count += 1 }
                    return true
                }
            }
            frequencies.append(count)
        }
        var documents = 0
        var tokens = 0
        for slot in 0..<min(visibility.slotCount, lengthRows.load(ordering: .acquiring)) {
            if slot & 4_095 == 0 { try cancellation.check() }
            let length = lengths[slot]
            guard length > 0, visibility.isAlive(slot) else { continue }
            documents += 1
            tokens += Int(length - 1)
        }
        return Statistics(
            documentCount: documents, totalLength: tokens, documentFrequency: frequencies)
    }
}
