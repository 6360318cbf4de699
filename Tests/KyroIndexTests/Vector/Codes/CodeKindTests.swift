// Every kind of codes against brute force: odd dimensions, all metrics, and rows that are hard to
// encode.
import KyroIndex
import KyroModel
import Testing

@Suite struct CodeKindTests {
    static let kinds: [VectorCodes] = [.none, .sq8, .sq4, .bq, .pq]
    static let dimensions = [1, 3, 17, 127, 129, 384, 769]

    /// A fixture with codes of this kind in effect, walked and not scanned.
    static func fixture(
        _ codes: VectorCodes, _ metric: Metric, _ rows: [[Float]], isBulk: Bool = false
    ) -> VectorFixture {
        var field = VectorField(dimension: rows[0].count, metric: metric)
        field.indexing.codes = codes
        var fixture = VectorFixture(field: field, parameters: GraphParameters(flatRowsMax: 100))
        for row in rows { fixture.insert(row) }
        if isBulk { #expect(fixture.build()) } else { fixture.fold() }
        return fixture
    }

    /// Of the best ten by brute force, how many are found; those that score alike count.
    static func recall(
        _ fixture: VectorFixture, _ queries: [[Float]], efSearch: Int = 0
    ) throws -> Double {
        var scratch = VectorScratch()
        var counters = SearchCounters()
        var found = 0
        var wanted = 0
        for query in queries {
            let expected = try fixture.search(
                query, k: 10, exact: true, scratch: &scratch, counters: &counters
            ).hits
            let hits = try fixture.search(
                query, k: 10, efSearch: efSearch, scratch: &scratch, counters: &counters
            ).hits
            #expect(hits.count == expected.count)
            guard let worst = expected.last?.score else { continue }
            found += hits.count { $0.score >= worst }
            wanted += expected.count
        }
        return wanted == 0 ? 1 : Double(found) / Double(wanted)
    }

    @Test(arguments: [
        (384, VectorRerank.f32, VectorCodes.sq8), (385, .f32, .sq4), (385, .bf16, .sq4),
        (385, .none, .sq8),
    ])
    func halfAByteIsTheDefaultWhereDimensionsAreManyAndRowsAreKept(
        dimension: Int, rerank: VectorRerank, expected: VectorCodes
    ) throws {
        var field = VectorField(dimension: dimension)
        field.indexing.rerank = rerank
        var fixture = VectorFixture(field: field)
        fixture.insert([Float](repeating: 1, count: dimension))
        #expect(fixture.index.codes == expected)
    }

    @Test(arguments: kinds, VectorIndexTests.metrics)
    func walksFindWhatBruteForceFindsInAnyDimension(codes: VectorCodes, metric: Metric) throws {
        for dimension in Self.dimensions {
            let rows = clusteredVectors(
                count: 1_500, dimension: dimension, centres: 30, seed: UInt64(dimension))
            let fixture = Self.fixture(codes, metric, rows)
            let queries = Array(rows.prefix(30)).map { $0.map { $0 * 1.01 + 0.01 } }
            let recall = try Self.recall(fixture, queries)
            // One dimension of one bit knows two kinds of rows.
            let least = codes == .bq ? (dimension < 100 ? 0.1 : 0.8) : 0.97
            #expect(recall >= least, "\(codes) \(metric) \(dimension): \(recall)")
        }
    }

    @Test(arguments: kinds, VectorIndexTests.metrics)
    func graphsBuiltAtOnceServeEveryKind(codes: VectorCodes, metric: Metric) throws {
        let rows = clusteredVectors(count: 3_000, dimension: 65, centres: 30, seed: 81)
        let fixture = Self.fixture(codes, metric, rows, isBulk: true)
        #expect(fixture.index.graphCount == 3_000)
        let recall = try Self.recall(fixture, Array(rows.prefix(50)))
        #expect(recall >= (codes == .bq ? 0.75 : 0.97), "\(codes) \(metric): \(recall)")
    }

    /// Nothing is ever hidden by a row that is hard to encode: searches of all candidates find all.
    @Test(arguments: kinds, VectorIndexTests.metrics)
    func hardRowsDoNotHideOthers(codes: VectorCodes, metric: Metric) throws {
        var numbers = SeededNumbers(seed: 82)
        let dimension = 33
        func row(_ scale: Float) -> [Float] {
            (0..<dimension).map { _ in numbers.normal() * scale }
        }
        let most = Float.greatestFiniteMagnitude
        let sets: [(String, [[Float]])] = [
            ("zeros", (0..<300).map { $0 % 3 == 0 ? [Float](repeating: 0, count: 33) : row(1) }),
            ("all equal", (0..<300).map { _ in [Float](repeating: 0.5, count: 33) }),
            ("constant dimension", (0..<300).map { _ in [100] + row(1).dropFirst() }),
            ("tiny", (0..<300).map { _ in row(1e-30) }),
            ("subnormal", (0..<300).map { _ in row(Float(bitPattern: 714)) }),
            ("huge", (0..<300).map { _ in row(1e30) }),
            (
                "the largest",
                (0..<300).map { $0 % 2 == 0 ? row(1) : row(1).map { $0 < 0 ? -most : most } }
            ),
            ("of all sizes", (0..<300).map { row(Float([1e-20, 1, 1e15][$0 % 3])) }),
        ]
        for (name, rows) in sets {
            let fixture = Self.fixture(codes, metric, rows)
            for vector in rows.prefix(20) {
                var scratch = VectorScratch()
                var counters = SearchCounters()
                let (hits, _) = try fixture.search(
                    vector, k: 300, efSearch: 300, scratch: &scratch, counters: &counters)
                #expect(hits.count == 300, "\(name): \(codes) \(metric)")
                let isSorted = zip(hits, hits.dropFirst()).allSatisfy { !($0.score < $1.score) }
                #expect(isSorted, "\(name): \(codes) \(metric)")
            }
        }
    }

    @Test func smallerCodesTakeFewerBytes() throws {
        let rows = clusteredVectors(count: 12_000, dimension: 256, centres: 10, seed: 83)
        var fixture = VectorFixture(field: VectorField(dimension: 256))
        for row in rows { fixture.insert(row) }
        var bytes: [VectorCodes: Int] = [:]
        for codes in Self.kinds {
            let index = try fixture.recoded(VectorIndexing(codes: codes), parameters: .default)
                .index
            #expect(index.codes == codes)
            bytes[codes] = index.codeBytes / 12_000
            #expect(index.residentBytes > index.codeBytes)
        }
        // Columns grow by doubling: up to twice what the rows take, and 8 bytes of terms a row.
        for (codes, wanted) in [(VectorCodes.none, 0), (.sq8, 256), (.sq4, 128), (.bq, 32)] {
            let own = bytes[codes] ?? 0
            #expect(own >= wanted && own <= 2 * (wanted + 8) + 8, "\(codes): \(own)")
        }
    }
}
