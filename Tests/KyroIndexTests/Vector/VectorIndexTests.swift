// Flat and exact searches against brute force, and what every index promises. Walks and probes are in
// StructureTests.swift.
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
