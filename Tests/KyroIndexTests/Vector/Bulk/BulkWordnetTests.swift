// Build rate and recall of the bulk build on real embeddings, where `KYRODB_DATA` says they lie.
import Foundation
import Glibc
import KyroIndex
import KyroModel
import Testing

@Suite(.serialized) struct BulkWordnetTests {
    /// `KYRODB_BULK` sets parameters, as in "overlap=6,kept=8,leafRows=256,alpha=1.1,threads=2".
    private static var settings: [String: Double] {
        var values: [String: Double] = [:]
        let text = ProcessInfo.processInfo.environment["KYRODB_BULK"] ?? ""
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=")
            if pair.count == 2 { values[String(pair[0])] = Double(pair[1]) }
        }
        return values
    }

    @Test func theSameRecallForAsManyDistancesAsAGraphGrownRowByRow() throws {
        guard let (corpus, queries) = WordnetTests.load() else { return }
        let values = Self.settings
        let parameters = BulkParameters(
            overlap: Int(values["overlap"] ?? 8), leafRows: Int(values["leafRows"] ?? 384),
            kept: Int(values["kept"] ?? 8), alpha: Float(values["alpha"] ?? 1.1),
            groupsProbed: Int(values["probed"] ?? 16))
        let field = VectorField(dimension: corpus.columns, metric: .cosine)
        let numbers = SeededNumbers(seed: 11)
        let bulk = Self.fixture(corpus, field: field, numbers: numbers)
        let clock = ContinuousClock()
        let askedCount = min(queries.rows, Int(values["queries"] ?? 200))
        let asked = (0..<askedCount).map { queries.row($0) }
        let best = try truth(bulk, asked)

        let times = StepTimes()
        let threads = Int(values["threads"] ?? 2)
        var graph: BulkGraph?
        let built = clock.measure {
            graph = bulk.bulkGraph(parameters, threads: threads) { times.note($0) }
        }
        let lists = try #require(graph)
        let degrees = (0..<lists.layers[0].rows.count).map {
            lists.layers[0].neighbours($0).count
        }
        #expect(bulk.index.install(lists))
        print(
            "RESULT bulk: \(Int(Double(corpus.rows) / (built / .seconds(1)))) vectors/s on",
            "\(threads) threads,",
            "\(Double(times.processorMicros) / Double(corpus.rows)) µs of processor each;",
            times.description,
            "; mean degree \(Double(degrees.reduce(0, +)) / Double(degrees.count)),",
            "repaired \(lists.layers.map(\.repaired))")
        let efs = [30, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 448, 640]
        let bulkCurve = try RecallCurve(bulk, queries: asked, truth: best, efs: efs)
        Self.report("bulk", bulkCurve)
        guard values["grown"] != 0 else { return }
        let grown = Self.fixture(corpus, field: field, numbers: numbers)
        let began = Glibc.clock()
        let growing = clock.measure { grown.fold() }
        let processorMicros = Double(Glibc.clock() - began)
        print(
            "RESULT grown: \(Int(Double(corpus.rows) / (growing / .seconds(1)))) vectors/s on",
            "one thread,",
            "\(processorMicros / Double(corpus.rows)) µs of processor each")
        let grownCurve = try RecallCurve(grown, queries: asked, truth: best, efs: efs)
        Self.report("grown", grownCurve)
        for point in grownCurve.points {
            let recall = bulkCurve.recall(distances: point.distances)
            #expect(recall >= point.recall - 0.01, "\(point.distances) distances")
        }
    }

    private static func report(_ name: String, _ curve: RecallCurve) {
        for recall in [0.95, 0.97, 0.99] {
            let distances = curve.distances(recall: recall).map { String(Int($0)) } ?? "-"
            print("RESULT \(name): \(distances) distances a query at recall@10 \(recall)")
        }
        for point in curve.points {
            print("\(name): ef \(point.ef), recall \(point.recall), \(Int(point.distances))")
        }
    }

    /// One index, rows in random order.
    private static func fixture(
        _ corpus: NumPyArray, field: VectorField, numbers: SeededNumbers
    ) -> VectorFixture {
        var fixture = VectorFixture(field: field)
        var numbers = numbers
        var order = Array(0..<corpus.rows)
        for i in stride(from: order.count - 1, to: 0, by: -1) {
            order.swapAt(i, numbers.below(i + 1))
        }
        for row in order { fixture.insert(corpus.row(row)) }
        return fixture
    }
}
