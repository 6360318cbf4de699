// What the nodes of a query found in one window of slots.

/// For every depth of the tree which slots of the window match and what they score. Nodes are
/// evaluated window by window, so that each loop runs over one list and not over the tree.
struct TextWindows {
    static let size = 2_048
    static let words = size / 64

    /// By depth, `words` each.
    var matches: [UInt64]
    /// By depth, `size` each; meaningful where the bit is set.
    var scores: [Double]
    /// By depth, `size` each: how many clauses matched, where one counts them.
    var counts: [UInt16]

    init(depth: Int) {
        matches = Array(repeating: 0, count: depth * Self.words)
        scores = Array(repeating: 0, count: depth * Self.size)
        counts = Array(repeating: 0, count: depth * Self.size)
    }

    mutating func clear(_ depth: Int) {
        let first = depth * Self.words
        for word in first..<(first + Self.words) { matches[word] = 0 }
    }

    func isEmpty(_ depth: Int) -> Bool {
        let first = depth * Self.words
        for word in first..<(first + Self.words) where matches[word] != 0 { return false }
        return true
    }

    /// Adds to a slot's score, and one to its count.
    @inline(__always)
    mutating func add(_ score: Double, at slot: Int, _ depth: Int) {
        let word = depth * Self.words + slot >> 6
        let bit: UInt64 = 1 << UInt64(slot & 63)
        let place = depth * Self.size + slot
        if matches[word] & bit == 0 {
            matches[word] |= bit
            scores[place] = score
            counts[place] = 1
        } else {
            scores[place] += score
            counts[place] += 1
        }
    }

    /// Calls `body` with the matching slots of a depth, ascending.
    @inline(__always)
    func forEachMatch(_ depth: Int, _ body: (Int) -> Void) {
        let first = depth * Self.words
        for word in 0..<Self.words {
            var bits = matches[first + word]
            while bits != 0 {
                body(word << 6 + bits.trailingZeroBitCount)
                bits &= bits - 1
            }
        }
    }

    /// Takes out the slots that fewer clauses matched.
    mutating func keep(countAtLeast least: Int, _ depth: Int) {
        guard least > 1 else { return }
        let first = depth * Self.words
        for word in 0..<Self.words {
            var bits = matches[first + word]
            while bits != 0 {
                let slot = word << 6 + bits.trailingZeroBitCount
                if Int(counts[depth * Self.size + slot]) < least {
                    matches[first + word] &= ~(1 << UInt64(slot & 63))
                }
                bits &= bits - 1
            }
        }
    }

    mutating func boost(_ factor: Double, _ depth: Int) {
        guard factor != 1 else { return }
        let first = depth * Self.words
        for word in 0..<Self.words {
            var bits = matches[first + word]
            while bits != 0 {
                scores[depth * Self.size + word << 6 + bits.trailingZeroBitCount] *= factor
                bits &= bits - 1
            }
        }
    }

    /// Counts every match once.
    mutating func countOnce(_ depth: Int) {
        for place in (depth * Self.size)..<((depth + 1) * Self.size) { counts[place] = 1 }
    }

    /// Adds what the depth below found.
    mutating func addBelow(_ depth: Int) {
        let below = (depth + 1) * Self.words
        for word in 0..<Self.words {
            var bits = matches[below + word]
            while bits != 0 {
                let slot = word << 6 + bits.trailingZeroBitCount
                add(scores[(depth + 1) * Self.size + slot], at: slot, depth)
                bits &= bits - 1
            }
        }
    }

    /// Keeps what the depth below found, too, and adds its scores.
    /// - Parameter isNew: whether nothing was asked for before.
    mutating func intersectBelow(_ depth: Int, isNew: Bool) {
        let (own, below) = (depth * Self.words, (depth + 1) * Self.words)
        for word in 0..<Self.words {
            var bits = matches[below + word]
            if !isNew { bits &= matches[own + word] }
            matches[own + word] = bits
            while bits != 0 {
                let slot = word << 6 + bits.trailingZeroBitCount
                let score = scores[(depth + 1) * Self.size + slot]
                scores[depth * Self.size + slot] =
                    isNew ? score : scores[depth * Self.size + slot] + score
                bits &= bits - 1
            }
        }
    }

    mutating func subtractBelow(_ depth: Int) {
        let (own, below) = (depth * Self.words, (depth + 1) * Self.words)
        for word in 0..<Self.words { matches[own + word] &= ~matches[below + word] }
    }
}
