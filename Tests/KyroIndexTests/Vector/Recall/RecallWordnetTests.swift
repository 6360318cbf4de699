// A wanted recall on real embeddings, where `KYRODB_DATA` says where they lie.
import KyroIndex
import KyroModel
import Testing

@Suite(.serialized) struct RecallWordnetTests {
    private static let targets = [0.90, 0.95, 0.97, 0.99]
    /// Rows of the whole, so that it is built in a few seconds.
    private static let rowCount = 40_000

    /// Asked by queries that the calibration has not seen; of these it has seen as many.
    @Test func calibrationMeetsItsTargets() throws {
        guard let (corpus, queries) = WordnetTests.load() else { return }
        var fixture = VectorFixture(
            field: VectorField(dimension: corpus.columns, metric: .cosine))
        // Every third: the file goes by kinds of words.
        for row in 0..<Self.rowCount { fixture.insert(corpus.row(row * 3 % corpus.rows)) }
        fixture.fold()
        let asked = (0..<queries.rows).map { queries.row($0) }
        let live = asked.indices.filter { $0 % 2 == 0 }.map { asked[$0] }
        let fresh = asked.indices.filter { $0 % 2 == 1 }.map { asked[$0] }
        let truth = try fixture.exactScores(fresh, k: 10)

        let own = try fixture.trials(
            try fixture.index.ownQueries(count: 192, seed: 1, visibility: fixture.visibility))
        let liveTrials = try fixture.trials(live)
        let alone = RecallModel(own: own, live: [])
        let informed = RecallModel(own: own, live: liveTrials)
        for target in Self.targets {
            let best = try fixture.cheapest(fresh, truth: truth, k: 10, recall: target)
            for (name, model) in [("own rows", alone), ("live", informed)] {
                let choice = try #require(model.choice(target: target, k: 10))
                let outcome = try fixture.outcome(
                    fresh, truth: truth, k: 10, efSearch: choice.efSearch)
                print(
                    "RESULT recall \(target) by \(name): efSearch \(choice.efSearch), estimated",
                    "\(choice.mean) and \(choice.worstDecile), measured \(outcome.recall),",
                    "\(Int(outcome.distances)) distances, cheapest \(best.efSearch) with",
                    "\(Int(best.distances))")
                guard name == "live" else { continue }
                #expect(outcome.recall >= target - 0.005, "\(target)")
                #expect(outcome.distances <= 1.5 * best.distances, "\(target)")
                #expect(abs(choice.mean - outcome.recall) < 0.02, "\(target)")
                #expect(choice.worstDecile < choice.mean)
            }
        }
    }
}
