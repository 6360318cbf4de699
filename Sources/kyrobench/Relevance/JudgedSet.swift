// Queries with their vectors and judgements, and how relevant an answer is.
import Glibc
import KyroModel
import KyroPlatform

enum Relevance {
    static let depth = 10

    /// nDCG@10 with linear gains, as trec_eval computes it (Järvelin & Kekäläinen 2002, with the
    /// discount log2(rank + 1)).
    ///
    /// - Precondition: at least one gain is above 0.
    static func ndcg(_ ids: [DocumentID], _ judged: [DocumentID: Double]) -> Double {
        dcg(ids.map { judged[$0] ?? 0 }) / dcg(judged.values.sorted(by: >))
    }

    private static func dcg(_ gains: [Double]) -> Double {
        gains.prefix(depth).enumerated().reduce(0) { sum, entry in
            sum + max(0, entry.element) / log2(Double(entry.offset) + 2)
        }
    }
}

struct JudgedSet: Sendable {
    struct Query: Sendable {
        var text: String
        var vector: [Float]
        /// At least one above 0.
        var judged: [DocumentID: Double]
        /// The line of its file, from 0.
        var row: Int
    }

    var queries: [Query] = []

    /// - Parameters:
    ///   - prefix: of the files' names, such as `train_`.
    ///   - countMax: the first so many.
    init(folder: String, prefix: String = "", countMax: Int) throws {
        let rows = try DataSet.lines(of: folder + "/\(prefix)queries.jsonl") { line, _ in
            guard let id = line["id"]?.plainText, let text = line["text"]?.plainText else {
                throw BenchError("\(folder)/\(prefix)queries.jsonl: a line lacks id or text")
            }
            return QueryRow(id: id, text: text)
        }
        let vectors = try Matrix(path: folder + "/\(prefix)queries.npy")
        let judgements = try DataSet.judgements(folder + "/\(prefix)qrels.tsv")
        guard rows.count == vectors.rowCount, !judgements.isEmpty else {
            throw BenchError("\(folder): \(prefix)queries and their vectors or judgements differ")
        }
        for (row, query) in rows.enumerated() where queries.count < countMax {
            guard let judged = judgements[query.id], judged.values.contains(where: { $0 > 0 })
            else { continue }
            queries.append(
                Query(text: query.text, vector: vectors.row(row), judged: judged, row: row))
        }
    }

    /// Documents that are looked for by some of their words, and by their vectors with noise.
    init(knownItems data: DataSet, count: Int, _ random: SeededRandomSource) {
        for row in random.shuffled(data.corpus.count).prefix(count) {
            let document = data.corpus[row]
            let words = (document.title + " " + document.text).split(separator: " ")
            let noisy = data.vectors.row(row).map { $0 + 0.1 * random.signedUnit() }
            queries.append(
                Query(
                    text: words.prefix(6).joined(separator: " "), vector: noisy,
                    judged: [document.id: 1], row: row))
        }
    }

    /// Each query with the judgements of another.
    func withExchangedJudgements(_ random: SeededRandomSource) -> JudgedSet {
        var exchanged = self
        let order = random.shuffled(queries.count)
        for (place, other) in order.enumerated() {
            exchanged.queries[place].judged = queries[other].judged
        }
        return exchanged
    }
}

extension SeededRandomSource {
    /// The numbers below `count` in a random order.
    func shuffled(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, below(last + 1)) }
        return order
    }
}
