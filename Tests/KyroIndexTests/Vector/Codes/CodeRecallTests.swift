// What each kind of codes finds, on real embeddings and on synthetic rows of 768 dimensions.
import Foundation
import KyroIndex
import KyroModel
import Testing

@Suite(.serialized) struct CodeRecallTests {
    static let kinds: [VectorCodes] = [.none, .sq8, .sq4, .bq, .pq]
    static let efs = [32, 48, 64, 96, 128, 192, 256, 384]

    /// Recall@10 at efSearch 96 that each kind is to have on real embeddings.
    static func stated(_ codes: VectorCodes) -> Double {
        switch codes {
        case .automatic, .none, .sq8, .sq4: 0.97
        case .bq: 0.85
        case .pq: 0.93
        }
    }

    @Test func everyKindKeepsItsStatedRecallOnRealEmbeddings() throws {
        guard let (corpus, queries) = WordnetTests.load() else { return }
        var numbers = SeededNumbers(seed: 11)
        var order = Array(0..<corpus.rows)
        for i in stride(from: order.count - 1, to: 0, by: -1) {
            order.swapAt(i, numbers.below(i + 1))
        }
        var fixture = VectorFixture(field: VectorField(dimension: corpus.columns))
        for row in order { fixture.insert(corpus.row(row)) }
        let asked = (0..<min(queries.rows, 200)).map { queries.row($0) }
        let curves = try Self.curves(fixture, asked, name: "wordnet")
        for (codes, curve) in curves {
            let recall = try #require(curve.points.first { $0.ef == 96 }).recall
            #expect(recall >= Self.stated(codes), "\(codes)")
        }
    }

    @Test func everyKindKeepsItsStatedRecallOnManyDimensions() throws {
        let rows = LatentVectors(dimension: 768, seed: 71)
        var field = VectorField(dimension: 768)
        field.indexing.codes = .sq8
        var fixture = VectorFixture(field: field)
        for i in 0..<12_000 { fixture.insert(rows[i]) }
        let asked = (0..<100).map { rows[1_000_000 + $0] }
        let curves = try Self.curves(fixture, asked, name: "latent 768")
        for (codes, curve) in curves {
            let recall = try #require(curve.points.first { $0.ef == 96 }).recall
            #expect(recall >= Self.stated(codes), "\(codes)")
        }
    }

    /// All over the same graph, so that the codes alone make the difference.
    private static func curves(
        _ fixture: VectorFixture, _ asked: [[Float]], name: String
    ) throws -> [(VectorCodes, RecallCurve)] {
        let best = try truth(fixture, asked)
        let wanted = ProcessInfo.processInfo.environment["KYRODB_CODES"]
        return try kinds.filter { wanted == nil || wanted == "\($0)" }.map { codes in
            let clock = ContinuousClock()
            var recoded = fixture
            let coding = try clock.measure {
                recoded = try fixture.recoded(
                    VectorIndexing(codes: codes), parameters: fixture.index.parameters)
            }
            #expect(recoded.index.codes == codes)
            #expect(recoded.build())
            let searched = clock.now
            let curve = try RecallCurve(recoded, queries: asked, truth: best, efs: efs)
            let micros =
                (clock.now - searched) / .microseconds(1) / Double(asked.count * efs.count)
            let perRow = recoded.index.codeBytes / max(1, recoded.index.rowCount)
            print(
                "RESULT \(name), \(codes): \(perRow) bytes of codes a row, coded at",
                "\(coding / .microseconds(fixture.index.rowCount)) µs a row,",
                "\(Int(micros)) µs a query")
            for point in curve.points {
                print("  ef \(point.ef): recall \(point.recall), \(Int(point.distances)) distances")
            }
            return (codes, curve)
        }
    }
}
