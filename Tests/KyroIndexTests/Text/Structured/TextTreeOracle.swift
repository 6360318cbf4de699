// Structured text queries by brute force: documents are lists of words, a query is asked of each.
import Foundation
import KyroModel

/// Lower-case words between spaces; "the" is no term but has a position.
struct OracleText {
    var tokens: [(term: String, position: Int)]

    init(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        tokens = words.indices.filter { words[$0] != "the" }.map { (words[$0], $0) }
    }

    func count(_ term: String) -> Int { tokens.count { $0.term == term } }
}

/// One state of a collection.
struct TextTreeOracle {
    /// By document and field, of those alive; empty texts are texts.
    var documents: [Int: [OracleText]]
    let fieldNames: [String]
    let parameters: BM25Parameters

    private func weight(_ terms: [String], field: Int) -> Double {
        let n = Double(documents.count)
        return terms.reduce(0) { sum, term in
            let df = Double(documents.values.count { $0[field].count(term) > 0 })
            return sum + log(1 + (n - df + 0.5) / (df + 0.5))
        }
    }

    private func bm25(_ frequency: Double, _ weight: Double, _ text: OracleText, field: Int)
        -> Double
    {
        let total = documents.values.reduce(0) { $0 + $1[field].tokens.count }
        let average = total == 0 ? 1 : Double(total) / Double(documents.count)
        let length = Double(text.tokens.count)
        let norm = parameters.k1 * (1 - parameters.b + parameters.b * length / average)
        return weight * frequency / (frequency + norm)
    }

    /// Scores of the documents that match.
    func scores(_ node: TextNode) -> [Int: Double] {
        scores(node, Array(fieldNames.indices)) ?? [:]
    }

    /// Nil for a node that is left out.
    private func scores(_ node: TextNode, _ inherited: [Int]) -> [Int: Double]? {
        let fields =
            node.fields.isEmpty
            ? inherited : fieldNames.indices.filter { node.fields.contains(fieldNames[$0]) }
        if case .boolean(let must, let should, let mustNot, let minimum) = node.kind {
            let all = must.compactMap { scores($0, fields) }
            let some = should.compactMap { scores($0, fields) }
            let none = mustNot.compactMap { scores($0, fields) }
            if all.isEmpty, some.isEmpty { return nil }
            let least = minimum == 0 ? (all.isEmpty ? 1 : 0) : min(Int(minimum), some.count)
            var found: [Int: Double] = [:]
            for id in documents.keys {
                guard all.allSatisfy({ $0[id] != nil }), !none.contains(where: { $0[id] != nil }),
                    some.count(where: { $0[id] != nil }) >= least
                else { continue }
                found[id] = node.boost * (all + some).reduce(0) { $0 + ($1[id] ?? 0) }
            }
            return found
        }
        let perField = fields.compactMap { leaf(node, $0) }
        if perField.isEmpty { return nil }
        var found: [Int: Double] = [:]
        for scores in perField {
            for (id, score) in scores { found[id, default: 0] += score * node.boost }
        }
        return found
    }

    private func leaf(_ node: TextNode, _ field: Int) -> [Int: Double]? {
        switch node.kind {
        case .terms(let terms):
            return sum(Set(terms).map { ($0, 1) }, field, minimum: 1)
        case .match(let text, let operation, let minimum):
            let terms = Set(OracleText(text).tokens.map(\.term))
            if terms.isEmpty { return nil }
            let least = operation == .all ? terms.count : min(max(Int(minimum), 1), terms.count)
            return sum(terms.map { ($0, 1) }, field, minimum: least)
        case .phrase(let text, let slop):
            let phrase = OracleText(text).tokens
            if phrase.isEmpty { return nil }
            let weight = weight(phrase.map(\.term), field: field)
            return documents.compactMapValues { texts in
                let frequency = Self.frequency(phrase, in: texts[field], slop: Int(slop))
                return frequency > 0 ? bm25(frequency, weight, texts[field], field: field) : nil
            }
        case .prefix(let text, let expansions):
            let terms = allTerms(field).filter { $0.hasPrefix(text) }.map { ($0, 0) }
            return expanded(terms, expansions, field)
        case .fuzzy(let text, let edits, let prefixLength, let expansions):
            if OracleText(text).tokens.isEmpty { return nil }
            let terms = allTerms(field).compactMap { term -> (String, Int)? in
                guard term.hasPrefix(text.prefix(Int(prefixLength))) else { return nil }
                let distance = Self.distance(Array(text), Array(term))
                return distance <= Int(edits) ? (term, distance) : nil
            }
            return expanded(terms, expansions, field)
        case .boolean: return nil
        }
    }

    private func allTerms(_ field: Int) -> Set<String> {
        Set(documents.values.flatMap { $0[field].tokens.map(\.term) })
    }

    private func expanded(
        _ terms: [(term: String, edits: Int)], _ expansions: UInt32, _ field: Int
    ) -> [Int: Double] {
        let ordered = terms.map { term, edits in
            (term: term, edits: edits, df: documents.values.count { $0[field].count(term) > 0 })
        }.sorted { a, b in
            (a.edits, -a.df, a.term) < (b.edits, -b.df, b.term)
        }
        let kept = ordered.prefix(expansions == 0 ? 64 : Int(expansions))
        return sum(kept.map { ($0.term, 1 / Double(1 + $0.edits)) }, field, minimum: 1)
    }

    private func sum(
        _ terms: [(term: String, share: Double)], _ field: Int, minimum: Int
    ) -> [Int: Double] {
        let weights = terms.map { $0.share * weight([$0.term], field: field) }
        return documents.compactMapValues { texts in
            let text = texts[field]
            let found = terms.indices.filter { text.count(terms[$0].term) > 0 }
            guard found.count >= minimum, !found.isEmpty else { return nil }
            return found.reduce(0) {
                $0 + bm25(Double(text.count(terms[$1].term)), weights[$1], text, field: field)
            }
        }
    }

    /// Minimal spans over every way to give the phrase's words tokens of their own.
    static func frequency(
        _ phrase: [(term: String, position: Int)], in text: OracleText, slop: Int
    ) -> Double {
        var spans: Set<[Int]> = []
        var chosen: [Int] = []
        func choose(_ term: Int) {
            if term == phrase.count {
                let shifts = chosen.indices.map {
                    text.tokens[chosen[$0]].position - phrase[$0].position + phrase[0].position
                }
                spans.insert([shifts.min() ?? 0, shifts.max() ?? 0])
                return
            }
            for token in text.tokens.indices
            where text.tokens[token].term == phrase[term].term && !chosen.contains(token) {
                chosen.append(token)
                choose(term + 1)
                chosen.removeLast()
            }
        }
        choose(0)
        let minimal = spans.filter { span in
            !spans.contains { $0 != span && $0[0] >= span[0] && $0[1] <= span[1] }
        }
        return minimal.reduce(0) {
            let width = $1[1] - $1[0]
            return $0 + (width <= slop ? 1 / Double(1 + width) : 0)
        }
    }

    /// Optimal string alignment by the whole table.
    static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var table = [[Int]](
            repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
        for i in 0...a.count { table[i][0] = i }
        for j in 0...b.count { table[0][j] = j }
        for i in 1..<(a.count + 1) {
            for j in 1..<(b.count + 1) {
                table[i][j] = min(
                    table[i - 1][j] + 1, table[i][j - 1] + 1,
                    table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
                }
            }
        }
        return table[a.count][b.count]
    }
}
