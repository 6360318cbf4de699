// Tokens of pages: how long they are good, and which requests they belong to.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

@Suite struct PageTokenTests {
    private static let scope = Scope(namespace: "tokens")

    private static let schema: Schema = {
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 2, metric: .innerProduct)
        schema.sparseVectors["s"] = SparseField()
        schema.texts["t"] = TextField()
        return schema
    }()

    private static let documents = (0..<30).map { number in
        var document = Document(id: .number(UInt64(number)))
        document.vectors["v"] = [Float(number), 1]
        document.sparseVectors["s"] = SparseVector(indices: [1], values: [1])
        document.texts["t"] = "one two three"
        document.eventTimeMillis = 5
        return Mutation.upsert(document)
    }

    private static var request: SearchRequest {
        var request = SearchRequest(scope: scope)
        request.vector = VectorQuery(field: "v", vector: [1, 0])
        request.exact = true
        request.paged = true
        return request
    }

    @Test(
        "A token expires when a rebuild has dropped what it sees, a minute and the retention later",
        arguments: [0 as Int64, 3_600_000])
    func tokensExpire(retentionMillis: Int64) throws {
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        var configuration = EngineConfiguration(path: "/db")
        configuration.shardCount = 2
        configuration.rebuildDeadRowsMin = 3
        let stepped = try SteppedEngine(
            seed: 7, MemoryFileSystem(), configuration, clock: clock)
        defer { stepped.engine.close() }
        _ = try stepped.awaited { done in
            stepped.engine.createCollection(
                CreateCollectionRequest(
                    scope: Self.scope, schema: Self.schema, retentionMillis: retentionMillis),
                completion: done)
        }.get()
        try stepped.write(Self.documents, to: Self.scope)
        let first = try stepped.search(Self.request)
        var next = Self.request
        next.pageToken = first.nextPageToken
        let wanted = (10..<20).reversed().map { DocumentID.number(UInt64($0)) }
        func replaceEverything() throws {
            try stepped.write(Self.documents.reversed(), to: Self.scope)
            stepped.scheduler.settle()
        }
        try replaceEverything()
        #expect(stepped.rebuilds > 0 || retentionMillis > 0)
        #expect(try stepped.search(next).hits.map(\.id) == wanted, "within the minute")
        clock.advance(millis: 61_000)
        try replaceEverything()
        if retentionMillis > 0 {
            #expect(try stepped.search(next).hits.map(\.id) == wanted, "within the retention")
            clock.advance(millis: retentionMillis)
            try replaceEverything()
        }
        let error = try #require(throws: KyroError.self) { try stepped.search(next) }
        #expect(error.reason == KyroError.Reason.tokenExpired.rawValue)
        #expect(error.code == .failedPrecondition && error.field == "page_token")
        #expect(
            error.message
                == "page_token names sequence \(first.seq.raw), of which versions have been dropped "
                + "since; start again without it")
        next.pageToken = []
        #expect(try stepped.search(next).hits.count == 10)
    }

    /// Each of these asks something else than every other.
    private static let changes: [@Sendable (inout SearchRequest) -> Void] = [
        { _ in }, { $0.vector?.vector = [1, -0.0] }, { $0.vector?.efSearch = 9 },
        { $0.vector?.probes = 9 },
        { $0.vector?.recall = 0.5 },
        { $0.sparse = SparseQuery(field: "s", vector: SparseVector(indices: [1], values: [2])) },
        { $0.sparse = SparseQuery(field: "s", vector: SparseVector(indices: [2], values: [2])) },
        { $0.text = TextQuery(query: "one two") },
        { $0.text = TextQuery(query: "one two", fields: ["t"]) },
        {
            $0.text = TextQuery(query: "one two")
            $0.text?.textOperator = .all
        },
        {
            $0.text = TextQuery(query: "one two")
            $0.text?.minimumShouldMatch = 2
        },
        {
            $0.text = TextQuery(query: "one two")
            $0.text?.boosts["t"] = 2
        },
        {
            $0.text = TextQuery(query: "one two")
            $0.text?.scoring = .bm25f
        },
        {
            $0.text = TextQuery(query: "one two")
            $0.text?.highlight = HighlightQuery()
        },
        { $0.text = node(.terms(["one"])) }, { $0.text = node(.terms(["one", "two"])) },
        { $0.text = node(.phrase("one two", slop: 0)) },
        { $0.text = node(.phrase("one two", slop: 1)) },
        { $0.text = node(.match("one two", .any, minimumShouldMatch: 0)) },
        { $0.text = node(.prefix("on", expansions: 0)) },
        { $0.text = node(.fuzzy("on", edits: 1, prefixLength: 0, expansions: 0)) },
        { $0.text = node(.fuzzy("on", edits: 1, prefixLength: 1, expansions: 0)) },
        {
            $0.text = node(
                .boolean(
                    must: [.match("one")], should: [], mustNot: [], minimumShouldMatch: 0))
        },
        {
            $0.text = node(
                .boolean(
                    must: [], should: [.match("one")], mustNot: [], minimumShouldMatch: 0))
        },
        { $0.filter = .exists(field: "x") }, { $0.filter = .not(.exists(field: "x")) },
        { $0.filter = .sqlNot(.exists(field: "x")) }, { $0.filter = .all([.exists(field: "x")]) },
        { $0.filter = .any([.exists(field: "x")]) },
        { $0.filter = .all([]) }, { $0.filter = .any([]) },
        { $0.filter = .equals(field: "x", .int64(1)) },
        { $0.filter = .equals(field: "x", .timestamp(1)) },
        { $0.filter = .equals(field: "x", .double(1)) },
        { $0.filter = .isIn(field: "x", [.int64(1)]) },
        { $0.filter = .isIn(field: "x", [.int64(1), .int64(2)]) },
        { $0.filter = .containsAny(field: "x", [.int64(1)]) },
        { $0.filter = .containsAll(field: "x", [.int64(1)]) },
        { $0.filter = .prefix(field: "x", "1") }, { $0.filter = .equals(field: "x", .string("1")) },
        {
            $0.filter = .range(
                field: "x", lower: Filter.Bound(.int64(1), isInclusive: true), upper: nil)
        },
        {
            $0.filter = .range(
                field: "x", lower: Filter.Bound(.int64(1), isInclusive: false), upper: nil)
        },
        {
            $0.filter = .range(
                field: "x", lower: nil, upper: Filter.Bound(.int64(1), isInclusive: true))
        },
        {
            $0.filter = .withinDistance(
                field: "x", center: GeoPoint(latitude: 1, longitude: 2), metres: 3)
        },
        { $0.filter = .withinBox(field: "x", GeoBox(south: 1, west: 2, north: 3, east: 4)) },
        { $0.timeRange = TimeRange(fromMillis: 1) }, { $0.timeRange = TimeRange(toMillis: 9) },
        { $0.timeDecay = TimeDecay(halfLifeMillis: 1) },
        { $0.timeDecay = TimeDecay(halfLifeMillis: 1, originMillis: 1) },
        { $0.timeDecay = TimeDecay(halfLifeMillis: 1, shape: .gauss) },
        { $0.timeDecay = TimeDecay(halfLifeMillis: 1, offsetMillis: 1) },
        { $0.timeDecay = TimeDecay(halfLifeMillis: 1, floor: 1) },
        { $0.fusion = Fusion() }, { $0.fusion = Fusion(method: .rrf) },
        { $0.fusion = Fusion(method: .rrf, rrfK: 1) },
        { $0.fusion = Fusion(weights: LegWeights(vector: 2)) },
        { $0.fusion = Fusion(weights: LegWeights(sparse: 2)) },
        { $0.fusion = Fusion(weights: LegWeights(text: 2)) },
        { $0.fusion = Fusion(normalisation: .zScore) },
        { $0.fusion = Fusion(candidates: LegCandidates(vector: 5)) },
        { $0.fusion = Fusion(candidates: LegCandidates(text: 5)) },
        { $0.candidates = 30 }, { $0.exact = false }, { $0.asOf = .seq(Sequence(31)) },
        { $0.ranking = RankingOptions(formula: "score * 2") },
        { $0.ranking = RankingOptions(formula: "score * 3") },
        { $0.ranking = RankingOptions(rescore: rescore([1, 2])) },
        { $0.ranking = RankingOptions(rescore: rescore([2, 2])) },
        { $0.ranking = RankingOptions(rescore: rescore([1, 2], top: 50)) },
        { $0.ranking = RankingOptions(rescore: rescore([1, 2], weight: 2)) },
        { $0.ranking = RankingOptions(rescore: rescore([1, 2], scoreWeight: 2)) },
    ]

    private static func node(_ kind: TextNode.Kind) -> TextQuery {
        var query = TextQuery(query: "")
        query.node = TextNode(kind)
        return query
    }

    private static func rescore(
        _ values: [Float], top: UInt32 = 0, weight: Double = 0, scoreWeight: Double = 0
    ) -> Rescore {
        Rescore(
            field: "m", query: MultiVector(dimension: 2, values: values), top: top, weight: weight,
            scoreWeight: scoreWeight)
    }

    /// Bytes 1 to 8 of a token are the hash of its request.
    @Test func everyRequestThatAsksSomethingElseHasAnotherHash() throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 2))
        defer { test.close() }
        try test.write(Self.documents, to: Self.scope, creating: Self.schema)
        var known: [[UInt8]: Int] = [:]
        for (number, change) in Self.changes.enumerated() {
            var request = Self.request
            request.limit = 1
            change(&request)
            // Whatever it is, documents match it.
            if let filter = request.filter { request.filter = .any([filter, .all([])]) }
            let token = try test.search(request).nextPageToken
            try #require(token.count > 9, "change \(number)")
            if let other = known.updateValue(number, forKey: Array(token[1..<9])) {
                Issue.record("changes \(other) and \(number) have one hash")
            }
        }
    }

    /// A field that is new here has to be added to the hash, and to the table above.
    @Test func nothingOfARequestIsForgotten() {
        func fields(_ value: Any) -> Int { Mirror(reflecting: value).children.count }
        let text = TextQuery(query: "")
        #expect(fields(SearchRequest(scope: Self.scope)) == 20)
        #expect(fields(VectorQuery(vector: [])) == 5)
        #expect(fields(SparseQuery(vector: SparseVector())) == 2)
        #expect(fields(text) == 8)
        #expect(fields(TextNode(.terms([]))) == 3)
        #expect(fields(HighlightQuery()) == 5)
        #expect(fields(TimeDecay(halfLifeMillis: 1)) == 5)
        #expect(fields(Fusion()) == 5)
        #expect(fields(LegWeights()) == 3 && fields(LegCandidates()) == 3)
        #expect(fields(RankingOptions()) == 4)
        #expect(fields(Grouping(field: "")) == 3 && fields(Diversity(lambda: 1)) == 3)
        #expect(fields(Self.rescore([1, 2])) == 5)
    }
}
