// How often a phrase occurs in one document.
import KyroModel

/// Counts a phrase by minimal intervals (Clarke, Cormack & Burkowski 1995; Boldi & Vigna 2006): a
/// match gives each term of the phrase a token of its own; a token's shift is its position less the
/// term's place in the phrase, and a match spans from its least shift to its greatest. Matches whose
/// span contains another match's do not count. One of width w counts 1 / (1 + w), if w is at most
/// the slop; of no slop only exact occurrences count, one each.
struct PhraseMatcher {
    let slop: Int
    /// Of each term, from the first.
    private let offsets: [Int]
    /// The term before with the same word, whose token lies before this one's.
    private let earlier: [Int?]
    /// Shifts of each term's tokens, ascending; filled by the caller.
    var shifts: [[Int]]
    private var next: [Int]

    /// - Parameter terms: word and offset of each; offsets never fall.
    init(_ terms: [TextPlan.PhraseTerm], slop: Int) {
        self.slop = slop
        offsets = terms.map(\.offset)
        earlier = terms.indices.map { i in
            terms[..<i].lastIndex { $0.bytes == terms[i].bytes }
        }
        shifts = terms.map { _ in [] }
        next = terms.map { _ in 0 }
    }

    func offset(_ term: Int) -> Int { offsets[term] }

    /// - Precondition: `shifts` are those of one document.
    /// - Returns: anything when cancelled.
    mutating func frequency(_ cancellation: Cancellation) -> Double {
        slop == 0 ? Double(exactCount()) : intervals(cancellation)
    }

    /// Shifts that all terms share.
    private mutating func exactCount() -> Int {
        for term in next.indices { next[term] = 0 }
        var count = 0
        candidates: for shift in shifts[0] {
            for term in shifts.indices.dropFirst() {
                while next[term] < shifts[term].count, shifts[term][next[term]] < shift {
                    next[term] += 1
                }
                guard next[term] < shifts[term].count else { return count }
                if shifts[term][next[term]] != shift { continue candidates }
            }
            count += 1
        }
        return count
    }

    private mutating func intervals(_ cancellation: Cancellation) -> Double {
        for term in next.indices { next[term] = 0 }
        var sum = 0.0
        // The last interval found, which counts unless the next one ends where it does.
        var pending: (start: Int, end: Int)?
        var start = shifts.reduce(Int.max) { min($0, $1.first ?? .max) }
        var steps = 0
        while start != Int.max, let end = earliestEnd(from: start) {
            steps += 1
            if steps % 1_024 == 0, cancellation.isCancelled { return sum }
            if let known = pending, known.end < end { sum += worth(known) }
            pending = (start, end)
            // The next shift of any term.
            var following = Int.max
            for term in shifts.indices {
                var position = next[term]
                while position < shifts[term].count, shifts[term][position] <= start {
                    position += 1
                }
                if position < shifts[term].count {
                    following = min(following, shifts[term][position])
                }
            }
            start = following
        }
        if let known = pending { sum += worth(known) }
        return sum
    }

    private func worth(_ interval: (start: Int, end: Int)) -> Double {
        let width = interval.end - interval.start
        return width <= slop ? 1 / Double(1 + width) : 0
    }

    /// Where the first match ends whose shifts are all `start` or more; nil when there is none. Of
    /// one word's terms the tokens are in the order of the terms: exchanging two that are not never
    /// makes a match wider.
    private mutating func earliestEnd(from start: Int) -> Int? {
        var end = Int.min
        for term in shifts.indices {
            var least = start
            if let before = earlier[term] {
                // Behind its token: compared by shift, as the places in the phrase differ.
                let token = shifts[before][next[before]] + offsets[before]
                least = max(least, token + 1 - offsets[term])
            }
            while next[term] < shifts[term].count, shifts[term][next[term]] < least {
                next[term] += 1
            }
            guard next[term] < shifts[term].count else { return nil }
            end = max(end, shifts[term][next[term]])
        }
        return end
    }
}
