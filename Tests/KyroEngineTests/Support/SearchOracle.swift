// Hybrid search by brute force over a map of documents.
import Foundation
import KyroIndex
import KyroModel

/// Scores every document against every question, from the formulas alone.
struct SearchOracle {
    struct Row {
        var id: DocumentID
        var score: Double
        var vector: LegScore?
        var sparse: LegScore?
        var text: LegScore?
    }

    struct Answer {
        /// All that some leg has among its candidates, best first.
        var rows: [Row]
        /// Two different scores lie so close together that rounding may swap them.
        var isDelicate = false
    }

    private struct Entry {
        var document: Document
        /// By text field: frequency of each term, and all tokens.
        var terms: [String: [Int: Int]]
        var lengths: [String: Int]
    }

    private let entries: [Entry]
    private let nowMillis: Int64
    private var numbers: [String: Int]
    private let analyzers: [String: TextIndex]

    init(_ documents: [DocumentID: Document], schema: Schema, nowMillis: Int64) {
        var analyzers: [String: TextIndex] = [:]
        for entry in schema.texts { analyzers[entry.name] = TextIndex(field: entry.value) }
        var cache: [String: [Int]] = [:]
        var numbers: [String: Int] = [:]
        entries = documents.values.sorted { $0.id < $1.id }.map { document in
            var entry = Entry(document: document, terms: [:], lengths: [:])
            for text in document.texts {
                var counts: [Int: Int] = [:]
                var length = 0
                // Word by word, since the analyser tells distinct terms only.
                for word in text.value.split(separator: " ") {
                    let key = text.name + " " + word
                    let terms =
                        cache[key]
                        ?? (analyzers[text.name]?.analyze(String(word)) ?? []).map { term in
                            if let number = numbers[term] { return number }
                            numbers[term] = numbers.count
                            return numbers.count - 1
                        }
                    cache[key] = terms
                    for term in terms { counts[term, default: 0] += 1 }
                    length += terms.count
                }
                entry.terms[text.name] = counts
                entry.lengths[text.name] = length
            }
            return entry
        }
        self.nowMillis = nowMillis
        self.numbers = numbers
        self.analyzers = analyzers
    }

    func answer(_ request: SearchRequest, schema: Schema) -> Answer {
        let wanted = entries.indices.filter { matches(entries[$0].document, request) }
        let common = max(
            request.candidates == 0 ? 100 : Int(request.candidates),
            Int(request.offset + request.limit))
        let own = request.fusion?.candidates ?? LegCandidates()
        var legs: [(WritableKeyPath<Row, LegScore?>, Double, [(Int, Float)])] = []
        var isDelicate = false
        let weights = request.fusion?.weights ?? LegWeights()
        func addLeg(
            _ path: WritableKeyPath<Row, LegScore?>, _ weight: Double, _ asked: UInt32,
            _ scores: [(Int, Double)]
        ) {
            let count = asked == 0 ? common : Int(asked)
            let rounded = scores.map { ($0.0, Float($0.1)) }.sorted {
                $0.1 != $1.1 ? $0.1 > $1.1 : $0.0 < $1.0
            }
            let seen = rounded.prefix(count + 1).map { Double($0.1) }
            isDelicate = isDelicate || Self.hasNearTie(seen)
            let candidates = Array(rounded.prefix(count))
            if let top = candidates.first?.1, let bottom = candidates.last?.1, top > bottom {
                isDelicate = isDelicate || top - bottom < 1e-4 * max(1, abs(top))
            }
            legs.append((path, weight, candidates))
        }
        if let query = request.vector {
            addLeg(\.vector, weights.vector, own.vector, vectorScores(query, wanted, schema))
        }
        if let query = request.sparse {
            addLeg(\.sparse, weights.sparse, own.sparse, sparseScores(query, wanted))
        }
        if let query = request.text {
            addLeg(\.text, weights.text, own.text, textScores(query, wanted, schema))
        }
        var rows: [Int: Row] = [:]
        for (path, weight, candidates) in legs {
            let shares = Self.shares(candidates.map { Double($0.1) }, request.fusion)
            for (index, (entry, score)) in candidates.enumerated() {
                var row = rows[entry] ?? Row(id: entries[entry].document.id, score: 0)
                row[keyPath: path] = LegScore(score: score, rank: UInt32(index + 1))
                if legs.count == 1, request.fusion == nil, request.timeDecay == nil {
                    row.score = Double(score)
                } else if request.fusion?.method == .max {
                    row.score = max(row.score, weight * shares[index])
                } else {
                    row.score += weight * shares[index]
                }
                rows[entry] = row
            }
        }
        var ranked = rows.map { entry, row in
            var row = row
            if let decay = request.timeDecay, let time = entries[entry].document.eventTimeMillis {
                let age = max(0, (decay.originMillis ?? nowMillis) - time - decay.offsetMillis)
                row.score *= Self.factor(Double(age) / Double(decay.halfLifeMillis), decay)
            }
            return row
        }
        ranked.sort { $0.score != $1.score ? $0.score > $1.score : $0.id < $1.id }
        let page = ranked.prefix(Int(request.offset + request.limit) + 1).map(\.score)
        return Answer(rows: ranked, isDelicate: isDelicate || Self.hasNearTie(page))
    }

    /// What each of a leg's candidates, best first, counts before its weight.
    private static func shares(_ scores: [Double], _ fusion: Fusion?) -> [Double] {
        if fusion?.method == .rrf {
            let k = Double(fusion?.rrfK ?? 0)
            return scores.indices.map { 1 / ((k == 0 ? 60 : k) + Double($0) + 1) }
        }
        guard let best = scores.max(), let worst = scores.min(), best > worst else {
            return scores.map { _ in fusion?.normalisation == .distribution ? 0.5 : 1 }
        }
        let count = Double(scores.count)
        let mean = scores.reduce(0, +) / count
        let deviation = sqrt(scores.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / count)
        switch fusion?.normalisation ?? .minMax {
        case .minMax: return scores.map { ($0 - worst) / (best - worst) }
        case .zScore:
            // Of what is missing, too: as much as of the worst, from which is counted.
            let least = (worst - mean) / deviation
            return scores.map { ($0 - mean) / deviation - least }
        case .distribution:
            return scores.map { min(1, max(0, 0.5 + ($0 - mean) / (6 * deviation))) }
        }
    }

    private static func factor(_ halfLives: Double, _ decay: TimeDecay) -> Double {
        switch decay.shape {
        case .exponential: max(decay.floor, pow(0.5, halfLives))
        case .linear: max(decay.floor, halfLives < 2 ? (2 - halfLives) / 2 : 0)
        case .gauss: max(decay.floor, exp(-log(2) * halfLives * halfLives))
        }
    }

    private static func hasNearTie(_ scores: [Double]) -> Bool {
        zip(scores, scores.dropFirst()).contains { $0 != $1 && abs($0 - $1) < 1e-6 }
    }

    func matches(_ document: Document, _ request: SearchRequest) -> Bool {
        if let expiry = document.expiresAtMillis, expiry <= nowMillis { return false }
        if let filter = request.filter, !satisfies(document.metadata, filter) { return false }
        guard let range = request.timeRange, range.fromMillis != nil || range.toMillis != nil
        else { return true }
        guard let time = document.eventTimeMillis else { return false }
        return time >= range.fromMillis ?? .min && time < range.toMillis ?? .max
    }

    // MARK: Legs

    private func vectorScores(
        _ query: VectorQuery, _ wanted: [Int], _ schema: Schema
    ) -> [(Int, Double)] {
        let metric = schema.vectors[query.field]?.metric ?? .cosine
        let q = query.vector.map(Double.init)
        return wanted.compactMap { index in
            guard let vector = entries[index].document.vectors[query.field] else { return nil }
            let pairs = zip(q, vector.map(Double.init))
            let dot = pairs.reduce(0) { $0 + $1.0 * $1.1 }
            switch metric {
            case .innerProduct: return (index, dot)
            case .l2:
                return (index, -pairs.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) })
            case .cosine:
                let a = q.reduce(0) { $0 + $1 * $1 }
                let b = vector.reduce(0.0) { $0 + Double($1) * Double($1) }
                return (index, dot / (a.squareRoot() * b.squareRoot()))
            }
        }
    }

    private func sparseScores(_ query: SparseQuery, _ wanted: [Int]) -> [(Int, Double)] {
        wanted.compactMap { index in
            guard let vector = entries[index].document.sparseVectors[query.field] else {
                return nil
            }
            var score: Double?
            for (position, value) in zip(query.vector.indices, query.vector.values) {
                guard let at = vector.indices.firstIndex(of: position) else { continue }
                score = (score ?? 0) + Double(value) * Double(vector.values[at])
            }
            return score.map { (index, $0) }
        }
    }

    /// BM25 over every document that lives, expired or not: summed over the fields, or of the fields
    /// together.
    private func textScores(
        _ query: TextQuery, _ wanted: [Int], _ schema: Schema
    ) -> [(Int, Double)] {
        let named = query.fields.isEmpty ? schema.texts.names : Array(Set(query.fields)).sorted()
        let fields = named.compactMap { textField($0, query, schema) }.filter { $0.boost > 0 }
        var scores: [Int: Double] = [:]
        if query.scoring == .sum {
            for field in fields {
                for (term, df) in field.frequencies {
                    for index in wanted {
                        guard let tf = frequency(of: term, field, index) else { continue }
                        let norm = field.k1 * norm(of: field, index)
                        scores[index, default: 0] +=
                            field.boost * idf(df, of: field) * tf / (tf + norm)
                    }
                }
            }
            return scores.map { ($0.key, $0.value) }
        }
        let boosts = fields.reduce(0) { $0 + $1.boost }
        let k1 = fields.reduce(0) { $0 + $1.boost * $1.k1 } / boosts
        let terms = Set(fields.flatMap { $0.frequencies.map(\.term) }).sorted()
        for term in terms {
            // Another analyser may make another term of the same word.
            let asked = fields.filter { $0.frequencies.contains { $0.term == term } }
            var best: (df: Int, idf: Double) = (-1, 0)
            for field in asked {
                guard let df = field.frequencies.first(where: { $0.term == term })?.df,
                    df > best.df
                else { continue }
                best = (df, idf(df, of: field))
            }
            for index in wanted {
                let parts = asked.compactMap { field in
                    frequency(of: term, field, index).map {
                        field.boost * $0 / norm(of: field, index)
                    }
                }
                guard !parts.isEmpty else { continue }
                let combined = parts.reduce(0, +)
                scores[index, default: 0] += best.idf * combined / (k1 + combined)
            }
        }
        return scores.map { ($0.key, $0.value) }
    }

    private struct SearchedField {
        var name: String
        var boost: Double
        var k1: Double
        var b: Double
        var documents: Int
        var average: Double
        /// Of the query's terms in it, sorted.
        var frequencies: [(term: String, df: Int)]
    }

    private func textField(
        _ name: String, _ query: TextQuery, _ schema: Schema
    ) -> SearchedField? {
        guard let parameters = schema.texts[name]?.bm25 else { return nil }
        let withField = entries.filter { $0.lengths[name] != nil }
        let tokens = withField.reduce(0) { $0 + ($1.lengths[name] ?? 0) }
        let frequencies = (analyzers[name]?.analyze(query.query) ?? []).map { term in
            let number = numbers[term]
            return (
                term: term,
                df: withField.count { entry in
                    number.map { entry.terms[name]?[$0] != nil } ?? false
                }
            )
        }
        return SearchedField(
            name: name, boost: query.boosts[name] ?? 1, k1: parameters.k1, b: parameters.b,
            documents: withField.count,
            average: tokens > 0 ? Double(tokens) / Double(withField.count) : 1,
            frequencies: frequencies)
    }

    private func idf(_ df: Int, of field: SearchedField) -> Double {
        log(1 + (Double(field.documents - df) + 0.5) / (Double(df) + 0.5))
    }

    private func frequency(of term: String, _ field: SearchedField, _ index: Int) -> Double? {
        guard let number = numbers[term] else { return nil }
        return entries[index].terms[field.name]?[number].map { Double($0) }
    }

    private func norm(of field: SearchedField, _ index: Int) -> Double {
        1 - field.b + field.b * Double(entries[index].lengths[field.name] ?? 0) / field.average
    }
}
