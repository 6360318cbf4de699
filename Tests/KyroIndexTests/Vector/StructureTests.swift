// Graphs and inverted lists against brute force: under every metric, behind filters and deletes.
import KyroIndex
import KyroModel
import Testing

@Suite struct StructureTests {
    static let kinds: [VectorIndexKind] = [.graph, .ivf]

    static func fixture(
        _ kind: VectorIndexKind, _ metric: Metric, _ vectors: [[Float]],
        dimension: Int = 32, probes: UInt32 = 0, flatRowsMax: Int = 500
    ) -> VectorFixture {
        var fixture = VectorFixture(
            field: VectorField(
                dimension: dimension, metric: metric,
                indexing: VectorIndexing(kind: kind, probes: probes)),
            parameters: GraphParameters(flatRowsMax: flatRowsMax))
        for vector in vectors { fixture.insert(vector) }
        return fixture
    }

    @Test(arguments: kinds, VectorIndexTests.metrics)
    func structureAndTailFindWhatBruteForceFinds(kind: VectorIndexKind, metric: Metric) throws {
        let vectors = clusteredVectors(count: 8_000, dimension: 32, centres: 60, seed: 5)
        var fixture = Self.fixture(kind, metric, Array(vectors.dropLast(300)))
        fixture.fold()
        for vector in vectors.suffix(300) { fixture.insert(vector) }
        #expect(fixture.index.indexedCount == 7_700 && fixture.index.tailCount == 300)
        let queries = clusteredVectors(count: 200, dimension: 32, centres: 60, seed: 5)
        let findings = try fixture.findings(queries)
        print("\(kind) \(metric): \(findings)")
        #expect(findings.strategies == [kind == .ivf ? .ivf : .graph])
        #expect(findings.recall >= (kind == .ivf ? 0.97 : 0.98), "seed 5")
        #expect(findings.scored < 4_000)
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

    /// One row in ten is dead.
    private static func filtered(_ kind: VectorIndexKind) -> VectorFixture {
        let vectors = clusteredVectors(count: 8_000, dimension: 32, centres: 60, seed: 6)
        var fixture = fixture(kind, .cosine, vectors, probes: kind == .ivf ? 24 : 0)
        fixture.fold()
        for slot in stride(from: 3, to: 8_000, by: 10) { fixture.remove(slot) }
        return fixture
    }

    private static let (filteredGraph, filteredLists) = (filtered(.graph), filtered(.ivf))

    /// The mask of one row up to all of them: random, in the corner nearest to the query, and in
    /// the one farthest from it.
    @Test(arguments: kinds, [1, 5, 50, 500, 2_000, 5_000, 8_000])
    func filteredSearchesKeepTheirRecallAtAnySelectivity(
        kind: VectorIndexKind, members: Int
    ) throws {
        let fixture = kind == .ivf ? Self.filteredLists : Self.filteredGraph
        var numbers = SeededNumbers(seed: 7)
        let queries = clusteredVectors(count: 40, dimension: 32, centres: 60, seed: 6)
        let ranks = queries.map { fixture.bruteForce($0, k: 8_000) }
        for corner in 0..<3 {
            var sum = 0.0
            for (query, ranked) in zip(queries, ranks) {
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
                sum += try fixture.findings([query], mask: mask).recall
            }
            let recall = sum / Double(queries.count)
            #expect(recall >= 0.97, "corner \(corner), seeds 6 and 7")
        }
    }

    @Test(arguments: kinds)
    func theDeadNeverHideTheLiving(kind: VectorIndexKind) throws {
        let vectors = clusteredVectors(count: 4_000, dimension: 16, centres: 20, seed: 8)
        var fixture = Self.fixture(kind, .l2, vectors, dimension: 16, flatRowsMax: 100)
        fixture.fold()
        // Each query's own surroundings die, up to all but seven rows of the index.
        for (round, keep) in [3_000, 1_000, 300, 40, 7].enumerated() {
            let query = vectors[round * 17]
            let ranked = fixture.bruteForce(query, k: 4_000)
            for hit in ranked.prefix(ranked.count - keep) { fixture.remove(hit.slot) }
            #expect(try fixture.findings([query]).recall >= 0.9, "\(keep) left")
        }
    }

    /// Thousands of copies of one row must not cut the graph apart.
    @Test(arguments: kinds, VectorIndexTests.metrics)
    func copiesOfOneRowHideNoOtherRow(kind: VectorIndexKind, metric: Metric) throws {
        let vectors = clusteredVectors(count: 3_000, dimension: 16, centres: 30, seed: 10)
        var fixture = Self.fixture(kind, metric, [], dimension: 16, flatRowsMax: 100)
        for (i, vector) in vectors.enumerated() {
            fixture.insert(vector)
            fixture.insert(vectors[0])
            if i % 100 == 0 { fixture.fold() }
        }
        fixture.fold()
        let recall = try fixture.findings(Array(vectors[100..<300])).recall
        #expect(recall >= 0.95, "seed 10")
        var scratch = VectorScratch()
        var counters = SearchCounters()
        let (hits, _) = try fixture.search(
            vectors[0], k: 50, scratch: &scratch, counters: &counters)
        #expect(hits.count == 50)
        if kind == .graph, metric != .innerProduct {
            let isCopy = hits.allSatisfy { fixture.vectors[$0.slot] == vectors[0] }
            #expect(isCopy)
        }
    }
}
