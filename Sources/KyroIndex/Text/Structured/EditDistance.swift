// How many edits lie between two words.

/// Distances from one word: the least number of insertions, deletions, substitutions and
/// transpositions of neighbours, where nothing is edited twice (optimal string alignment, the
/// restricted Damerau–Levenshtein distance; Boytsov 2011, section 2.2). Counts Unicode scalars.
struct EditDistance {
    let word: [UInt32]
    let editsMax: Int
    private let signature: UInt64
    /// The last three rows of the table, `word.count + 1` wide.
    private var rows: [[Int]]

    init(from word: [UInt32], editsMax: Int) {
        self.word = word
        self.editsMax = editsMax
        signature = Self.signature(of: word)
        rows = Array(repeating: Array(repeating: 0, count: word.count + 1), count: 3)
    }

    /// Which scalars occur, by their lowest six bits. An edit changes two of these at most.
    private static func signature(of word: [UInt32]) -> UInt64 {
        var bits: UInt64 = 0
        for scalar in word { bits |= 1 << UInt64(scalar & 63) }
        return bits
    }

    /// Nil above `editsMax`.
    mutating func distance(to other: [UInt32]) -> Int? {
        guard abs(other.count - word.count) <= editsMax,
            (signature ^ Self.signature(of: other)).nonzeroBitCount <= 2 * editsMax
        else { return nil }
        let tooFar = editsMax + 1
        for j in 0...word.count { rows[0][j] = min(j, tooFar) }
        var leastBefore = 0
        for i in 1..<(other.count + 1) {
            let (now, last, before) = (i % 3, (i + 2) % 3, (i + 1) % 3)
            var least = min(i, tooFar)
            rows[now][0] = least
            // Outside of the band every value is too far.
            let low = max(1, i - editsMax)
            let high = min(word.count, i + editsMax)
            if low > 1 { rows[now][low - 1] = tooFar }
            guard low <= high else { return nil }
            for j in low...high {
                let isSame = other[i - 1] == word[j - 1]
                var value = rows[last][j - 1] + (isSame ? 0 : 1)
                value = min(value, rows[now][j - 1] + 1, rows[last][j] + 1)
                if i > 1, j > 1, other[i - 1] == word[j - 2], other[i - 2] == word[j - 1] {
                    value = min(value, rows[before][j - 2] + 1)
                }
                value = min(value, tooFar)
                rows[now][j] = value
                least = min(least, value)
            }
            if high < word.count { rows[now][high + 1] = tooFar }
            // A transposition reaches two rows back.
            if least > editsMax, leastBefore > editsMax { return nil }
            leastBefore = least
        }
        let distance = rows[other.count % 3][word.count]
        return distance <= editsMax ? distance : nil
    }
}
