// Recall and work of inverted lists on real embeddings, where `KYRODB_DATA` says where they lie.
import Foundation
import KyroIndex
import KyroModel
import Testing

@Suite(.serialized) struct ListWordnetTests {
    private static let asked = 200

    @Test func recallAndWorkOnRealEmbeddings() throws {
        guard let (corpus, queries) = WordnetTests.load() else { return }
        for count in [8_000, 30_000, corpus.rows] {
            var fixture = VectorFixture(
                field: VectorField(
                    dimension: corpus.columns, metric: .cosine,
                    indexing: VectorIndexing(kind: .ivf)))
            for i in 0..<count { fixture.insert(corpus.row(i * 7_919 % corpus.rows)) }
            let clock = ContinuousClock()
            let time = clock.measure { fixture.fold() }
            #expect(fixture.index.indexedCount == count)
            let perRow = Double(fixture.index.linkBytes) / Double(count)
            print("lists of \(count) rows: \(time), \(perRow) bytes a row")
            var scratch = VectorScratch()
            for (percent, bound) in [(100, 0.97), (50, 0.97), (10, 0.97), (1, 0.97)] {
                let (recall, scored, strategy) = try measure(
                    fixture, queries, percent: percent, &scratch)
                print(
                    "lists of \(count) rows, \(percent) % admitted: recall@10 \(recall),",
                    "\(scored) scored, \(strategy)")
                #expect(recall >= bound, "\(count) rows, \(percent) %")
                #expect(scored <= count / 5 || count < 30_000, "\(count) rows, \(percent) %")
            }
        }
    }

    /// Of 10, behind a filter that admits rows at random.
    private func measure(
        _ fixture: VectorFixture, _ queries: NumPyArray, percent: Int,
        _ scratch: inout VectorScratch
    ) throws -> (recall: Double, scored: Int, strategy: VectorStrategy) {
        var numbers = SeededNumbers(seed: UInt64(percent))
        var mask = SlotMask(slotCount: fixture.slotCount)
        for slot in 0..<fixture.slotCount where numbers.below(100) < percent { mask.insert(slot) }
        let admitted = percent == 100 ? nil : mask
        var (found, wanted, scored) = (0, 0, 0)
        var strategy = VectorStrategy.none
        for q in 0..<Self.asked {
            var counters = SearchCounters()
            let truth = try fixture.search(
                queries.row(q), k: 10, exact: true, mask: admitted, scratch: &scratch,
                counters: &counters
            ).hits
            counters = SearchCounters()
            let (hits, plan) = try fixture.search(
                queries.row(q), k: 10, mask: admitted, scratch: &scratch, counters: &counters)
            found += hits.count { $0.score >= truth[truth.count - 1].score }
            wanted += truth.count
            scored += counters.rowsScored
            strategy = plan.strategy
        }
        return (Double(found) / Double(wanted), scored / Self.asked, strategy)
    }
}
