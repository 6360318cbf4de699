// Recall measured as the engine's calibration does, and as an outsider would.
import KyroIndex
import KyroModel

extension VectorFixture {
    /// In batches of 32, a piece at a time.
    func exactScores(
        _ queries: [[Float]], k: Int, distancesMax: Int = 100_000
    ) throws -> [[Float]] {
        var scores: [[Float]] = []
        for first in stride(from: 0, to: queries.count, by: 32) {
            var batch = ExactBatch(
                index, queries: Array(queries[first..<min(first + 32, queries.count)]), k: k,
                visibility: visibility, order: BySlot())
            while try !batch.step(distancesMax: distancesMax, cancellation: Cancellation()) {}
            scores += batch.drainScores()
        }
        return scores
    }

    func trials(
        _ queries: [[Float]], depths: RecallDepths = .shallow, shardCount: Int = 1,
        measuresScan: Bool = false
    ) throws -> [RecallTrial] {
        let deepest = depths.contains(.deep) ? 100 : 10
        let truth = try exactScores(queries, k: deepest)
        var scratch = VectorScratch()
        return try queries.indices.map { number in
            try index.recallTrial(
                queries[number], truth: truth[number], depths: depths,
                weights: RecallWeights(shardCount: shardCount), measuresScan: measuresScan,
                visibility: visibility, order: BySlot(),
                scratch: &scratch, cancellation: Cancellation())
        }
    }

    /// Mean recall and distances a query.
    func outcome(
        _ queries: [[Float]], truth: [[Float]], k: Int, efSearch: Int
    ) throws -> (recall: Double, distances: Double) {
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var sum = 0.0
        for (query, best) in zip(queries, truth) {
            let hits = try search(
                query, k: k, efSearch: efSearch, scratch: &scratch, counters: &counters
            ).hits
            let least = best[k - 1]
            sum += Double(min(k, hits.count { $0.score >= least })) / Double(k)
        }
        let count = Double(queries.count)
        return (sum / count, Double(counters.rowsScored) / count)
    }

    /// The fewest distances with which a fixed number of candidates reaches the recall, of numbers
    /// 4 % apart; the last number tried where none does.
    func cheapest(
        _ queries: [[Float]], truth: [[Float]], k: Int, recall: Double
    ) throws -> (efSearch: Int, recall: Double, distances: Double) {
        var efSearch = k
        while true {
            let outcome = try outcome(queries, truth: truth, k: k, efSearch: efSearch)
            if outcome.recall >= recall || efSearch > 300 * k {
                return (efSearch, outcome.recall, outcome.distances)
            }
            efSearch = max(efSearch + 1, efSearch * 104 / 100)
        }
    }
}
