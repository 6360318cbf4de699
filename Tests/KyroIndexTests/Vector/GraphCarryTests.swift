// Graphs carried over from rebuild to rebuild, against graphs that were built fresh.
import Foundation
import KyroIndex
import KyroModel
import Testing

@Suite struct GraphCarryTests {
    private struct Outcome {
        var carried = 0.0
        var fresh = 0.0
        /// With few candidates, where a weaker graph shows.
        var carriedHurried = 0.0
        var freshHurried = 0.0
        var carryMicros = 0.0
        var foldMicros = 0.0
    }

    @Test("After 240 % churn in six rebuilds the carried graph finds what a fresh one finds")
    func recallHoldsOnClusters() throws {
        let all = clusteredVectors(count: 30_000, dimension: 48, centres: 60, seed: 4)
        let queries = clusteredVectors(count: 200, dimension: 48, centres: 60, seed: 4)
        let outcome = try churn(all, queries, living: 7_000, rounds: 6, metric: .l2)
        #expect(outcome.carried > outcome.fresh - 0.01, "\(outcome)")
        #expect(outcome.carriedHurried > outcome.freshHurried - 0.02, "\(outcome)")
        print("RESULT carried graph, clusters: \(outcome)")
    }

    @Test func recallHoldsOnRealEmbeddings() throws {
        guard let (corpus, queries) = WordnetTests.load() else { return }
        let all = (0..<90_000).map { corpus.row($0 * 7_919 % corpus.rows) }
        let asked = (0..<200).map { queries.row($0) }
        let outcome = try churn(all, asked, living: 25_000, rounds: 3, metric: .cosine)
        #expect(outcome.carried > outcome.fresh - 0.01, "\(outcome)")
        #expect(outcome.carriedHurried > outcome.freshHurried - 0.02, "\(outcome)")
        print("RESULT carried graph, wordnet: \(outcome)")
    }

    /// In every round two in five are replaced by others, and the index is rebuilt.
    private func churn(
        _ all: [[Float]], _ queries: [[Float]], living: Int, rounds: Int, metric: Metric
    ) throws -> Outcome {
        let field = VectorField(dimension: all[0].count, metric: metric)
        var numbers = SeededNumbers(seed: 3)
        var outcome = Outcome()
        let clock = ContinuousClock()
        var shard = VectorFixture(field: field)
        var next = 0
        for _ in 0..<living {
            shard.insert(all[next])
            next += 1
        }
        shard.fold()
        for _ in 0..<rounds {
            let goal = living * 3 / 5
            while shard.alive.count > goal {
                let slot = numbers.below(shard.slotCount)
                if shard.alive.contains(slot) { shard.remove(slot) }
            }
            while shard.alive.count < living {
                shard.insert(all[next % all.count])
                next += 1
            }
            shard.fold()
            let time = try clock.measure { shard = try rebuilt(shard) }
            outcome.carryMicros = seconds(time) * 1e6 / Double(living)
        }
        var fresh = VectorFixture(field: field)
        for slot in 0..<shard.slotCount { fresh.insert(shard.vectors[slot]) }
        let time = clock.measure { fresh.fold() }
        outcome.foldMicros = seconds(time) * 1e6 / Double(living)
        func recall(_ fixture: VectorFixture, efSearch: Int) throws -> Double {
            try fixture.findings(queries, efSearch: efSearch, against: .exactSearch).recall
        }
        outcome.carried = try recall(shard, efSearch: 0)
        outcome.fresh = try recall(fresh, efSearch: 0)
        outcome.carriedHurried = try recall(shard, efSearch: 30)
        outcome.freshHurried = try recall(fresh, efSearch: 30)
        return outcome
    }

    private func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    private func rebuilt(_ old: VectorFixture) throws -> VectorFixture {
        let (new, map) = try old.living()
        if let carry = GraphCarry(
            from: old.index, to: new.index, below: old.slotCount, map: map)
        {
            while !carry.step(rowsMax: 100) {}
            #expect(new.index.graphCount == new.slotCount)
        } else {
            Issue.record("nothing was carried")
        }
        return new
    }
}
