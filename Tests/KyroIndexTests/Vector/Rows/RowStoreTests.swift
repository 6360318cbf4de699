// What a field keeps of its rows: floats, halves of them, or codes alone.
import KyroIndex
import KyroModel
import Testing

@Suite struct RowStoreTests {
    static func filled(
        _ metric: Metric, _ indexing: VectorIndexing, count: Int, dimension: Int = 24,
        seed: UInt64 = 41, folds: Bool = true
    ) -> VectorFixture {
        var fixture = VectorFixture(
            field: VectorField(dimension: dimension, metric: metric, indexing: indexing),
            parameters: GraphParameters(flatRowsMax: 200))
        let vectors = clusteredVectors(count: count, dimension: dimension, centres: 20, seed: seed)
        for (i, vector) in vectors.enumerated() {
            if i == count - 50, folds { fixture.fold() }
            fixture.insert(vector)
        }
        return fixture
    }

    static let queries = clusteredVectors(count: 40, dimension: 24, centres: 20, seed: 42)

    @Test(arguments: [0, 1, 3, 17, 768, 1_000])
    func halvesAreRoundedToTheNearestEven(offset: Int) throws {
        var fixture = VectorFixture(
            field: VectorField(
                dimension: 32, metric: .l2, indexing: .keeping(.bf16, .memory)))
        var numbers = SeededNumbers(seed: UInt64(offset))
        var values: [Float] = [
            0, -0.0, 1, -1, 1.003_906_25, 1.011_718_75, .leastNonzeroMagnitude,
            .leastNormalMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
        ]
        while values.count < 32 {
            let bits = UInt32(numbers.below(1 << 32))
            let value = Float(bitPattern: bits)
            if value.isFinite { values.append(value) }
        }
        fixture.insert(values)
        let kept = try #require(try fixture.index.vector(of: Slot(index: 0)))
        #expect(kept.map(\.bitPattern) == rounded(values).map(\.bitPattern), "offset \(offset)")
        let isFinite = kept.allSatisfy(\.isFinite)
        #expect(isFinite)
    }

    @Test(arguments: VectorIndexTests.metrics)
    func scoresAreThoseOfTheRoundedRows(metric: Metric) throws {
        let fixture = Self.filled(metric, .keeping(.bf16, .memory), count: 1_500)
        var whole = fixture
        whole.vectors = fixture.vectors.map { $0.map(rounded) }
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for query in Self.queries {
            for exact in [true, false] {
                let (hits, _) = try fixture.search(
                    query, k: 10, exact: exact, scratch: &scratch, counters: &counters)
                for hit in hits {
                    let score = try #require(whole.score(query, hit.slot))
                    let error = abs(Double(hit.score) - score)
                    #expect(error <= 1e-6 * max(1, abs(score)), "\(hit.score) for \(score)")
                }
                if exact {
                    #expect(hits.map(\.slot) == whole.bruteForce(query, k: 10).map(\.slot))
                }
            }
        }
        #expect(try whole.findings(Self.queries).recall > 0.97)
    }

    @Test(arguments: VectorIndexTests.metrics)
    func codesAloneFindWhatIsNear(metric: Metric) throws {
        let fixture = Self.filled(metric, .keeping(.none, .memory), count: 1_500)
        #expect(fixture.index.rowBytes == 0)
        #expect(try fixture.findings(Self.queries).recall > 0.9)
        // A snapshot gives back the same codes, so that nothing changes with a restart.
        let restored = try fixture.restored(try fixture.snapshot())
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for (slot, vector) in fixture.vectors.enumerated() {
            let kept = try #require(try fixture.index.vector(of: Slot(index: slot)))
            let largest = (vector ?? []).map(abs).max() ?? 0
            for (a, b) in zip(kept, vector ?? []) { #expect(abs(a - b) <= largest / 250) }
        }
        for query in Self.queries {
            let (expected, _) = try fixture.search(
                query, k: 10, scratch: &scratch, counters: &counters)
            let (hits, _) = try restored.search(
                query, k: 10, scratch: &scratch, counters: &counters)
            #expect(hits.map(\.slot) == expected.map(\.slot))
        }
    }

    @Test(arguments: [VectorRerank.f32, .bf16, .none], [VectorRerank.f32, .bf16, .none])
    func aSnapshotIsReadByAFieldThatKeepsSomethingElse(
        written: VectorRerank, read: VectorRerank
    ) throws {
        let original = Self.filled(.cosine, .keeping(written, .memory), count: 700)
        let bytes = try original.snapshot()
        for storage in VectorStorage.allCases {
            let restored = try original.restored(
                bytes, SnapshotFile(bytes.rows), indexing: .keeping(read, storage))
            #expect(restored.index.rowCount == 700)
            for slot in stride(from: 0, to: 700, by: 13) {
                let before = try #require(try original.index.vector(of: Slot(index: slot)))
                let after = try #require(try restored.index.vector(of: Slot(index: slot)))
                switch read {
                case .f32: #expect(after == before)
                case .bf16: #expect(after == rounded(before))
                case .none: #expect(farthest(after, before) < 0.05)
                }
            }
            #expect(try restored.findings(Self.queries).recall > 0.9)
        }
    }

    @Test func halvesTakeHalfTheMemory() {
        let floats = Self.filled(.l2, .default, count: 5_000, dimension: 256, folds: false)
        let halves = Self.filled(
            .l2, .keeping(.bf16, .memory), count: 5_000, dimension: 256, folds: false)
        #expect(floats.index.rowBytes >= 5_000 * 1_024)
        #expect(halves.index.rowBytes < floats.index.rowBytes * 51 / 100)
    }

    @Test(arguments: [VectorRerank.f32, .bf16, .none], [VectorRerank.f32, .bf16, .none])
    func rowsAreTakenOverByAFieldThatKeepsSomethingElse(
        old: VectorRerank, new: VectorRerank
    ) throws {
        let source = Self.filled(.l2, .keeping(old, .memory), count: 300, folds: false)
        for storage in VectorStorage.allCases {
            let target = VectorIndex(
                field: VectorField(
                    dimension: 24, metric: .l2, indexing: .keeping(new, storage)))
            var map = SlotMap()
            for slot in 0..<300 { map.append(slot % 3 == 0 ? nil : slot - slot / 3 - 1) }
            try target.takeRows(from: source.index, 0..<300, below: 300, map: map)
            #expect(target.rowCount == 200)
            for slot in 0..<300 where slot % 3 != 0 {
                let before = try #require(try source.index.vector(of: Slot(index: slot)))
                let after = try target.vector(of: Slot(index: slot - slot / 3 - 1))
                switch new {
                case .f32: #expect(after == before)
                case .bf16: #expect(after == rounded(before))
                case .none: #expect(farthest(after ?? [], before) < 0.1)
                }
            }
        }
    }
}

/// The largest difference of two elements.
private func farthest(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
}
