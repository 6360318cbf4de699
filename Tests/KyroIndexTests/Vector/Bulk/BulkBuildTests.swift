// What holds of every graph that is built at once.
import KyroIndex
import KyroModel
import KyroPlatform
import Testing

@Suite struct BulkBuildTests {
    private static let small = BulkParameters(overlap: 4, leafRows: 64, kept: 8)

    private func fixture(
        _ vectors: [[Float]], metric: Metric, parameters: GraphParameters = .default
    ) -> VectorFixture {
        let field = VectorField(dimension: vectors[0].count, metric: metric)
        var fixture = VectorFixture(field: field, parameters: parameters)
        for vector in vectors { fixture.insert(vector) }
        return fixture
    }

    private func check(_ graph: BulkGraph, rowCount: Int, _ name: Comment) {
        #expect(graph.layers[0].rows == Array(0..<rowCount), name)
        #expect(graph.layers[graph.layers.count - 1].rows.contains(graph.entry), name)
        for (level, layer) in graph.layers.enumerated() {
            let rows = Set(layer.rows)
            if level > 0 { #expect(rows.isSubset(of: graph.layers[level - 1].rows), name) }
            var lists: [Int: [Int]] = [:]
            for (i, row) in layer.rows.enumerated() {
                let neighbours = layer.neighbours(i)
                lists[row] = neighbours
                #expect(neighbours.count <= layer.width, name)
                #expect(!neighbours.contains(row), name)
                #expect(Set(neighbours).count == neighbours.count, name)
                #expect(rows.isSuperset(of: neighbours), name)
            }
            var reached: Set<Int> = [graph.entry]
            var open = [graph.entry]
            while let row = open.popLast() {
                for next in lists[row] ?? [] where reached.insert(next).inserted {
                    open.append(next)
                }
            }
            #expect(reached == rows, "\(name), layer \(level)")
        }
    }

    @Test(arguments: [Metric.cosine, .innerProduct, .l2])
    func listsAreBoundedAndReachEveryRow(metric: Metric) throws {
        for (count, dimension) in [(1, 3), (2, 8), (150, 17), (1_000, 24), (5_000, 40)] {
            let vectors = clusteredVectors(
                count: count, dimension: dimension, centres: 20, seed: 21)
            let graph = try #require(fixture(vectors, metric: metric).bulkGraph(Self.small))
            check(graph, rowCount: count, "\(count) rows of \(dimension), seed 21")
        }
    }

    @Test(arguments: [Metric.cosine, .innerProduct, .l2])
    func copiesAndZeroRowsAreReachedToo(metric: Metric) throws {
        let distinct = clusteredVectors(count: 300, dimension: 16, centres: 4, seed: 22)
        var vectors = distinct
        for i in 0..<2_000 { vectors.append(distinct[i % 3]) }
        vectors += [[Float]](repeating: [Float](repeating: 0, count: 16), count: 700)
        let fixture = fixture(vectors, metric: metric)
        let graph = try #require(fixture.bulkGraph(Self.small))
        check(graph, rowCount: vectors.count, "seed 22")
    }

    @Test func theSeedAloneDecidesWhatIsBuilt() throws {
        let vectors = clusteredVectors(count: 4_000, dimension: 32, centres: 30, seed: 23)
        let fixture = fixture(vectors, metric: .cosine)
        func lists(_ seed: UInt64, threads: Int) throws -> [[[Int]]] {
            var parameters = Self.small
            parameters.seed = seed
            let graph = try #require(fixture.bulkGraph(parameters, threads: threads))
            return graph.layers.map { layer in
                (0..<layer.rows.count).map { layer.neighbours($0) }
            }
        }
        let first = try lists(1, threads: 1)
        #expect(try lists(1, threads: 3) == first)
        #expect(try lists(2, threads: 2) != first)
    }

    @Test(arguments: [Metric.cosine, .innerProduct, .l2])
    func searchesFindAsMuchAsInAGraphGrownRowByRow(metric: Metric) throws {
        let all = clusteredVectors(count: 12_200, dimension: 32, centres: 300, seed: 24)
        let queries = Array(all.suffix(200))
        let bulk = fixture(Array(all.dropLast(200)), metric: metric)
        let best = try truth(bulk, queries)
        let grown = bulk.grown(.default)
        let parameters = BulkParameters(leafRows: 128)
        #expect(bulk.index.install(try #require(bulk.bulkGraph(parameters))))
        #expect(bulk.index.graphCount == 12_000)
        let efs = [30, 40, 56, 80, 112, 160, 240, 400]
        let bulkCurve = try RecallCurve(bulk, queries: queries, truth: best, efs: efs)
        let grownCurve = try RecallCurve(grown, queries: queries, truth: best, efs: efs)
        print("bulk \(metric): \(bulkCurve.points)")
        print("grown \(metric): \(grownCurve.points)")
        for point in grownCurve.points {
            let recall = bulkCurve.recall(distances: point.distances)
            #expect(recall >= point.recall - 0.01, "\(point.distances) distances, seed 24")
        }
    }

    @Test func rowsAppendedLaterAreFoldedBehindTheOthers() throws {
        let vectors = clusteredVectors(count: 6_000, dimension: 24, centres: 50, seed: 25)
        var fixture = fixture(Array(vectors.prefix(5_000)), metric: .l2)
        #expect(fixture.index.install(try #require(fixture.bulkGraph(Self.small))))
        for vector in vectors.suffix(1_000) { fixture.insert(vector) }
        fixture.fold()
        #expect(fixture.index.graphCount == 6_000)
        var scratch = VectorScratch()
        var found = 0
        for query in vectors.suffix(50) {
            var counters = SearchCounters()
            let hits = try fixture.search(
                query, k: 1, scratch: &scratch, counters: &counters
            ).hits
            if hits.first?.score == 0 { found += 1 }
        }
        #expect(found >= 49, "seed 25")
    }

    @Test func aSnapshotKeepsWhatWasInstalled() throws {
        let vectors = clusteredVectors(count: 5_000, dimension: 16, centres: 40, seed: 26)
        var fixture = fixture(vectors, metric: .cosine)
        #expect(fixture.index.install(try #require(fixture.bulkGraph(Self.small))))
        let stream = MemorySnapshot()
        try VectorSnapshotTests.write(fixture, to: stream, slotCount: fixture.slotCount)
        let before = try truth(fixture, [vectors[7]])
        let rows = try RestoredVectors(
            from: stream, field: fixture.index.field, slotCount: fixture.slotCount)
        fixture.index = try VectorIndex(rows, graphFrom: stream)
        #expect(fixture.index.graphCount == 5_000)
        #expect(try truth(fixture, [vectors[7]]) == before)
    }

    @Test func aCancelledBuildGivesNothing() {
        let vectors = clusteredVectors(count: 3_000, dimension: 16, centres: 10, seed: 27)
        let fixture = fixture(vectors, metric: .cosine)
        let cancellation = Cancellation()
        cancellation.cancel()
        let graph = fixture.index.bulkGraph(
            Self.small, visibility: fixture.visibility, workers: SingleWorker(),
            cancellation: cancellation)
        #expect(graph == nil)
    }

    @Test(arguments: [
        BulkStep.partitioning, .pairing, .choosing, .answering, .connecting, .above,
    ])
    func aBuildThatIsCancelledInAStepBeginsNoOther(step: BulkStep) {
        let vectors = clusteredVectors(count: 3_000, dimension: 16, centres: 10, seed: 29)
        let fixture = fixture(vectors, metric: .cosine)
        let cancellation = Cancellation()
        let seen = Locked<[BulkStep]>([])
        let graph = fixture.index.bulkGraph(
            Self.small, visibility: fixture.visibility, workers: ThreadedWorkers(count: 2),
            cancellation: cancellation
        ) { next in
            seen.withLock { $0.append(next) }
            if next == step { cancellation.cancel() }
        }
        #expect(graph == nil)
        #expect(seen.withLock { $0.last } == step, "seed 29")
    }

    @Test func aGraphIsNotShownWhenItsBuildIsCancelled() throws {
        let vectors = clusteredVectors(count: 3_000, dimension: 16, centres: 10, seed: 30)
        let fixture = fixture(vectors, metric: .cosine)
        let graph = try #require(fixture.bulkGraph(Self.small))
        let cancellation = Cancellation()
        cancellation.cancel()
        let successor = VectorIndex(successorOf: fixture.index)
        #expect(!successor.install(graph, cancellation: cancellation))
        #expect(successor.graphCount == 0)
        #expect(fixture.index.install(graph))
    }
}
