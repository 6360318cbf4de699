// What BM25 must know of a whole collection before it can score one document.

extension TextIndex {
    /// Of one field and some terms, over live documents. Shards' statistics add up.
    public struct Statistics: Equatable, Sendable {
        /// Live documents that have the field.
        public var documentCount: Int
        /// Tokens of the field in all of them.
        public var totalLength: Int
        /// Live documents with the term; as many as terms.
        public var documentFrequency: [Int]

        public init(documentCount: Int = 0, totalLength: Int = 0, documentFrequency: [Int] = []) {
            self.documentCount = documentCount
            self.totalLength = totalLength
            self.documentFrequency = documentFrequency
        }

        /// - Precondition: both are about the same terms.
        public static func + (a: Statistics, b: Statistics) -> Statistics {
            precondition(
                a.documentFrequency.count == b.documentFrequency.count,
                "statistics of \(a.documentFrequency.count) and \(b.documentFrequency.count) terms")
            return Statistics(
                documentCount: a.documentCount + b.documentCount,
                totalLength: a.totalLength + b.totalLength,
                documentFrequency: zip(a.documentFrequency, b.documentFrequency).map { $0 + $1 })
        }

        var averageLength: Double {
            totalLength > 0 && documentCount > 0
                ? Double(totalLength) / Double(documentCount) : 1
        }

        /// ln(1 + (N − df + 0.5) / (df + 0.5)), as in Lucene's BM25Similarity: positive always.
        /// Shards are asked while they write, so that df may be ahead of N for a moment.
        func inverseDocumentFrequency(_ term: Int) -> Double {
            let df = Double(documentFrequency[term])
            let n = max(Double(documentCount), df)
            return naturalLogarithm(1 + (n - df + 0.5) / (df + 0.5))
        }
    }
}
