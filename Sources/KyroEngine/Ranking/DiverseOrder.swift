// Maximal marginal relevance (Carbonell & Goldstein 1998): an order that weighs how good a hit is
// against how much it resembles those before it.
import KyroIndex
import KyroModel

package struct DiverseOrder {
    /// One hit to choose from, in the order of the pool.
    package struct Choice {
        /// Nil for what has no score to speak of: it counts as the worst.
        package var score: Double?
        /// Nil where the document has no such vector: it resembles nothing.
        package var vector: [Float]?

        package init(score: Double?, vector: [Float]?) {
            self.score = score
            self.vector = vector
        }
    }

    package struct Taken: Equatable {
        /// In the pool.
        package var position: Int
        package var relevance: Double
        /// The greatest cosine with what was taken before; 0 for the first.
        package var similarity: Double
    }

    /// The first `count` of the order: each has the greatest λ × relevance − (1 − λ) × similarity of
    /// what is left, equal ones in the order of the pool. Takes pool × count cosines.
    package static func take(
        _ count: Int, of pool: [Choice], lambda: Double, cancellation: Cancellation
    ) throws(KyroError) -> [Taken] {
        let relevance = relevance(of: pool)
        let inverseNorms = pool.map { choice -> Double in
            guard let vector = choice.vector else { return 0 }
            let square = VectorSimilarity.dot(vector, vector)
            return square > 0 && square.isFinite ? 1 / square.squareRoot() : 0
        }
        // Below every cosine; what resembles nothing yet counts as 0.
        var similarity = Array(repeating: -Double.infinity, count: pool.count)
        var left = Array(pool.indices)
        var taken: [Taken] = []
        while taken.count < count, !left.isEmpty {
            try cancellation.check()
            var best = 0
            var bestValue = -Double.infinity
            for (place, position) in left.enumerated() {
                let seen = taken.isEmpty ? 0 : similarity[position]
                let value = lambda * relevance[position] - (1 - lambda) * seen
                if value > bestValue {
                    best = place
                    bestValue = value
                }
            }
            let chosen = left.remove(at: best)
            taken.append(
                Taken(
                    position: chosen, relevance: relevance[chosen],
                    similarity: taken.isEmpty ? 0 : similarity[chosen]))
            for position in left {
                let cosine =
                    cosine(pool[chosen], pool[position])
                    * inverseNorms[chosen] * inverseNorms[position]
                similarity[position] = max(similarity[position], cosine)
            }
        }
        return taken
    }

    private static func cosine(_ a: Choice, _ b: Choice) -> Double {
        guard let a = a.vector, let b = b.vector, a.count == b.count else { return 0 }
        return VectorSimilarity.dot(a, b)
    }

    /// From 0 to 1 over the pool; 1 where all are equal.
    private static func relevance(of pool: [Choice]) -> [Double] {
        let scores = pool.compactMap(\.score)
        // Halved, since the difference of two scores need not be a number.
        let low = (scores.min() ?? 0) / 2
        let width = (scores.max() ?? 0) / 2 - low
        return pool.map { choice in
            guard let score = choice.score else { return 0 }
            return width > 0 ? (score / 2 - low) / width : 1
        }
    }
}
