// Recall and work of inverted lists on real embeddings, where `KYRODB_DATA` says where they lie.
import Foundation
import KyroIndex
import KyroModel
import Testing

@Suite(.serialized) struct ListWordnetTests {
    @Test func sweep() throws {
        guard let (corpus, queries) = WordnetTests.load() else { return }
        let environment = ProcessInfo.processInfo.environment
        let counts = (environment["IVF_ROWS"] ?? "117659").split(separator: ",").compactMap {
            Int($0)
        }
        let metric: Metric =
            environment["IVF_METRIC"] == "l2"
            ? .l2 : environment["IVF_METRIC"] == "ip" ? .innerProduct : .cosine
        for count in counts {
            var fixture = VectorFixture(
                field: VectorField(
                    dimension: corpus.columns, metric: metric,
                    indexing: VectorIndexing(
                        kind: .ivf, lists: UInt32(environment["IVF_LISTS"] ?? "") ?? 0)))
            for i in 0..<count { fixture.insert(corpus.row(i * 7_919 % corpus.rows)) }
            let clock = ContinuousClock()
            let time = clock.measure { fixture.fold() }
            print(
                "fold \(count): \(time), \(fixture.index.indexedCount) indexed, link bytes \(fixture.index.residentBytes)"
            )
            var scratch = VectorScratch()
            let asked = min(queries.rows, 300)
            var truth: [[Float]] = []
            for q in 0..<asked {
                var counters = SearchCounters()
                truth.append(
                    try fixture.search(
                        queries.row(q), k: 100, exact: true, scratch: &scratch, counters: &counters
                    ).hits.map(\.score))
            }
            for probes in [0, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192] {
                var counters = SearchCounters()
                var (found, found100) = (0, 0)
                var times: [Double] = []
                var cost = 0
                for q in 0..<asked {
                    var hits: [ScoredSlot] = []
                    let time = try clock.measure {
                        let answer = try fixture.search(
                            queries.row(q), k: 10, probes: probes, scratch: &scratch,
                            counters: &counters)
                        hits = answer.hits
                        cost += answer.plan.estimatedCost
                    }
                    times.append(Double(time.components.attoseconds) * 1e-12)
                    found += hits.count { $0.score >= truth[q][9] }
                    var other = SearchCounters()
                    hits = try fixture.search(
                        queries.row(q), k: 100, probes: probes, scratch: &scratch, counters: &other
                    ).hits
                    found100 += hits.count { $0.score >= truth[q][99] }
                }
                times.sort()
                print(
                    "rows \(count) probes \(probes): recall@10 \(Double(found) / Double(asked * 10)), recall@100 \(Double(found100) / Double(asked * 100)), scored \(counters.rowsScored / asked), cost \(cost / asked), p50 \(Int(times[asked / 2])) µs"
                )
            }
        }
    }
}
