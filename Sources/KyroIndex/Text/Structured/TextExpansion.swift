// The terms that a prefix or a misspelt word stands for.
import KyroModel

/// One of them.
struct ExpandedTerm: Equatable {
    var term: [UInt8]
    /// In (0, 1]; scores are multiplied by it.
    var closeness: Double
    /// In all shards.
    var liveFrequency: Int
}

/// Collects from every shard; what is kept does not depend on how documents lie in shards: terms
/// that no live document has are not looked at.
struct TextExpansion {
    private var found: [[UInt8]: ExpandedTerm] = [:]

    mutating func add(_ term: [UInt8], closeness: Double, liveFrequency: Int) {
        guard liveFrequency > 0 else { return }
        found[term, default: ExpandedTerm(term: term, closeness: closeness, liveFrequency: 0)]
            .liveFrequency += liveFrequency
    }

    /// At most so many: the closest, of those the most frequent, of those the first by their bytes.
    func best(_ count: Int) -> [ExpandedTerm] {
        let ordered = found.values.sorted { a, b in
            if a.closeness != b.closeness { return a.closeness > b.closeness }
            if a.liveFrequency != b.liveFrequency { return a.liveFrequency > b.liveFrequency }
            return a.term.lexicographicallyPrecedes(b.term)
        }
        return Array(ordered.prefix(count))
    }
}

extension TextIndex {
    private static let termsBetweenChecks = 4_096

    /// Live documents with a term, now or as a view sees them.
    func liveFrequency(
        _ term: Int, at past: Visibility?, _ cancellation: Cancellation
    ) throws(KyroError) -> Int {
        guard let past else { return liveFrequency(term) }
        var count = 0
        var walked = 0
        try postings.forEachEntry(term) { entry throws(KyroError) in
            walked += 1
            if walked % Self.termsBetweenChecks == 0 { try cancellation.check() }
            let slot = Int(entry & 0xFFFF_FFFF)
            guard slot < past.slotCount else { return false }
            if past.isAlive(slot) { count += 1 }
            return true
        }
        return count
    }

    /// Adds every live term that begins with `prefix`.
    func expand(
        prefix: [UInt8], at past: Visibility?, into expansion: inout TextExpansion,
        cancellation: Cancellation
    ) throws(KyroError) {
        for (position, number) in dictionary.numbers(prefix: prefix).enumerated() {
            if position % Self.termsBetweenChecks == 0 { try cancellation.check() }
            let frequency = try liveFrequency(number, at: past, cancellation)
            guard frequency > 0 else { continue }
            expansion.add(dictionary.bytes(number), closeness: 1, liveFrequency: frequency)
        }
    }

    /// Adds every live term within so many edits whose first characters are the word's.
    func expand(
        similarTo word: [UInt8], edits: Int, prefixLength: Int, at past: Visibility?,
        into expansion: inout TextExpansion, cancellation: Cancellation
    ) throws(KyroError) {
        for (number, found) in try similarTerms(
            to: word, edits: edits, prefixLength: prefixLength, cancellation: cancellation)
        {
            let frequency = try liveFrequency(number, at: past, cancellation)
            guard frequency > 0 else { continue }
            expansion.add(
                dictionary.bytes(number), closeness: 1 / Double(1 + found),
                liveFrequency: frequency)
        }
    }

    private func similarTerms(
        to word: [UInt8], edits: Int, prefixLength: Int, cancellation: Cancellation
    ) throws(KyroError) -> [(number: Int, edits: Int)] {
        let wanted = String(decoding: word, as: UTF8.self).unicodeScalars.map(\.value)
        var distance = EditDistance(from: wanted, editsMax: edits)
        let fixed = min(prefixLength, wanted.count)
        // A scalar has four bytes at most.
        let reach = 4 * edits
        var scalars: [UInt32] = []
        var similar: [(number: Int, edits: Int)] = []
        var looked = 0
        var isCancelled = false
        dictionary.forEach(byteCounts: max(1, word.count - reach)...(word.count + reach)) {
            number, bytes, byteCount in
            looked += 1
            if looked % Self.termsBetweenChecks == 0, cancellation.isCancelled {
                isCancelled = true
                return false
            }
            decode(bytes, byteCount, into: &scalars)
            guard scalars.count >= fixed else { return true }
            for i in 0..<fixed where scalars[i] != wanted[i] { return true }
            if let found = distance.distance(to: scalars) { similar.append((number, found)) }
            return true
        }
        if isCancelled { try cancellation.check() }
        return similar
    }
}

/// The scalars of a term, which is UTF-8 as analysers write it.
private func decode(_ bytes: Span<UInt8>, _ byteCount: Int, into scalars: inout [UInt32]) {
    scalars.removeAll(keepingCapacity: true)
    var position = 0
    while position < byteCount {
        let lead = bytes[position]
        if lead < 0x80 {
            scalars.append(UInt32(lead))
            position += 1
            continue
        }
        let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        var value = UInt32(lead) & (0x7F >> UInt32(length))
        for i in 1..<length where position + i < byteCount {
            value = value << 6 | UInt32(bytes[position + i] & 0x3F)
        }
        scalars.append(value)
        position += length
    }
}
