// A snapshot holds the index as it is, and a damaged one is refused.
import KyroIndex
import KyroModel
import Testing

@Suite struct VectorSnapshotTests {
    static let parameters = GraphParameters(flatRowsMax: 200)

    static func filled(_ metric: Metric, count: Int, tail: Int) -> VectorFixture {
        var fixture = VectorFixture(
            field: VectorField(dimension: 20, metric: metric),
            parameters: parameters)
        let vectors = clusteredVectors(count: count, dimension: 20, centres: 15, seed: 21)
        for (i, vector) in vectors.enumerated() {
            if i == count - tail { fixture.fold() }
            fixture.insert(i % 5 == 4 ? nil : vector)
        }
        return fixture
    }

    /// Rows and graph one behind the other.
    static func write(
        _ fixture: VectorFixture, to stream: MemorySnapshot, slotCount: Int
    ) throws {
        try fixture.index.writeRows(to: stream, slotCount: slotCount)
        try fixture.index.writeGraph(to: stream, slotCount: slotCount)
    }

    static func restore(
        _ stream: MemorySnapshot, like original: VectorFixture, field: VectorField? = nil
    ) throws -> VectorIndex {
        let rows = try RestoredVectors(
            from: stream, field: field ?? original.index.field, slotCount: original.slotCount)
        return try VectorIndex(rows, graphFrom: stream, parameters: parameters)
    }

    @Test(arguments: VectorIndexTests.metrics)
    func aRestoredIndexAnswersTheSame(metric: Metric) throws {
        var original = Self.filled(metric, count: 3_000, tail: 100)
        let stream = MemorySnapshot()
        try Self.write(original, to: stream, slotCount: original.slotCount)
        var restored = original
        restored.index = try Self.restore(stream, like: original)
        #expect(restored.index.graphCount == original.index.graphCount)
        #expect(restored.index.rowCount == original.index.rowCount)
        var scratch = VectorScratch()
        for query in clusteredVectors(count: 50, dimension: 20, centres: 15, seed: 22) {
            for k in [1, 10, 100] {
                var counters = [SearchCounters(), SearchCounters()]
                let expected = try original.search(
                    query, k: k, scratch: &scratch, counters: &counters[0])
                let hits = try restored.search(
                    query, k: k, scratch: &scratch, counters: &counters[1])
                let isEqual = hits.hits == expected.hits && counters[0] == counters[1]
                #expect(isEqual, "k \(k)")
            }
        }
        // Both grow on alike.
        for vector in clusteredVectors(count: 200, dimension: 20, centres: 15, seed: 23) {
            original.insert(vector)
            restored.index.append(vector, slot: Slot(index: original.slotCount - 1))
        }
        original.fold()
        restored.slotCount = original.slotCount
        restored.fold()
        let again = [MemorySnapshot(), MemorySnapshot()]
        try Self.write(original, to: again[0], slotCount: original.slotCount)
        try Self.write(restored, to: again[1], slotCount: original.slotCount)
        let isEqual = again[0].bytes == again[1].bytes
        #expect(isEqual)
    }

    @Test func anEarlierSlotCountLeavesLaterRowsOut() throws {
        let original = Self.filled(.l2, count: 2_000, tail: 0)
        for slotCount in [0, 1, 4, 5, 777, 1_999, 2_000] {
            let stream = MemorySnapshot()
            try Self.write(original, to: stream, slotCount: slotCount)
            var restored = original
            restored.index = try Self.restore(stream, like: original)
            restored.slotCount = slotCount
            #expect(restored.index.rowCount == slotCount - slotCount / 5)
            restored.alive = Set(0..<slotCount)
            var scratch = VectorScratch()
            var counters = SearchCounters()
            for query in clusteredVectors(count: 20, dimension: 20, centres: 15, seed: 24) {
                let expected = restored.bruteForce(query, k: 1)
                let (hits, _) = try restored.search(
                    query, k: 1, efSearch: 300, scratch: &scratch, counters: &counters)
                #expect(hits.map(\.slot) == expected.map(\.slot), "\(slotCount) slots")
            }
        }
    }

    @Test func truncatedAndDamagedSnapshotsAreErrorsOrValid() throws {
        let original = Self.filled(.cosine, count: 500, tail: 20)
        let stream = MemorySnapshot()
        try Self.write(original, to: stream, slotCount: original.slotCount)
        let whole = stream.bytes
        for length in stride(from: 0, to: whole.count, by: 997) {
            let cut = MemorySnapshot()
            cut.bytes = Array(whole[..<length])
            #expect(throws: KyroError.self) {
                try Self.restore(cut, like: original)
            }
        }
        var numbers = SeededNumbers(seed: 25)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for _ in 0..<300 {
            let damaged = MemorySnapshot()
            damaged.bytes = whole
            // The header and the lists at the end are where a wrong number could lead astray.
            let position =
                numbers.below(2) == 0
                ? numbers.below(24 + 400 * 4) : whole.count - 1 - numbers.below(whole.count / 2)
            damaged.bytes[position] ^= UInt8(1 << numbers.below(8))
            guard let index = try? Self.restore(damaged, like: original) else {
                continue
            }
            var restored = original
            restored.index = index
            let query = (0..<20).map { _ in numbers.normal() }
            _ = try restored.search(query, k: 5, scratch: &scratch, counters: &counters)
        }
    }

    @Test func withoutItsGraphAnIndexGrowsOneAnew() throws {
        let original = Self.filled(.cosine, count: 1_500, tail: 1)
        original.fold()
        let stream = MemorySnapshot()
        try original.index.writeRows(to: stream, slotCount: original.slotCount)
        let rows = try RestoredVectors(
            from: stream, field: original.index.field, slotCount: original.slotCount)
        var restored = original
        restored.index = VectorIndex(rows, parameters: Self.parameters)
        #expect(restored.index.graphCount == 0)
        restored.fold()
        #expect(restored.index.graphCount == original.index.graphCount)
        let again = [MemorySnapshot(), MemorySnapshot()]
        try Self.write(original, to: again[0], slotCount: original.slotCount)
        try Self.write(restored, to: again[1], slotCount: original.slotCount)
        let isEqual = again[0].bytes == again[1].bytes
        #expect(isEqual)
    }

    @Test func anotherFieldsSnapshotIsRefused() throws {
        let original = Self.filled(.cosine, count: 10, tail: 0)
        for field in [
            VectorField(dimension: 21, metric: .cosine), VectorField(dimension: 20, metric: .l2),
        ] {
            let stream = MemorySnapshot()
            try Self.write(original, to: stream, slotCount: 10)
            #expect(throws: KyroError.self) {
                try Self.restore(stream, like: original, field: field)
            }
        }
    }
}
