// Fusion, decay and ties on numbers that can be checked by hand.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

@Suite struct RankingTests {
    static let scope = Scope(namespace: "ranking")

    /// Inner products with (1): 4, 3, 2 and none; sparse values at 5: none, 1, 1, 3.
    private func engine(_ shardCount: Int) throws -> TestEngine {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: shardCount))
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 1, metric: .innerProduct)
        let values: [(DocumentID, Float?, Float?, Int64?)] = [
            (.number(1), 4, nil, 1_000), (.number(2), 3, 1, 500), (.text("a"), 2, 1, nil),
            (.text("b"), nil, 3, 2_000),
        ]
        let documents = values.map { id, vector, sparse, time in
            var document = Document(id: id)
            if let vector { document.vectors["v"] = [vector] }
            if let sparse {
                document.sparseVectors["s"] = SparseVector(indices: [5], values: [sparse])
            }
            document.eventTimeMillis = time
            return Mutation.upsert(document)
        }
        try test.write(documents, to: Self.scope, creating: schema)
        return test
    }

    private var both: SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        request.vector = VectorQuery(vector: [1])
        request.sparse = SparseQuery(vector: SparseVector(indices: [5], values: [1]))
        return request
    }

    private func scores(
        _ request: SearchRequest, _ shardCount: Int = 3
    ) throws -> [(DocumentID, Double)] {
        let test = try engine(shardCount)
        defer { test.close() }
        return try test.search(request).hits.map { ($0.id, $0.score) }
    }

    private func expect(
        _ found: [(DocumentID, Double)], _ expected: [(DocumentID, Double)],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(found.map(\.0) == expected.map(\.0), sourceLocation: sourceLocation)
        for (a, b) in zip(found, expected) {
            #expect(abs(a.1 - b.1) < 1e-12, "\(a) \(b)", sourceLocation: sourceLocation)
        }
    }

    @Test func oneLegAloneKeepsItsScores() throws {
        var request = both
        request.sparse = nil
        expect(try scores(request), [(.number(1), 4), (.number(2), 3), (.text("a"), 2)])
    }

    @Test func weightedFusionNormalisesEachLegByItsCandidates() throws {
        // Vector: 1, ½, 0. Sparse: b 1, 2 and a 0. Ties by id, numbers first.
        expect(
            try scores(both),
            [(.number(1), 1), (.text("b"), 1), (.number(2), 0.5), (.text("a"), 0)])
        var request = both
        request.fusion = Fusion(weights: LegWeights(vector: 0.5, sparse: 2, text: 9))
        expect(
            try scores(request),
            [(.text("b"), 2), (.number(1), 0.5), (.number(2), 0.25), (.text("a"), 0)])
    }

    @Test func zScoresAreCountedFromTheLastCandidate() throws {
        // Vector 4, 3, 2: σ = √(2/3). Sparse 3, 1, 1: σ = √(8/9).
        var request = both
        request.fusion = Fusion(normalisation: .zScore)
        let (v, s) = ((2.0 / 3).squareRoot(), (8.0 / 9).squareRoot())
        expect(
            try scores(request),
            [(.number(1), 2 / v), (.text("b"), 2 / s), (.number(2), 1 / v), (.text("a"), 0)])
    }

    @Test func distributionSharesLieWithinThreeDeviations() throws {
        var request = both
        request.fusion = Fusion(
            weights: LegWeights(vector: 2, sparse: 1, text: 1), normalisation: .distribution)
        let (v, s) = ((2.0 / 3).squareRoot(), (8.0 / 9).squareRoot())
        let low = 0.5 - 2 / 3 / (6 * s)
        expect(
            try scores(request),
            [
                (.number(1), 2 * (0.5 + 1 / (6 * v))), (.number(2), 1 + low),
                (.text("a"), 2 * (0.5 - 1 / (6 * v)) + low),
                (.text("b"), 0.5 + 4 / 3 / (6 * s)),
            ])
    }

    @Test func theGreatestLegCountsAlone() throws {
        var request = both
        request.fusion = Fusion(
            method: .max, weights: LegWeights(vector: 1, sparse: 0.25, text: 1))
        expect(
            try scores(request),
            [(.number(1), 1), (.number(2), 0.5), (.text("b"), 0.25), (.text("a"), 0)])
    }

    @Test func equalScoresCountTheSameInEveryNormalisation() throws {
        var request = both
        request.vector = nil
        request.filter = nil
        request.timeRange = TimeRange(fromMillis: 0, toMillis: 1_000)
        for (normalisation, share) in [
            (ScoreNormalisation.minMax, 1.0), (.zScore, 1), (.distribution, 0.5),
        ] {
            request.fusion = Fusion(normalisation: normalisation)
            expect(try scores(request), [(.number(2), share)])
        }
    }

    @Test func legsTakeTheirOwnNumbersOfCandidates() throws {
        var request = both
        request.fusion = Fusion(method: .rrf, candidates: LegCandidates(vector: 1, sparse: 2))
        expect(
            try scores(request),
            [(.number(1), 1.0 / 61), (.text("b"), 1.0 / 61), (.number(2), 1.0 / 62)])
        request.fusion?.candidates = LegCandidates(vector: 1)
        #expect(try scores(request).count == 4)
    }

    @Test func decayHasThreeShapesAndAFloor() throws {
        var request = both
        request.sparse = nil
        request.fusion = Fusion(method: .rrf, rrfK: 1)
        func factors(_ decay: TimeDecay) throws -> [Double] {
            request.timeDecay = decay
            let found = try scores(request)
            // Without a time 1/4; the two others are 1/2 and 1/3 before decay.
            return [
                2 * (found.first { $0.0 == .number(1) }?.1 ?? -1),
                3 * (found.first { $0.0 == .number(2) }?.1 ?? -1),
                4 * (found.first { $0.0 == .text("a") }?.1 ?? -1),
            ]
        }
        func near(_ a: [Double], _ b: [Double]) -> Bool {
            zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 }
        }
        // Ages 500 and 1,000.
        let linear = TimeDecay(halfLifeMillis: 500, originMillis: 1_500, shape: .linear)
        #expect(try near(factors(linear), [0.5, 0, 1]))
        var gauss = TimeDecay(halfLifeMillis: 500, originMillis: 1_500, shape: .gauss)
        #expect(try near(factors(gauss), [0.5, 1.0 / 16, 1]))
        gauss.offsetMillis = 500
        #expect(try near(factors(gauss), [1, 0.5, 1]))
        gauss.offsetMillis = 0
        gauss.floor = 0.25
        #expect(try near(factors(gauss), [0.5, 0.25, 1]))
    }

    @Test(arguments: [FusionMethod.weighted, .rrf, .max])
    func detailsAddUpToTheScore(method: FusionMethod) throws {
        var request = both
        request.fusion = Fusion(
            method: method, weights: LegWeights(vector: 0.7, sparse: 1.9, text: 1))
        request.timeDecay = TimeDecay(halfLifeMillis: 700, originMillis: 2_500)
        request.explain = true
        let test = try engine(3)
        defer { test.close() }
        let response = try test.search(request)
        #expect(response.hits.count == 4)
        for hit in response.hits {
            let details = try #require(hit.details)
            #expect((details.vector == nil) == (hit.vector == nil))
            #expect((details.sparse == nil) == (hit.sparse == nil))
            let parts = [details.vector, details.sparse].compactMap { $0?.weighted }
            #expect(details.fused == (method == .max ? parts.max() : parts.reduce(0, +)))
            #expect(hit.score == details.fused * details.decay)
            #expect((details.decay == 1) == (hit.id == .text("a")))
        }
        let explain = try #require(response.explain)
        #expect(explain.vector?.candidates == 3)
        #expect(explain.vector?.asked == 100)
        #expect(explain.sparse?.weight == 1.9)
        #expect(explain.sparse?.best == 3)
        #expect(explain.text == nil)
        #expect(explain.shards.reduce(0) { $0 + $1.sparseCandidates } == 3)
        #expect(explain.shards.reduce(0) { $0 + $1.postingsListed } >= 3)
        request.explain = false
        #expect(try test.search(request).hits.allSatisfy { $0.details == nil })
    }

    @Test func candidatesOfOneScoreCountAsOne() throws {
        var request = both
        request.vector = nil
        request.filter = nil
        request.fusion = Fusion()
        request.timeRange = TimeRange(fromMillis: 0, toMillis: 1_000)
        expect(try scores(request), [(.number(2), 1)])
    }

    @Test func reciprocalRanksAddUp() throws {
        var request = both
        request.fusion = Fusion(method: .rrf)
        // Vector: 1, 2, a. Sparse: b, 2, a.
        expect(
            try scores(request),
            [
                (.number(2), 2.0 / 62), (.text("a"), 2.0 / 63), (.number(1), 1.0 / 61),
                (.text("b"), 1.0 / 61),
            ])
        request.fusion = Fusion(
            method: .rrf, rrfK: 1, weights: LegWeights(vector: 1, sparse: 3, text: 1))
        expect(
            try scores(request),
            [
                (.text("b"), 1.5), (.number(2), 1.0 / 3 + 1), (.text("a"), 0.25 + 0.75),
                (.number(1), 0.5),
            ])
    }

    /// A leg is cut to the page at least; what is cut gets nothing from it.
    @Test func candidatesAreCutOverAllShardsBeforeFusion() throws {
        var request = both
        request.limit = 1
        request.candidates = 1
        expect(try scores(request), [(.number(1), 1)])
        request.offset = 1
        expect(try scores(request), [(.text("b"), 1)])
        request.candidates = 4
        request.offset = 3
        expect(try scores(request), [(.text("a"), 0)])
        request.offset = 4
        expect(try scores(request), [])
    }

    @Test func scoresHalveWithEachHalfLife() throws {
        var request = both
        request.sparse = nil
        request.timeDecay = TimeDecay(halfLifeMillis: 500, originMillis: 1_000)
        // Normalised 1, ½, 0; ages 0, 500 and none.
        expect(try scores(request), [(.number(1), 1), (.number(2), 0.25), (.text("a"), 0)])
        request.vector = nil
        request.sparse = both.sparse
        request.fusion = Fusion(method: .rrf, rrfK: 1)
        // The future is as good as now; no time, no decay.
        expect(
            try scores(request), [(.text("b"), 0.5), (.text("a"), 0.25), (.number(2), 1.0 / 6)])
        // Now is the engine's clock: 1,000 s, two half-lives of a document at 0.5 s.
        request.timeDecay = TimeDecay(halfLifeMillis: 999_500 / 2)
        request.timeRange = TimeRange(toMillis: 600)
        expect(try scores(request), [(.number(2), 0.5 / 4)])
    }

    /// Finite vectors whose products are not: scores stay numbers, the order that of the products.
    @Test(arguments: [Metric.innerProduct, .l2, .cosine])
    func hugeVectorsGiveNoInfinities(metric: Metric) throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 2, metric: metric)
        let huge = Float.greatestFiniteMagnitude
        let vectors: [[Float]] = [[huge, huge], [-huge, -huge], [1, 1], [huge, -huge], [1, 0]]
        let documents = vectors.enumerated().map { index, vector in
            var document = Document(id: .number(UInt64(index)))
            document.vectors["v"] = vector
            document.sparseVectors["s"] = SparseVector(indices: [1], values: [vector[0]])
            return Mutation.upsert(document)
        }
        try test.write(documents, to: Self.scope, creating: schema)
        var request = SearchRequest(scope: Self.scope)
        request.vector = VectorQuery(vector: [huge, huge])
        request.sparse = SparseQuery(vector: SparseVector(indices: [1], values: [huge]))
        for exact in [true, false] {
            request.exact = exact
            let hits = try test.search(request).hits
            #expect(hits.first?.id == .number(0), "\(hits)")
            #expect(hits.count == 5)
            for hit in hits {
                #expect(hit.score.isFinite, "\(hit)")
                #expect(hit.vector?.score.isFinite == true, "\(hit)")
                #expect(hit.sparse?.score.isFinite == true, "\(hit)")
            }
        }
    }
}
