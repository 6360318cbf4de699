// Flat, exact, filtered and walked searches against brute force.
import KyroIndex
import KyroModel
import Testing

@Suite struct VectorIndexTests {
    static let metrics: [Metric] = [.cosine, .innerProduct, .l2]

    /// Same ids and scores to 1e-6 relative, save where the oracle's scores are that close.
    static func expectEqual(
        _ hits: [ScoredSlot], _ expected: [ScoredSlot], _ comment: String
    ) {
        #expect(hits.count == expected.count, "\(comment)")
        for (hit, wanted) in zip(hits, expected) {
            let tolerance = 1e-6 * max(1, abs(wanted.score))
            #expect(abs(hit.score - wanted.score) <= tolerance, "\(comment)")
            if hit.slot != wanted.slot {
                let twin = expected.contains {
                    $0.slot == hit.slot && abs($0.score - hit.score) <= tolerance
                }
                let isLast = hit.score == expected.last?.score
                #expect(twin || isLast, "\(comment): \(hit) for \(wanted)")
            }
        }
    }

    /// Random inserts, documents without the field, deletes and folds; exact and small indexes.
    @Test(arguments: metrics, [1, 2, 3])
    func exactAndFlatSearchesEqualBruteForceUnderChurn(metric: Metric, seed: Int) throws {
        var numbers = SeededNumbers(seed: UInt64(seed))
        let dimension = [3, 17, 64][seed - 1]
        var fixture = VectorFixture(
            field: VectorField(dimension: dimension, metric: metric),
            parameters: GraphParameters(flatRowsMax: 200))
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for step in 0..<1_500 {
            let roll = numbers.below(10)
            if roll < 6 {
                fixture.insert((0..<dimension).map { _ in numbers.normal() })
            } else if roll < 7 {
                fixture.insert(nil)
            } else if let slot = fixture.alive.min(by: { _, _ in numbers.below(2) == 0 }) {
                fixture.remove(slot)
            }
            if step % 50 == 0 { fixture.fold() }
            guard step % 10 == 0 else { continue }
            let query = (0..<dimension).map { _ in numbers.normal() }
            var mask = SlotMask(slotCount: fixture.slotCount)
            let percent = numbers.below(101)
            for slot in 0..<fixture.slotCount where numbers.below(100) < percent {
                mask.insert(slot)
            }
            let k = 1 + numbers.below(30)
            for mask in [nil, mask] {
                let (hits, _) = try fixture.search(
                    query, k: k, exact: true, mask: mask, scratch: &scratch, counters: &counters)
                Self.expectEqual(
                    hits, fixture.bruteForce(query, k: k, mask: mask),
                    "\(metric) seed \(seed) step \(step)")
                if fixture.index.graphCount == 0 {
                    let (flat, plan) = try fixture.search(
                        query, k: k, mask: mask, scratch: &scratch, counters: &counters)
                    #expect([.flat, .filteredFlat, .none].contains(plan.strategy))
                    #expect(flat == hits, "\(metric) seed \(seed) step \(step)")
                }
            }
        }
        #expect(fixture.index.graphCount > 0)
    }

    @Test(arguments: metrics)
    func walksFindWhatBruteForceFinds(metric: Metric) throws {
        let dimension = 32
        var fixture = VectorFixture(
            field: VectorField(dimension: dimension, metric: metric),
            parameters: GraphParameters(flatRowsMax: 500))
        let vectors = clusteredVectors(count: 8_000, dimension: dimension, centres: 60, seed: 5)
        for vector in vectors.dropLast(300) { fixture.insert(vector) }
        fixture.fold()
        for vector in vectors.suffix(300) { fixture.insert(vector) }
        #expect(fixture.index.tailCount == 300)
        let queries = clusteredVectors(count: 200, dimension: dimension, centres: 60, seed: 5)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var found = 0
        for query in queries {
            let (hits, plan) = try fixture.search(
                query, k: 10, scratch: &scratch, counters: &counters)
            #expect(plan.strategy == .graph)
            #expect(hits.count == 10)
            let expected = Set(fixture.bruteForce(query, k: 10).map(\.slot))
            found += hits.count { expected.contains($0.slot) }
            for hit in hits {
                let score = try #require(fixture.score(query, hit.slot))
                #expect(abs(Double(hit.score) - score) <= 1e-6 * max(1, abs(score)))
            }
        }
        let recall = Double(found) / 2_000
        print("walk \(metric): recall@10 \(recall), \(counters.rowsScored / 200) of 8,000 scored")
        #expect(recall >= 0.98, "seed 5")
    }

    /// The mask of one row up to all of them, random and in the corner farthest from the query.
    @Test(arguments: [1, 5, 50, 500, 2_000, 5_000, 8_000])
    func filteredSearchesKeepTheirRecallAtAnySelectivity(members: Int) throws {
        let dimension = 32
        var fixture = VectorFixture(
            field: VectorField(dimension: dimension), parameters: GraphParameters(flatRowsMax: 500))
        for vector in clusteredVectors(count: 8_000, dimension: dimension, centres: 60, seed: 6) {
            fixture.insert(vector)
        }
        fixture.fold()
        var numbers = SeededNumbers(seed: 7)
        for slot in stride(from: 3, to: 8_000, by: 10) { fixture.remove(slot) }
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var found = 0
        var wanted = 0
        var strategies: Set<VectorStrategy> = []
        for query in clusteredVectors(count: 40, dimension: dimension, centres: 60, seed: 6) {
            let ranked = fixture.bruteForce(query, k: 8_000)
            for isFarthest in [false, true] {
                var mask = SlotMask(slotCount: fixture.slotCount)
                if isFarthest {
                    for hit in ranked.suffix(members) { mask.insert(hit.slot) }
                } else {
                    var left = members
                    for slot in 0..<8_000 where numbers.below(8_000 - slot) < left {
                        mask.insert(slot)
                        left -= 1
                    }
                }
                let expected = fixture.bruteForce(query, k: 10, mask: mask)
                let (hits, plan) = try fixture.search(
                    query, k: 10, mask: mask, scratch: &scratch, counters: &counters)
                strategies.insert(plan.strategy)
                #expect(hits.count == expected.count)
                let ids = Set(expected.map(\.slot))
                found += hits.count { ids.contains($0.slot) }
                wanted += expected.count
                let isAllowed = hits.allSatisfy {
                    mask.contains($0.slot) && fixture.alive.contains($0.slot)
                }
                #expect(isAllowed)
            }
        }
        let recall = wanted == 0 ? 1 : Double(found) / Double(wanted)
        print(
            "filter of \(members) in 8,000: recall@10 \(recall), \(strategies),",
            "\(counters.rowsScored / 80) rows scored")
        #expect(recall >= 0.97, "seeds 6 and 7")
    }

    @Test func deadNeighboursNeverHideTheLiving() throws {
        var fixture = VectorFixture(
            field: VectorField(dimension: 16, metric: .l2),
            parameters: GraphParameters(flatRowsMax: 100))
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

    /// Thousands of copies of one row must not cut the graph apart.
    @Test(arguments: metrics)
    func copiesOfOneRowHideNoOtherRow(metric: Metric) throws {
        var fixture = VectorFixture(
            field: VectorField(dimension: 16, metric: metric),
            parameters: GraphParameters(flatRowsMax: 100))
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
        if metric != .innerProduct {
            let isCopy = hits.allSatisfy { fixture.vectors[$0.slot] == vectors[0] }
            #expect(isCopy)
        }
    }

    @Test func aRowIsFoundAsSoonAsItIsAppendedAndReadBackBitForBit() throws {
        var fixture = VectorFixture(
            field: VectorField(dimension: 24), parameters: GraphParameters(flatRowsMax: 300))
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for (i, vector) in clusteredVectors(count: 1_000, dimension: 24, centres: 9, seed: 9)
            .enumerated()
        {
            if i % 3 == 0 { fixture.insert(nil) }
            fixture.insert(vector)
            let slot = fixture.slotCount - 1
            let (hits, _) = try fixture.search(
                vector, k: 1, scratch: &scratch, counters: &counters)
            #expect(hits.first?.slot == slot)
            let stored = try fixture.index.vector(of: Slot(index: slot))
            #expect(stored?.map(\.bitPattern) == vector.map(\.bitPattern))
            if i % 3 == 0 {
                #expect(try fixture.index.vector(of: Slot(index: slot - 1)) == nil)
            }
            if i % 7 == 0 { fixture.fold() }
        }
        #expect(try fixture.index.vector(of: Slot(index: 1 << 20)) == nil)
    }

    @Test func aReadSeesOnlyItsOwnSequenceAndSlots() throws {
        var fixture = VectorFixture(field: VectorField(dimension: 2, metric: .l2))
        for x in 0..<10 { fixture.insert([Float(x), 0]) }
        let before = fixture.visibility
        fixture.remove(0)
        fixture.insert([0, 0])
        let request = VectorIndex.Request(vector: [0, 0], k: 1)
        for (visibility, slot) in [(before, 0), (fixture.visibility, 10)] {
            let plan = fixture.index.plan(
                request, visibility: visibility, mask: nil, maskCount: 0)
            var scratch = VectorScratch()
            var counters = SearchCounters()
            let hits = try fixture.index.search(
                request, plan: plan, visibility: visibility, mask: nil, order: BySlot(),
                scratch: &scratch, counters: &counters, cancellation: Cancellation())
            #expect(hits == [ScoredSlot(slot: slot, score: 0)])
        }
    }

    @Test func cancelledSearchesThrow() throws {
        var fixture = VectorFixture(field: VectorField(dimension: 4))
        fixture.insert([1, 2, 3, 4])
        let request = VectorIndex.Request(vector: [1, 2, 3, 4], k: 1)
        let cancellation = Cancellation()
        cancellation.cancel(.deadlineExceeded)
        let plan = fixture.index.plan(
            request, visibility: fixture.visibility, mask: nil, maskCount: 0)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        #expect(throws: KyroError.self) {
            try fixture.index.search(
                request, plan: plan, visibility: fixture.visibility, mask: nil, order: BySlot(),
                scratch: &scratch, counters: &counters, cancellation: cancellation)
        }
    }
}
