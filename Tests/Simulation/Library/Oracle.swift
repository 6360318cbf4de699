// The answers that a search must give, by brute force over the model.
import Glibc
import KyroModel

enum Oracle {
    /// Squared distance, negative: higher is better.
    static func vectorScores(_ documents: [ModelDocument?], _ query: [Float]) -> [Double?] {
        documents.map { document in
            guard let vector = document?.document.vectors["v"] else { return nil }
            var sum = 0.0
            for (a, b) in zip(query, vector) {
                let difference = Double(a) - Double(b)
                sum += difference * difference
            }
            return -sum
        }
    }

    /// BM25 over the one text field.
    static func textScores(_ documents: [ModelDocument?], _ query: [UInt8]) -> [Double?] {
        let parameters = BM25Parameters()
        let words = documents.map { document -> [UInt8]? in
            (document?.document.texts["t"]).map(initials)
        }
        let n = Double(words.count { $0 != nil })
        let tokens = words.reduce(0) { $0 + ($1?.count ?? 0) }
        let average = tokens > 0 ? Double(tokens) / n : 1
        var scores: [Double?] = Array(repeating: nil, count: documents.count)
        for word in query {
            let frequencies = words.map { $0?.count { $0 == word } ?? 0 }
            let df = Double(frequencies.count { $0 > 0 })
            let idf = log(1 + (n - df + 0.5) / (df + 0.5))
            for (index, frequency) in frequencies.enumerated() where frequency > 0 {
                let length = Double(words[index]?.count ?? 0)
                let b = parameters.b
                let norm = parameters.k1 * (1 - b + b * length / average)
                scores[index] =
                    (scores[index] ?? 0) + idf * Double(frequency)
                    / (Double(frequency) + norm)
            }
        }
        return scores
    }

    /// First letters of the words, which tell them apart.
    static func initials(_ text: String) -> [UInt8] {
        var result: [UInt8] = []
        var isBetween = true
        for byte in text.utf8 {
            if isBetween { result.append(byte) }
            isBetween = byte == 0x20
        }
        return result
    }

    /// Whether the hits are the best of those that have a score. Scores that lie closer together
    /// than rounding may stand in any order.
    static func check(
        _ hits: [Hit], against scores: [Double?], limit: Int, _ ids: [DocumentID]
    ) throws(Violation) {
        let count = min(limit, scores.count { $0 != nil })
        guard hits.count == count else {
            throw Violation("\(hits.count) hits, not \(count)")
        }
        var taken: Set<Int> = []
        var last = Double.infinity
        for hit in hits {
            guard let index = ids.firstIndex(of: hit.id), let score = scores[index] else {
                throw Violation("hit \(hit.id) should not be there")
            }
            let tolerance = 1e-4 * max(1, abs(score))
            guard abs(hit.score - score) <= tolerance else {
                throw Violation("hit \(hit.id) has score \(hit.score), not \(score)")
            }
            guard score <= last + tolerance, taken.insert(index).inserted else {
                throw Violation("hit \(hit.id) stands in a wrong place")
            }
            last = score
        }
        for (index, score) in scores.enumerated() where !taken.contains(index) {
            guard let score else { continue }
            guard score <= last + 1e-4 * max(1, abs(score)) else {
                throw Violation("\(ids[index]) is missing")
            }
        }
    }

    /// A filter that the workload may draw, and what it says of a document.
    static func matches(_ document: Document, _ filter: Filter) -> Bool {
        switch filter {
        case .equals(let field, let value): return document.metadata[field] == value
        case .exists(let field): return document.metadata[field] != nil
        case .not(let inner): return !matches(document, inner)
        case .all(let inner): return inner.allSatisfy { matches(document, $0) }
        case .any(let inner): return inner.contains { matches(document, $0) }
        case .range(let field, let lower, let upper):
            guard case .int64(let value)? = document.metadata[field] else { return false }
            if case .int64(let bound)? = lower?.value, value < bound { return false }
            if case .int64(let bound)? = upper?.value, value > bound { return false }
            return true
        case .isIn(let field, let values):
            return document.metadata[field].map(values.contains) ?? false
        case .prefix, .withinDistance, .withinBox, .containsAny, .containsAll, .sqlNot:
            preconditionFailure("the workload draws no \(filter)")
        }
    }
}
