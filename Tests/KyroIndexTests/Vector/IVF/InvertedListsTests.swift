// Searches of inverted lists against brute force: under every metric, behind filters and deletes,
// while lists grow and are trained anew.
import KyroIndex
import KyroModel
import Testing

@Suite struct InvertedListsTests {
    static let dimension = 32

    static func fixture(
        _ metric: Metric = .cosine, dimension: Int = dimension, lists: UInt32 = 0,
        probes: UInt32 = 0, flatRowsMax: Int = 500
    ) -> VectorFixture {
        VectorFixture(
            field: VectorField(
                dimension: dimension, metric: metric,
                indexing: VectorIndexing(kind: .ivf, lists: lists, probes: probes)),
            parameters: GraphParameters(flatRowsMax: flatRowsMax))
    }

    /// Of 10, how many of the best are found on average.
    static func recall(
        _ fixture: VectorFixture, _ queries: [[Float]], mask: SlotMask? = nil
    ) throws -> (recall: Double, scored: Int, strategies: Set<VectorStrategy>) {
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var (found, wanted) = (0, 0)
        var strategies: Set<VectorStrategy> = []
        for query in queries {
            let expected = fixture.bruteForce(query, k: 10, mask: mask)
            let (hits, plan) = try fixture.search(
                query, k: 10, mask: mask, scratch: &scratch, counters: &counters)
            strategies.insert(plan.strategy)
            #expect(hits.count == expected.count)
            let ids = Set(expected.map(\.slot))
            found += hits.count { ids.contains($0.slot) }
            wanted += expected.count
        }
        return (
            wanted == 0 ? 1 : Double(found) / Double(wanted),
            counters.rowsScored / queries.count, strategies
        )
    }

    @Test(arguments: VectorIndexTests.metrics)
    func listsAndTailFindWhatBruteForceFinds(metric: Metric) throws {
        var fixture = Self.fixture(metric)
        let vectors = clusteredVectors(
            count: 8_000, dimension: Self.dimension, centres: 60, seed: 5)
        for vector in vectors.dropLast(300) { fixture.insert(vector) }
        fixture.fold()
        for vector in vectors.suffix(300) { fixture.insert(vector) }
        #expect(fixture.index.indexedCount == 7_700 && fixture.index.tailCount == 300)
        #expect(fixture.index.graphCount == 0)
        let queries = clusteredVectors(
            count: 200, dimension: Self.dimension, centres: 60, seed: 5)
        let (recall, scored, strategies) = try Self.recall(fixture, queries)
        print("lists \(metric): recall@10 \(recall), \(scored) of 8,000 scored")
        #expect(strategies == [.ivf])
        #expect(recall >= 0.97, "seed 5")
        #expect(scored < 4_000)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for query in queries.prefix(20) {
            let (hits, _) = try fixture.search(
                query, k: 10, scratch: &scratch, counters: &counters)
            for hit in hits {
                let score = try #require(fixture.score(query, hit.slot))
                #expect(abs(Double(hit.score) - score) <= 1e-6 * max(1, abs(score)))
            }
        }
    }

    @Test func moreProbesFindMoreAndAllOfThemEverything() throws {
        var fixture = Self.fixture(lists: 100)
        for vector in clusteredVectors(
            count: 6_000, dimension: Self.dimension, centres: 400, seed: 51)
        {
            fixture.insert(vector)
        }
        fixture.fold()
        let queries = clusteredVectors(
            count: 100, dimension: Self.dimension, centres: 400, seed: 52)
        var scratch = VectorScratch()
        var before = (recall: 0.0, scored: 0)
        for probes in [1, 4, 16, 99] {
            var counters = SearchCounters()
            var found = 0
            for query in queries {
                let expected = Set(fixture.bruteForce(query, k: 10).map(\.slot))
                let request = VectorIndex.Request(vector: query, k: 10, probes: probes)
                let hits = try fixture.index.search(
                    request, plan: VectorPlan(strategy: .ivf, estimatedCost: 1),
                    visibility: fixture.visibility, mask: nil, order: BySlot(),
                    scratch: &scratch, counters: &counters, cancellation: Cancellation())
                found += hits.count { expected.contains($0.slot) }
            }
            let recall = Double(found) / 1_000
            #expect(recall >= before.recall && counters.rowsScored > before.scored)
            before = (recall, counters.rowsScored)
        }
        #expect(before.recall > 0.99, "seeds 51 and 52")
    }

    /// The mask of one row up to all of them: random, in the corner nearest to the query, and in
    /// the one farthest from it.
    @Test(arguments: [1, 5, 50, 500, 2_000, 5_000, 8_000])
    func filteredSearchesKeepTheirRecallAtAnySelectivity(members: Int) throws {
        var fixture = Self.fixture(probes: 24)
        for vector in clusteredVectors(
            count: 8_000, dimension: Self.dimension, centres: 60, seed: 6)
        {
            fixture.insert(vector)
        }
        fixture.fold()
        var numbers = SeededNumbers(seed: 7)
        for slot in stride(from: 3, to: 8_000, by: 10) { fixture.remove(slot) }
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var found = [0, 0, 0]
        var wanted = [0, 0, 0]
        var strategies: Set<VectorStrategy> = []
        for query in clusteredVectors(
            count: 40, dimension: Self.dimension, centres: 60, seed: 6)
        {
            let ranked = fixture.bruteForce(query, k: 8_000)
            for corner in 0..<3 {
                var mask = SlotMask(slotCount: fixture.slotCount)
                switch corner {
                case 0:
                    var left = members
                    for slot in 0..<8_000 where numbers.below(8_000 - slot) < left {
                        mask.insert(slot)
                        left -= 1
                    }
                case 1: for hit in ranked.prefix(members) { mask.insert(hit.slot) }
                default: for hit in ranked.suffix(members) { mask.insert(hit.slot) }
                }
                let expected = fixture.bruteForce(query, k: 10, mask: mask)
                let (hits, plan) = try fixture.search(
                    query, k: 10, mask: mask, scratch: &scratch, counters: &counters)
                strategies.insert(plan.strategy)
                #expect(hits.count == expected.count)
                let ids = Set(expected.map(\.slot))
                found[corner] += hits.count { ids.contains($0.slot) }
                wanted[corner] += expected.count
                let isAllowed = hits.allSatisfy {
                    mask.contains($0.slot) && fixture.alive.contains($0.slot)
                }
                #expect(isAllowed)
            }
        }
        let recalls = zip(found, wanted).map { $1 == 0 ? 1 : Double($0) / Double($1) }
        print(
            "lists, filter of \(members) in 8,000: recall@10 \(recalls), \(strategies),",
            "\(counters.rowsScored / 120) rows scored")
        for recall in recalls { #expect(recall >= 0.97, "seeds 6 and 7") }
    }

    @Test func theDeadNeverHideTheLiving() throws {
        var fixture = Self.fixture(.l2, dimension: 16, flatRowsMax: 100)
        let vectors = clusteredVectors(count: 4_000, dimension: 16, centres: 20, seed: 8)
        for vector in vectors { fixture.insert(vector) }
        fixture.fold()
        var scratch = VectorScratch()
        var counters = SearchCounters()
        // Each query's own surroundings die, up to all but seven rows of the index.
        for (round, keep) in [3_000, 1_000, 300, 40, 7].enumerated() {
            let query = vectors[round * 17]
            let ranked = fixture.bruteForce(query, k: 4_000)
            for hit in ranked.prefix(ranked.count - keep) { fixture.remove(hit.slot) }
            let expected = fixture.bruteForce(query, k: 10)
            let (hits, _) = try fixture.search(query, k: 10, scratch: &scratch, counters: &counters)
            #expect(hits.count == min(10, keep))
            let ids = Set(expected.map(\.slot))
            #expect(hits.count { ids.contains($0.slot) } >= hits.count - 1, "\(keep) left")
        }
    }

    @Test(arguments: VectorIndexTests.metrics)
    func copiesOfOneRowHideNoOtherRow(metric: Metric) throws {
        var fixture = Self.fixture(metric, dimension: 16, flatRowsMax: 100)
        let vectors = clusteredVectors(count: 3_000, dimension: 16, centres: 30, seed: 10)
        for (i, vector) in vectors.enumerated() {
            fixture.insert(vector)
            fixture.insert(vectors[0])
            if i % 100 == 0 { fixture.fold() }
        }
        fixture.fold()
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var found = 0
        for query in vectors[100..<300] {
            let (hits, _) = try fixture.search(
                query, k: 10, scratch: &scratch, counters: &counters)
            let worst = try #require(fixture.bruteForce(query, k: 10).last?.score)
            found += hits.count { $0.score >= worst }
        }
        #expect(Double(found) / 2_000 >= 0.95, "\(found) of 2,000, seed 10")
        let (hits, _) = try fixture.search(
            vectors[0], k: 50, scratch: &scratch, counters: &counters)
        #expect(hits.count == 50)
    }

    /// Also what lies beyond the numbers that codes can have.
    @Test(arguments: VectorIndexTests.metrics)
    func rowsOfExtremeMagnitudeAreSearchedLikeOthers(metric: Metric) throws {
        var fixture = Self.fixture(metric, dimension: 8, flatRowsMax: 100)
        var numbers = SeededNumbers(seed: 13)
        let scales: [Float] = [1, 1e-30, 1e30, 3e37, 0]
        for i in 0..<1_000 {
            let scale = i % 7 == 0 ? scales[i / 7 % scales.count] : 1
            fixture.insert((0..<8).map { _ in scale * numbers.normal() })
        }
        fixture.fold()
        #expect(fixture.index.indexedCount == 1_000)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for scale in scales {
            let query = (0..<8).map { _ in scale * numbers.normal() }
            let (hits, _) = try fixture.search(
                query, k: 10, scratch: &scratch, counters: &counters)
            #expect(hits.count == 10)
        }
    }

    @Test func aRowIsFoundAsSoonAsItIsAppended() throws {
        var fixture = Self.fixture(dimension: 24, flatRowsMax: 300)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        let vectors = clusteredVectors(count: 3_000, dimension: 24, centres: 9, seed: 9)
        for (i, vector) in vectors.enumerated() {
            if i % 3 == 0 { fixture.insert(nil) }
            fixture.insert(vector)
            let (hits, _) = try fixture.search(
                vector, k: 1, scratch: &scratch, counters: &counters)
            #expect(hits.first?.slot == fixture.slotCount - 1)
            if i % 7 == 0 {
                _ = fixture.index.foldStep(
                    rowsMax: 5, visibility: fixture.visibility, cancellation: Cancellation())
            }
        }
        #expect(fixture.index.indexedCount > 1_000)
    }

    @Test func fewRowsGetNoListsAndCancelledStepsDoNothing() throws {
        var fixture = Self.fixture(flatRowsMax: 400)
        let vectors = clusteredVectors(
            count: 401, dimension: Self.dimension, centres: 9, seed: 14)
        for vector in vectors.prefix(400) { fixture.insert(vector) }
        fixture.fold()
        #expect(fixture.index.indexedCount == 0 && !fixture.index.isTraining)
        fixture.insert(vectors[400])
        let cancelled = Cancellation()
        cancelled.cancel()
        for _ in 0..<20 {
            let folded = fixture.index.foldStep(
                rowsMax: 100, visibility: fixture.visibility, cancellation: cancelled)
            #expect(folded == 0 && fixture.index.indexedCount == 0)
        }
        fixture.fold()
        #expect(fixture.index.indexedCount == 401 && fixture.index.tailCount == 0)
    }

    /// Cluster after cluster, so that the first lists know nothing of the last rows.
    @Test func listsAreTrainedAnewAsRowsCome() throws {
        var fixture = Self.fixture(.l2)
        let centres = clusteredVectors(
            count: 40, dimension: Self.dimension, centres: 40, seed: 15)
        var numbers = SeededNumbers(seed: 16)
        var queries: [[Float]] = []
        var trainings = 0
        for centre in centres {
            for _ in 0..<400 {
                fixture.insert(centre.map { 3 * $0 + numbers.normal() })
                guard fixture.slotCount % 50 == 0 else { continue }
                let wasTraining = fixture.index.isTraining
                _ = fixture.index.foldStep(
                    rowsMax: 256, visibility: fixture.visibility, cancellation: Cancellation())
                if wasTraining, !fixture.index.isTraining { trainings += 1 }
            }
            queries.append(centre.map { 3 * $0 + numbers.normal() })
        }
        fixture.fold()
        #expect(fixture.index.indexedCount == 16_000)
        #expect(trainings >= 3 && trainings <= 8, "\(trainings) trainings")
        let (recall, scored, strategies) = try Self.recall(fixture, queries)
        print("lists after \(trainings) trainings: recall@10 \(recall), \(scored) scored")
        #expect(recall >= 0.97 && strategies == [.ivf], "seeds 15 and 16")
        #expect(scored < 6_000)
    }

    @Test func anIndexOfKindFlatNeverBuildsAnything() throws {
        var fixture = VectorFixture(
            field: VectorField(dimension: 16, indexing: VectorIndexing(kind: .flat)),
            parameters: GraphParameters(flatRowsMax: 100))
        for vector in clusteredVectors(count: 2_000, dimension: 16, centres: 9, seed: 17) {
            fixture.insert(vector)
        }
        fixture.fold()
        #expect(fixture.index.indexedCount == 0 && fixture.index.tailCount == 2_000)
        #expect(fixture.index.unfoldedCount(fixture.visibility) == 0)
        let (recall, _, strategies) = try Self.recall(
            fixture, clusteredVectors(count: 50, dimension: 16, centres: 9, seed: 18))
        #expect(strategies == [.flat] && recall > 0.995)
        let stream = MemorySnapshot()
        try VectorSnapshotTests.write(fixture, to: stream, slotCount: fixture.slotCount)
        let rows = try RestoredVectors(
            from: stream, field: fixture.index.field, slotCount: fixture.slotCount)
        let restored = try VectorIndex(rows, graphFrom: stream)
        #expect(restored.rowCount == 2_000 && restored.indexedCount == 0)
    }
}
