// What a searcher is told about a question that cannot be answered.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

@Suite struct QueryValidationTests {
    static let scope = Scope(namespace: "questions")

    private func error(
        _ test: TestEngine, _ change: (inout SearchRequest) -> Void
    ) -> KyroError? {
        var request = SearchRequest(scope: Self.scope)
        request.vector = VectorQuery(field: "v", vector: [1, 2, 3])
        change(&request)
        do throws(KyroError) {
            _ = try test.engine.search(request, cancellation: Cancellation())
            return nil
        } catch {
            return error
        }
    }

    @Test func eachMistakeIsNamed() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var schema = World.schema
        schema.vectors["v"] = VectorField(dimension: 3)
        schema.metadata["n"] = .int64
        try test.create(Self.scope, schema)
        #expect(error(test) { _ in } == nil)
        let mistakes: [(String, KyroError.Reason, (inout SearchRequest) -> Void)] = [
            ("limit", .limitExceeded, { $0.limit = 0 }),
            ("limit", .limitExceeded, { $0.limit = 10_001 }),
            ("offset", .limitExceeded, { $0.offset = 9_995 }),
            ("candidates", .limitExceeded, { $0.candidates = 10_001 }),
            ("vector", .invalidField, { $0.vector = nil }),
            ("vector.vector", .dimensionMismatch, { $0.vector?.vector = [1] }),
            ("vector.vector", .invalidField, { $0.vector?.vector = [1, .nan, 0] }),
            ("vector.vector", .invalidField, { $0.vector?.vector = [0, 0, 0] }),
            ("vector.field", .fieldNotFound, { $0.vector?.field = "nowhere" }),
            ("vector.field", .invalidField, { $0.vector?.field = "" }),
            ("vector.ef_search", .limitExceeded, { $0.vector?.efSearch = 10_001 }),
            ("vector.recall", .invalidField, { $0.vector?.recall = 0.4 }),
            ("vector.recall", .invalidField, { $0.vector?.recall = 1.01 }),
            ("vector.recall", .invalidField, { $0.vector?.recall = -0.9 }),
            ("vector.recall", .invalidField, { $0.vector?.recall = .nan }),
            (
                "vector.recall", .invalidField,
                {
                    $0.vector = VectorQuery(
                        field: "v", vector: [1, 2, 3], efSearch: 10, recall: 0.9)
                }
            ),
            (
                "vector.recall", .invalidField,
                { $0.vector = VectorQuery(field: "v", vector: [1, 2, 3], probes: 4, recall: 0.9) }
            ),
            (
                "sparse.vector", .invalidField,
                { $0.sparse = SparseQuery(field: "s1", vector: .init()) }
            ),
            ("text.fields", .fieldNotFound, { $0.text = TextQuery(query: "x", fields: ["no"]) }),
            ("text.boosts", .fieldNotFound, { $0.text = Self.boosted(["no": 1]) }),
            ("text.boosts", .invalidField, { $0.text = Self.boosted(["title": 1]) }),
            ("text.boosts", .invalidField, { $0.text = Self.boosted(["body": -1]) }),
            ("text.boosts", .invalidField, { $0.text = Self.boosted(["body": .nan]) }),
            ("text.boosts", .invalidField, { $0.text = Self.boosted(["body": 1e7]) }),
            (
                "time_range", .invalidField,
                { $0.timeRange = TimeRange(fromMillis: 5, toMillis: 4) }
            ),
            (
                "time_decay.half_life_ms", .invalidField,
                { $0.timeDecay = TimeDecay(halfLifeMillis: 0) }
            ),
            (
                "time_decay.offset_ms", .invalidField,
                { $0.timeDecay = TimeDecay(halfLifeMillis: 1, offsetMillis: -1) }
            ),
            (
                "time_decay.floor", .invalidField,
                { $0.timeDecay = TimeDecay(halfLifeMillis: 1, floor: 1.5) }
            ),
            (
                "time_decay.floor", .invalidField,
                { $0.timeDecay = TimeDecay(halfLifeMillis: 1, floor: .nan) }
            ),
            (
                "fusion.candidates.sparse", .limitExceeded,
                { $0.fusion = Fusion(candidates: LegCandidates(sparse: 10_001)) }
            ),
            (
                "ranking.formula", .limitExceeded,
                {
                    $0.ranking = RankingOptions(
                        formula: String(repeating: " ", count: Limits.formulaBytesMax) + "1")
                }
            ),
            ("ranking.formula", .invalidField, { $0.ranking = RankingOptions(formula: "1 +") }),
            ("fusion.rrf_k", .limitExceeded, { $0.fusion = Fusion(rrfK: 1_000_001) }),
            (
                "fusion.weights.text", .invalidField,
                { $0.fusion = Fusion(weights: LegWeights(text: -1)) }
            ),
            (
                "filter.equals.value", .typeMismatch,
                { $0.filter = .equals(field: "n", .string("7")) }
            ),
            ("min_seq", .seqNotReached, { $0.minSeq = Sequence(1_000) }),
            ("scope.namespace", .collectionNotFound, { $0.scope = Scope(namespace: "no") }),
        ]
        for (field, reason, change) in mistakes {
            let error = error(test, change)
            #expect(error?.field == field, "\(error as Any)")
            #expect(error?.reason == reason.rawValue, "\(error as Any)")
        }
    }

    private static func boosted(_ boosts: FieldMap<Double>) -> TextQuery {
        var query = TextQuery(query: "x", fields: ["body"])
        query.boosts = boosts
        return query
    }

    @Test func aFilterNestedTooDeepIsRefused() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        try test.create(Self.scope, World.schema)
        var filter = Filter.exists(field: "n")
        for _ in 1..<Limits.filterDepthMax { filter = .not(filter) }
        func ask(_ filter: Filter) -> KyroError? {
            error(test) {
                $0.vector = VectorQuery(field: "l2", vector: [1, 2, 3, 4])
                $0.filter = filter
            }
        }
        #expect(ask(filter) == nil)
        #expect(ask(.not(filter))?.reason == KyroError.Reason.limitExceeded.rawValue)
    }

    @Test func anAbandonedSearchStops() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        try test.create(Self.scope, World.schema)
        var document = Document(id: .number(1))
        document.texts["body"] = "stone"
        try test.write([.upsert(document)], to: Self.scope)
        var request = SearchRequest(scope: Self.scope)
        request.text = TextQuery(query: "stone")
        for (cause, reason) in [
            (Cancellation.Cause.cancelled, KyroError.Reason.cancelled),
            (.deadlineExceeded, .deadlineExceeded),
        ] {
            let cancellation = Cancellation()
            cancellation.cancel(cause)
            let error = #expect(throws: KyroError.self) {
                try test.engine.search(request, cancellation: cancellation)
            }
            #expect(error?.reason == reason.rawValue)
        }
        // The scratch that it left behind is as good as new.
        #expect(try test.search(request).hits.map(\.id) == [.number(1)])
    }
}
