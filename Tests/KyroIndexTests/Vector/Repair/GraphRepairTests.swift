// Graphs whose dead rows are taken out in place, against brute force and against fresh graphs.
import KyroIndex
import KyroModel
import Testing

@Suite struct GraphRepairTests {
    static let parameters = GraphParameters(efConstruction: 60, flatRowsMax: 200)

    private func fixture(
        _ count: Int, dimension: Int = 16, metric: Metric = .l2, seed: UInt64
    ) -> VectorFixture {
        var shard = VectorFixture(
            field: VectorField(dimension: dimension, metric: metric), parameters: Self.parameters)
        for vector in clusteredVectors(
            count: count, dimension: dimension, centres: 20, seed: seed)
        {
            shard.insert(vector)
        }
        return shard
    }

    private func recall(
        _ shard: VectorFixture, queries: [[Float]], efSearch: Int = 40
    ) throws -> Double {
        try shard.findings(queries, efSearch: efSearch).recall
    }

    @Test(
        "However inserts, deletes, folding and repair take turns, the nearest living are found",
        arguments: 1...6 as ClosedRange<UInt64>)
    func agreesWithBruteForceUnderChurn(seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        let metric = VectorIndexTests.metrics[Int(seed) % VectorIndexTests.metrics.count]
        let all = clusteredVectors(count: 6_000, dimension: 16, centres: 20, seed: seed)
        let queries = (0..<20).map { all[$0 * 97].map { $0 + 0.01 } }
        var shard = VectorFixture(
            field: VectorField(dimension: 16, metric: metric), parameters: Self.parameters)
        for round in 0..<40 {
            for _ in 0..<(20 + numbers.below(100)) {
                shard.insert(numbers.below(12) == 0 ? nil : all[shard.slotCount % all.count])
            }
            let goal = shard.alive.count * (40 + numbers.below(60)) / 100
            let isClustered = numbers.below(3) == 0
            let first = numbers.below(shard.slotCount)
            var step = 0
            while shard.alive.count > max(goal, 300) {
                step += 1
                shard.remove(after: isClustered ? first + step : numbers.below(shard.slotCount))
            }
            if numbers.below(2) == 0 { shard.fold() }
            for _ in 0..<numbers.below(4) { _ = shard.repairStep(rowsMax: numbers.below(60)) }
            let found = try recall(shard, queries: queries, efSearch: 60)
            #expect(found > 0.9, "seed \(seed), round \(round): recall \(found)")
        }
        shard.fold()
        shard.repair()
        #expect(shard.index.unreachable(shard.visibility) == 0, "seed \(seed)")
        let dead = (0..<shard.slotCount).count {
            shard.vectors[$0] != nil && !shard.alive.contains($0)
        }
        #expect(shard.index.goneCount == dead, "seed \(seed)")
        let found = try recall(shard, queries: queries, efSearch: 60)
        #expect(found > 0.95, "seed \(seed): recall \(found)")
    }

    @Test(
        "After everything was replaced twice the graph is as good as a fresh one, at no more cost")
    func holdsRecallAndCost() throws {
        let living = 3_000
        let all = clusteredVectors(count: 3 * living, dimension: 24, centres: 40, seed: 8)
        let queries = clusteredVectors(count: 100, dimension: 24, centres: 40, seed: 8)
        let field = VectorField(dimension: 24, metric: .cosine)
        var shard = VectorFixture(field: field, parameters: Self.parameters)
        for vector in all.prefix(living) { shard.insert(vector) }
        shard.fold()
        for next in living..<all.count {
            shard.insert(all[next])
            shard.remove(next - living)
            if next % 100 == 0 {
                shard.fold()
                shard.repair()
            }
        }
        shard.fold()
        shard.repair()
        var fresh = VectorFixture(field: field, parameters: Self.parameters)
        for vector in all.suffix(living) { fresh.insert(vector) }
        fresh.fold()
        let (churned, built) = (try cost(shard, queries), try cost(fresh, queries))
        print("RESULT repair, everything replaced twice: \(churned), fresh \(built)")
        #expect(churned.recall > built.recall - 0.02, "\(churned) against \(built)")
        #expect(churned.distances < built.distances * 1.1, "\(churned) against \(built)")
        #expect(shard.index.unreachable(shard.visibility) == 0)
    }

    private func cost(
        _ shard: VectorFixture, _ queries: [[Float]]
    ) throws -> (recall: Double, distances: Double) {
        let recall = try recall(shard, queries: queries, efSearch: 40)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for query in queries {
            _ = try shard.search(query, k: 10, efSearch: 40, scratch: &scratch, counters: &counters)
        }
        return (recall, Double(counters.rowsScored) / Double(queries.count))
    }

    @Test func theDeadCostNothingOnceTheyAreOut() throws {
        var shard = fixture(3_000, seed: 5)
        shard.fold()
        let queries = clusteredVectors(count: 50, dimension: 16, centres: 20, seed: 5)
        let before = try cost(shard, queries)
        for slot in stride(from: 0, to: 3_000, by: 4) { shard.remove(slot) }
        shard.repair()
        let after = try cost(shard, queries)
        #expect(after.distances < before.distances * 1.05, "\(after) against \(before)")
        #expect(shard.index.goneCount == 750)
        #expect(shard.index.strayEdges() < 200)
        // What is left of them is swept up when more have gone.
        for slot in stride(from: 1, to: 3_000, by: 8) { shard.remove(slot) }
        shard.repair()
        #expect(shard.index.strayEdges() < 200)
    }

    @Test func aReadOfAnOlderSequenceStillSeesItsRows() throws {
        var shard = fixture(2_000, seed: 6)
        shard.fold()
        let old = shard
        for slot in 0..<2_000 where slot % 3 != 0 { shard.remove(slot) }
        shard.repair()
        #expect(shard.index.goneCount == 1_333)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for slot in stride(from: 1, to: 2_000, by: 50) where slot % 3 != 0 {
            let query = try #require(shard.vectors[slot])
            let (then, plan) = try old.search(
                query, k: 10, scratch: &scratch, counters: &counters)
            #expect(plan.strategy == .flat)
            #expect(then.map(\.slot) == old.bruteForce(query, k: 10).map(\.slot))
            #expect(then.first?.slot == slot)
            let (now, _) = try shard.search(query, k: 10, scratch: &scratch, counters: &counters)
            #expect(now.allSatisfy { $0.slot % 3 == 0 })
        }
    }

    @Test("Where everybody has died a search finds nobody, and who comes then is found")
    func allDieAndOthersCome() throws {
        var shard = fixture(600, seed: 7)
        shard.fold()
        for slot in 0..<600 { shard.remove(slot) }
        shard.repair()
        let queries = clusteredVectors(count: 20, dimension: 16, centres: 20, seed: 7)
        #expect(try recall(shard, queries: queries) == 1)
        for vector in clusteredVectors(count: 900, dimension: 16, centres: 20, seed: 9) {
            shard.insert(vector)
            shard.fold()
        }
        #expect(shard.index.unreachable(shard.visibility) == 0)
        #expect(try recall(shard, queries: queries) > 0.9)
    }

    @Test func rowsThatDiedInTheTailGetNoLinks() throws {
        var shard = fixture(1_000, seed: 11)
        for slot in 0..<1_000 where slot % 2 == 0 { shard.remove(slot) }
        let seq = shard.seq
        for slot in 0..<1_000 where slot % 10 == 1 { shard.remove(slot) }
        while shard.index.foldStep(
            rowsMax: 100, visibility: shard.visibility, deadUpTo: seq,
            cancellation: Cancellation()) > 0
        {}
        #expect(shard.index.graphCount == 1_000)
        #expect(shard.index.goneCount == 500)
        let queries = clusteredVectors(count: 20, dimension: 16, centres: 20, seed: 11)
        #expect(try recall(shard, queries: queries) > 0.95)
        shard.repair()
        #expect(shard.index.goneCount == 600)
        #expect(shard.index.unreachable(shard.visibility) == 0)
        #expect(try recall(shard, queries: queries) > 0.95)
    }

    @Test(
        "A snapshot that was written in the middle of a repair restores a graph that can go on",
        arguments: [1, 40, 300, 699])
    func snapshotsRestoreInTheMiddle(rowsMax: Int) throws {
        var shard = fixture(2_000, seed: 12)
        shard.fold()
        for slot in 0..<2_000 where slot % 20 < 7 { shard.remove(slot) }
        // It is looked for them first.
        _ = shard.repairStep(rowsMax: 1)
        _ = shard.repairStep(rowsMax: rowsMax)
        let stream = MemorySnapshot()
        try shard.index.writeRows(to: stream, slotCount: shard.slotCount)
        try shard.index.writeGraph(to: stream, slotCount: shard.slotCount)
        let rows = try RestoredVectors(
            from: stream, field: shard.index.field, slotCount: shard.slotCount)
        let queries = clusteredVectors(count: 50, dimension: 16, centres: 20, seed: 12)
        var restored = shard
        restored.index = try VectorIndex(rows, graphFrom: stream, parameters: Self.parameters)
        #expect(try recall(restored, queries: queries) > 0.93)
        restored.repair()
        #expect(restored.index.goneCount == 700)
        #expect(restored.index.unreachable(restored.visibility) == 0)
        #expect(try recall(restored, queries: queries) > 0.95)
        for vector in clusteredVectors(count: 500, dimension: 16, centres: 20, seed: 13) {
            restored.insert(vector)
        }
        restored.fold()
        #expect(restored.index.unreachable(restored.visibility) == 0)
        #expect(try recall(restored, queries: queries) > 0.95)
    }

    @Test("Nothing is looked for before somebody has died, or is ripe")
    func repairRests() {
        var shard = fixture(1_000, seed: 14)
        shard.fold()
        #expect(shard.repairStep(rowsMax: 10) == 0)
        shard.remove(5)
        let ripe = shard.seq - 1
        func step(_ shard: VectorFixture, _ deadUpTo: UInt64) -> Int {
            shard.index.repairStep(
                rowsMax: 10, deadUpTo: deadUpTo, deadCount: 1, visibility: shard.visibility,
                cancellation: Cancellation())
        }
        // It sees that it is not ripe yet, once.
        #expect(step(shard, ripe) > 0)
        #expect(step(shard, ripe) == 0)
        #expect(shard.index.goneCount == 0)
        #expect(step(shard, ripe + 1) > 0)
        #expect(step(shard, ripe + 1) == 1)
        #expect(step(shard, ripe + 1) == 0)
        #expect(shard.index.goneCount == 1)
    }
}

extension VectorFixture {
    /// The next living slot at or after one, round the end.
    fileprivate mutating func remove(after slot: Int) {
        for offset in 0..<slotCount {
            let candidate = (slot + offset) % slotCount
            if alive.contains(candidate) { return remove(candidate) }
        }
    }
}
