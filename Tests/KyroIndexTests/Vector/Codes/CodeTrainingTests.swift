// Codes that are made for the rows there are: when, how well, and from a snapshot.
import Foundation
import KyroIndex
import KyroModel
import Testing

@Suite struct CodeTrainingTests {
    static let parameters = GraphParameters(flatRowsMax: 200)

    /// Rows far from zero, so that a centre is worth knowing.
    static func rows(_ count: Int, around middle: Float = 4, seed: UInt64) -> [[Float]] {
        clusteredVectors(count: count, dimension: 48, centres: 40, seed: seed).map {
            $0.map { $0 + middle }
        }
    }

    static func fixture(
        _ codes: VectorCodes, _ metric: Metric, _ rows: [[Float]]
    ) -> VectorFixture {
        var field = VectorField(dimension: 48, metric: metric)
        field.indexing.codes = codes
        var fixture = VectorFixture(field: field, parameters: parameters)
        for row in rows { fixture.insert(row) }
        return fixture
    }

    @Test(arguments: [VectorCodes.sq4, .bq, .pq], VectorIndexTests.metrics)
    func codesAreTrainedOnceThereAreEnoughRows(codes: VectorCodes, metric: Metric) throws {
        let few = Self.fixture(codes, metric, Self.rows(9_000, seed: 61))
        #expect(!few.index.codesNeedTraining && few.index.codesVersion == 0)
        #expect(few.index.codes == (codes == .pq ? .sq8 : codes))
        let enough = Self.fixture(codes, metric, Self.rows(12_000, seed: 61))
        #expect(enough.index.codesNeedTraining)
        let trained = try enough.recoded(
            VectorIndexing(codes: codes), parameters: Self.parameters)
        #expect(trained.index.codes == codes && trained.index.codesVersion == 1)
        #expect(!trained.index.codesNeedTraining)
        let again = try trained.recoded(VectorIndexing(codes: codes), parameters: Self.parameters)
        #expect(again.index.codesVersion == 1)
        trained.fold()
        let queries = Self.rows(50, seed: 61).map { $0.map { $0 + 0.01 } }
        let recall = try trained.findings(queries, against: .exactSearch).recall
        print("trained \(codes) \(metric): recall@10 \(recall)")
        // 48 bits tell few rows apart; inner products of rows far from zero are all alike.
        let least = codes == .bq ? 0.7 : metric == .innerProduct ? 0.92 : 0.97
        #expect(recall >= least)
    }

    @Test(arguments: [VectorCodes.sq4, .bq, .pq])
    func codesAreTrainedAnewWhenRowsHaveMoved(codes: VectorCodes) throws {
        let first = Self.fixture(codes, .l2, Self.rows(12_000, around: 2, seed: 62))
        var moved = try first.recoded(VectorIndexing(codes: codes), parameters: Self.parameters)
        #expect(!moved.index.codesNeedTraining)
        for row in Self.rows(2_000, around: 2, seed: 63) { moved.insert(row) }
        #expect(!moved.index.codesNeedTraining)
        for row in Self.rows(30_000, around: -9, seed: 64) { moved.insert(row) }
        #expect(moved.index.codesNeedTraining)
        let again = try moved.recoded(VectorIndexing(codes: codes), parameters: Self.parameters)
        #expect(again.index.codesVersion == 2)
    }

    /// A few rows are a thousand times as long as most, and are all the error that there is: who
    /// happens to meet them must not train again and again.
    @Test(arguments: 1...6)
    func trainingSettlesWhereLengthsDiffer(seed: Int) throws {
        var numbers = SeededNumbers(seed: UInt64(seed))
        let rows = (0..<20_000).map { _ in
            let length = pow(Float(10), max(-3, min(3, numbers.normal())))
            return (0..<48).map { _ in numbers.normal() * length }
        }
        for metric in [Metric.l2, .innerProduct] {
            var fixture = Self.fixture(.pq, metric, rows)
            for round in 0..<2 {
                #expect(fixture.index.codesNeedTraining == (round == 0), "seed \(seed)")
                fixture = try fixture.recoded(
                    VectorIndexing(codes: .pq), parameters: Self.parameters)
            }
            #expect(fixture.index.codesVersion == 1, "seed \(seed)")
            #expect(!fixture.index.codesNeedTraining, "seed \(seed)")
        }
    }

    @Test(arguments: CodeKindTests.kinds, VectorIndexTests.metrics)
    func aRestoredIndexAnswersTheSame(codes: VectorCodes, metric: Metric) throws {
        let plain = Self.fixture(codes, metric, Self.rows(11_000, seed: 65))
        let original = try plain.recoded(VectorIndexing(codes: codes), parameters: Self.parameters)
        original.fold()
        var restored = original
        restored.index = try Self.restore(original, Self.snapshot(original))
        #expect(restored.index.codes == codes)
        #expect(restored.index.codesVersion == original.index.codesVersion)
        #expect(restored.index.codeBytes == original.index.codeBytes)
        var scratch = VectorScratch()
        for query in Self.rows(40, seed: 66) {
            var counters = [SearchCounters(), SearchCounters()]
            let expected = try original.search(
                query, k: 10, scratch: &scratch, counters: &counters[0]
            ).hits
            let hits = try restored.search(
                query, k: 10, scratch: &scratch, counters: &counters[1]
            ).hits
            #expect(hits == expected && counters[0] == counters[1])
        }
    }

    /// What codes alone stand for is the document's vector: a restart may not move it, nor many.
    @Test(arguments: [VectorCodes.sq8, .sq4], VectorIndexTests.metrics)
    func whatCodesAloneStandForStays(codes: VectorCodes, metric: Metric) throws {
        var alone = VectorIndexing(codes: codes)
        alone.rerank = .none
        for count in [2_000, 11_000] {
            let plain = Self.fixture(codes, metric, Self.rows(count, around: 1, seed: 72))
            var now = try plain.recoded(alone, parameters: Self.parameters)
            #expect((now.index.codesVersion == 1) == (codes == .sq4 && count > 10_000))
            for row in Self.rows(50, around: 1, seed: 73) { now.insert(row) }
            let slots = Array(stride(from: 0, to: now.slotCount, by: 7))
            let before = try slots.map { try now.index.vector(of: Slot(index: $0)) }
            for restart in 1...3 {
                now.index = try Self.restore(now, Self.snapshot(now))
                let after = try slots.map { try now.index.vector(of: Slot(index: $0)) }
                let isSame = after == before
                #expect(isSame, "\(count) rows, restart \(restart)")
            }
        }
    }

    @Test(arguments: [VectorCodes.sq4, .pq])
    func damagedCodesAreErrorsOrValid(codes: VectorCodes) throws {
        let plain = Self.fixture(codes, .cosine, Self.rows(10_000, seed: 67))
        let original = try plain.recoded(VectorIndexing(codes: codes), parameters: Self.parameters)
        let whole = try Self.snapshot(original)
        for length in stride(from: 0, to: whole.codes.count, by: whole.codes.count / 97 + 1) {
            let cut = MemorySnapshot()
            cut.bytes = Array(whole.codes[..<length])
            #expect(throws: KyroError.self) {
                try RestoredCodes(
                    from: cut, field: original.index.field, slotCount: original.slotCount)
            }
        }
        var numbers = SeededNumbers(seed: 68)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for _ in 0..<60 {
            var damaged = whole
            let position =
                numbers.below(2) == 0 ? numbers.below(60) : numbers.below(whole.codes.count)
            damaged.codes[position] ^= UInt8(1 << numbers.below(8))
            guard let index = try? Self.restore(original, damaged) else { continue }
            var restored = original
            restored.index = index
            _ = try restored.search(
                (0..<48).map { _ in numbers.normal() }, k: 5, scratch: &scratch,
                counters: &counters)
        }
    }

    /// Rows that lost what their codes were made with are encoded as if nothing had been trained.
    @Test func withoutTheirSectionCodesAreMadeAnew() throws {
        let plain = Self.fixture(.pq, .l2, Self.rows(10_000, seed: 69))
        let original = try plain.recoded(VectorIndexing(codes: .pq), parameters: Self.parameters)
        original.fold()
        var bytes = try Self.snapshot(original)
        bytes.codes = []
        var restored = original
        restored.index = try Self.restore(original, bytes)
        #expect(restored.index.codes == .sq8 && restored.index.codesNeedTraining)
        let recall = try restored.findings(Self.rows(30, seed: 69), against: .exactSearch).recall
        #expect(recall >= 0.97)
    }

    private struct Bytes {
        var codes: [UInt8] = []
        var rest: [UInt8] = []
    }

    private static func snapshot(_ fixture: VectorFixture) throws -> Bytes {
        let codes = MemorySnapshot()
        if fixture.index.needsCodesSection {
            try fixture.index.writeCodes(to: codes, slotCount: fixture.slotCount)
        }
        let rest = MemorySnapshot()
        try fixture.index.writeRows(to: rest, slotCount: fixture.slotCount)
        try fixture.index.writeGraph(to: rest, slotCount: fixture.slotCount)
        return Bytes(codes: codes.bytes, rest: rest.bytes)
    }

    private static func restore(_ original: VectorFixture, _ bytes: Bytes) throws -> VectorIndex {
        var codes: RestoredCodes?
        if !bytes.codes.isEmpty {
            let source = MemorySnapshot()
            source.bytes = bytes.codes
            codes = try RestoredCodes(
                from: source, field: original.index.field, slotCount: original.slotCount)
        }
        let source = MemorySnapshot()
        source.bytes = bytes.rest
        let rows = try RestoredVectors(
            from: source, field: original.index.field, slotCount: original.slotCount, codes: codes)
        return try VectorIndex(rows, graphFrom: source, parameters: parameters)
    }
}
