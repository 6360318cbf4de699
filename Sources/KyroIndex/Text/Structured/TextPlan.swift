// A structured text query after analysis and expansion: what every shard evaluates.

/// BM25 of one clause: weight × tf / (tf + constant + perToken × length).
struct ClauseWeights: Sendable {
    let weight: Double
    let constant: Double
    let perToken: Double

    @inline(__always)
    func score(_ tf: Double, length: Double) -> Double {
        weight * tf / (tf + constant + perToken * length)
    }
}

/// Terms with their weights. Made by `TextPlanner` for fields analysed in one way; all shards whose
/// indexes are analysed so evaluate the same plan.
public struct TextPlan: Sendable {
    struct Term: Sendable {
        var bytes: [UInt8]
        /// Inverse document frequency, times what an expansion is worth.
        var weight: Double
    }

    struct PhraseTerm: Sendable {
        var bytes: [UInt8]
        /// From the phrase's first word.
        var offset: Int
    }

    indirect enum Node: Sendable {
        /// Documents with at least `minimum` of the terms in a field: BM25 summed over the terms.
        case terms(field: Int, [Term], minimum: Int, boost: Double)
        /// Documents with the terms near each other: BM25 of the phrase as if it were a term.
        case phrase(field: Int, [PhraseTerm], slop: Int, weight: Double, boost: Double)
        case boolean(
            must: [Node], should: [Node], mustNot: [Node], minimum: Int, boost: Double)
    }

    struct Field: Sendable {
        var name: String
        var k1: Double
        var b: Double
        var averageLength: Double

        func weights(_ weight: Double) -> ClauseWeights {
            ClauseWeights(
                weight: weight, constant: k1 * (1 - b), perToken: k1 * b / averageLength)
        }
    }

    /// Nil where nothing can match.
    let root: Node?
    let fields: [Field]

    /// What the evaluation will touch at most, in postings. Any thread.
    /// - Parameter indexes: as many as fields; nil where a shard lacks one.
    public func estimatedPostings(_ indexes: [TextIndex?]) -> Int {
        root.map { Self.postings($0, indexes) } ?? 0
    }

    /// What a query looks for in a field, but for what must not be there.
    func terms(field: Int) -> Set<[UInt8]> {
        var found: Set<[UInt8]> = []
        if let root { Self.collect(root, field, into: &found) }
        return found
    }

    private static func collect(_ node: Node, _ field: Int, into found: inout Set<[UInt8]>) {
        switch node {
        case .terms(let own, let terms, _, _):
            if own == field { for term in terms { found.insert(term.bytes) } }
        case .phrase(let own, let terms, _, _, _):
            if own == field { for term in terms { found.insert(term.bytes) } }
        case .boolean(let must, let should, _, _, _):
            for child in must + should { collect(child, field, into: &found) }
        }
    }

    private static func postings(_ node: Node, _ indexes: [TextIndex?]) -> Int {
        func count(_ field: Int, _ bytes: [UInt8]) -> Int {
            guard let index = indexes[field], let term = index.dictionary.find(bytes) else {
                return 0
            }
            return index.postings.count(term)
        }
        switch node {
        case .terms(let field, let terms, _, _):
            return terms.reduce(0) { $0 + count(field, $1.bytes) }
        case .phrase(let field, let terms, _, _, _):
            return 4 * terms.reduce(0) { $0 + count(field, $1.bytes) }
        case .boolean(let must, let should, let mustNot, _, _):
            return (must + should + mustNot).reduce(0) { $0 + postings($1, indexes) }
        }
    }
}
