// Relevance on real abstracts with judged queries.
import Foundation
import KyroIndex
import KyroModel
import Testing

@Suite struct SciFactTests {
    private func lines(_ url: URL) throws -> [[String: Any]] {
        try Data(contentsOf: url).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }
    }

    @Test func bm25ReachesTheBaseline() throws {
        guard let data = ProcessInfo.processInfo.environment["KYRODB_DATA"] else {
            print("skipped: SciFact needs KYRODB_DATA")
            return
        }
        let folder = URL(fileURLWithPath: data).appendingPathComponent("scifact")
        let index = TextIndex(field: TextField())
        let rows = Rows()
        var slots: [String: Int] = [:]
        let started = ContinuousClock.now
        let corpus = try lines(folder.appendingPathComponent("corpus.jsonl"))
        let parsed = ContinuousClock.now
        for document in corpus {
            let slot = rows.append()
            let id = try #require(document["_id"] as? String ?? document["id"] as? String)
            let title = document["title"] as? String ?? ""
            let text = document["text"] as? String ?? ""
            index.append(title + " " + text, slot: slot)
            slots[id] = slot.index
        }
        rows.publish()
        let indexed = ContinuousClock.now
        var judged: [String: [Int: Double]] = [:]
        let judgements = try String(
            contentsOf: folder.appendingPathComponent("qrels.tsv"), encoding: .utf8)
        for line in judgements.split(separator: "\n").dropFirst() {
            let columns = line.split(separator: "\t")
            guard let slot = slots[String(columns[1])] else { continue }
            judged[String(columns[0]), default: [:]][slot] = Double(columns[2]) ?? 0
        }
        var total = 0.0
        var micros: [Double] = []
        var scratch = TextScratch()
        var counters = SearchCounters()
        let queries = try lines(folder.appendingPathComponent("queries.jsonl"))
        for query in queries {
            let id = try #require(query["_id"] as? String ?? query["id"] as? String)
            let text = try #require(query["text"] as? String)
            let began = ContinuousClock.now
            let terms = index.analyze(text)
            let hits = try index.search(
                terms: terms, statistics: index.statistics(of: terms), k: 100,
                visibility: rows.visibility(), mask: nil, order: SlotsAreIDs(), scratch: &scratch,
                counters: &counters, cancellation: Cancellation())
            micros.append((ContinuousClock.now - began) / .microseconds(1))
            let gains = judged[id] ?? [:]
            let ideal = gains.values.sorted(by: >).prefix(10)
            let best = ideal.enumerated().reduce(0) {
                $0 + $1.element / log2(Double($1.offset) + 2)
            }
            let got = hits.prefix(10).enumerated().reduce(0) {
                $0 + (gains[$1.element.slot] ?? 0) / log2(Double($1.offset) + 2)
            }
            total += best > 0 ? got / best : 0
        }
        let ndcg = total / Double(queries.count)
        micros.sort()
        print(
            "SciFact BM25: nDCG@10 \(ndcg) over \(queries.count) queries; "
                + "\(slots.count) documents indexed in \(indexed - parsed) "
                + "(parsed in \(parsed - started)); "
                + "\(counters.postingsScored / queries.count) postings a query, "
                + "p50 \(micros[micros.count / 2]) µs, max \(micros[micros.count - 1]) µs; "
                + "\(index.residentBytes) bytes resident")
        #expect(abs(ndcg - 0.6857) < 0.01)
    }
}
