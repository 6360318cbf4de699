// Aggregations and sorted scans against brute force, and against themselves with other numbers of
// shards.
import KyroModel
import KyroPlatform
import TestSupport
import Testing

@Suite struct AggregationTests {
    static let scope = Scope(namespace: "counted")
    static let rounds = 24
    static let questions = scaled(2_400)

    @Test(arguments: [20_261_122 as UInt64])
    func aggregationsAndSortedScansEqualBruteForceForAnyNumberOfShards(seed: UInt64) throws {
        var lives = try Lives(seed: seed, scope: Self.scope)
        defer { lives.engines.forEach { $0.close() } }
        var asked = 0
        for round in 0..<Self.rounds {
            try lives.live(round: round, count: round < 5 ? 80 : 30)
            let now = lives.clock.wallMillis()
            let oracle = SearchOracle(
                lives.model.documents, schema: World.schema, nowMillis: now)
            for _ in 0..<max(1, Self.questions / Self.rounds / 3) {
                asked += try checkAggregations(&lives, oracle, now, seed)
                try checkScan(&lives, oracle, now, seed)
            }
        }
        print("RESULT aggregations: \(asked) over \(Self.rounds) data sets, 1, 2 and 7 shards")
    }

    /// How many were compared.
    private func checkAggregations(
        _ lives: inout Lives, _ oracle: SearchOracle, _ now: Int64, _ seed: UInt64
    ) throws -> Int {
        var request = lives.world.question(Self.scope)
        let hasLegs = lives.world.dice.chance(50)
        if !hasLegs {
            (request.vector, request.sparse, request.text) = (nil, nil, nil)
            request.limit = 0
            request.offset = 0
        }
        request.aggregations = (0..<3).map { _ in lives.world.aggregation() }
        let expected = oracle.answer(request, schema: World.schema)
        if hasLegs, !expected.isDelicate {
            for index in request.aggregations.indices where lives.world.dice.chance(50) {
                request.aggregations[index].over = .candidates
            }
        }
        let matching = lives.model.documents.values.filter { oracle.matches($0, request) }
        let found = expected.rows.compactMap { lives.model.documents[$0.id] }
        let results = try lives.engines.map { try $0.search(request) }
        for (index, aggregation) in request.aggregations.enumerated() {
            let wanted = AggregationOracle.result(
                aggregation, over: aggregation.over == .filter ? matching : found)
            for result in results {
                try #require(
                    result.aggregations[index] == wanted,
                    "seed \(seed): \(aggregation) of \(request)")
            }
        }
        // They change nothing in the hits but the room for them.
        if hasLegs {
            var plain = request
            plain.aggregations = []
            plain.candidates = max(request.candidates, 100)
            request.candidates = plain.candidates
            #expect(
                try lives.engines[0].search(plain).hits == lives.engines[0].search(request).hits)
        }
        return request.aggregations.count
    }

    private func checkScan(
        _ lives: inout Lives, _ oracle: SearchOracle, _ now: Int64, _ seed: UInt64
    ) throws {
        var filtered = SearchRequest(scope: Self.scope)
        var request = ScanRequest(scope: Self.scope)
        if lives.world.dice.chance(60) { request.filter = lives.world.filter(depth: 2) }
        filtered.filter = request.filter
        request.orderBy = lives.world.sortKeys()
        let all = lives.model.documents.values.filter { oracle.matches($0, filtered) }
            .sorted { AggregationOracle.precedes($0, $1, request.orderBy) }.map(\.id)
        let limit = lives.world.dice.chance(70) ? 1 + lives.world.dice.below(40) : 0
        request.limit = UInt64(limit)
        let wanted = limit == 0 ? all : Array(all.prefix(limit))
        for engine in lives.engines {
            #expect(try engine.scan(request).map(\.id) == wanted, "seed \(seed): \(request)")
        }
        // In pieces of a few documents each, which begin anew by their tokens.
        let engine = lives.world.dice.pick(lives.engines)
        var pieces: [DocumentID] = []
        request.limit = UInt64(1 + lives.world.dice.below(60))
        while true {
            let cursor = try engine.engine.scan(request, cancellation: Cancellation())
            guard let piece = try cursor.next(bytesMax: 1 << 30) else { break }
            pieces += piece.documents.map(\.id)
            request.resumeToken = piece.resumeToken
            if pieces.count >= all.count { break }
        }
        #expect(pieces == all, "seed \(seed): \(request)")
    }

    @Test func aScanInAnotherOrderRefusesTheToken() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        try test.write(
            (0..<4).map { .upsert(Document(id: .number($0))) }, to: Self.scope, creating: Schema())
        var request = ScanRequest(scope: Self.scope)
        request.orderBy = [SortKey(isDescending: true)]
        let cursor = try test.engine.scan(request, cancellation: Cancellation())
        request.resumeToken = try #require(try cursor.next(bytesMax: 1)).resumeToken
        #expect(try test.scan(request).map(\.id) == [.number(1), .number(2), .number(3)])
        for order in [[], [SortKey()], [SortKey("x", isDescending: true)]] {
            request.orderBy = order
            let error = try #require(throws: KyroError.self) { try test.scan(request) }
            #expect(error.reason == KyroError.Reason.tokenInvalid.rawValue)
        }
    }

    /// What is wrong, and what the error names.
    @Test(arguments: [
        (Aggregation.Kind.facet(FacetAggregation(field: "")), "facet.field"),
        (.facet(FacetAggregation(field: "s", limit: 10_001)), "facet.limit"),
        (.facet(FacetAggregation(field: "g")), "facet.field"),
        (.histogram(HistogramAggregation(field: "s", interval: 1)), "histogram.field"),
        (.histogram(HistogramAggregation(field: "i", interval: 0)), "histogram.interval"),
        (.histogram(HistogramAggregation(field: "i", interval: .nan)), "histogram.interval"),
        (
            .histogram(HistogramAggregation(field: "i", interval: 1, offset: .infinity)),
            "histogram.offset"
        ),
        (.timeHistogram(TimeHistogramAggregation(field: "")), "time_histogram.interval_ms"),
        (
            .timeHistogram(TimeHistogramAggregation(field: "i", intervalMillis: 1)),
            "time_histogram.field"
        ),
        (
            .timeHistogram(TimeHistogramAggregation(intervalMillis: 1, calendar: .day)),
            "time_histogram.calendar"
        ),
        (.stats(StatsAggregation(field: "s")), "stats.field"),
        (.stats(StatsAggregation(quantiles: [0.5, 1.5])), "stats.quantiles[1]"),
        (
            .stats(StatsAggregation(quantiles: Array(repeating: 0, count: 101))),
            "stats.quantiles"
        ),
    ])
    func errorsNameTheField(kind: Aggregation.Kind, field: String) throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var schema = Schema()
        schema.metadata["s"] = .strings
        schema.metadata["i"] = .int64
        schema.metadata["g"] = .geoPoints
        try test.create(Self.scope, schema)
        var request = SearchRequest(scope: Self.scope)
        request.limit = 0
        request.aggregations = [Aggregation(.count), Aggregation(kind)]
        let error = try #require(throws: KyroError.self) { try test.search(request) }
        #expect(error.field == "aggregations[1].\(field)")
        #expect(error.code == .invalidArgument)
    }

    @Test func tooManyBucketsAndCandidatesOfNoLegAreRefused() throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 2))
        defer { test.close() }
        let documents = (0..<10_001).map { number in
            var document = Document(id: .number(UInt64(number)))
            document.metadata["i"] = .int64(Int64(number))
            return Mutation.upsert(document)
        }
        try test.write(Array(documents.prefix(10_000)), to: Self.scope, creating: Schema())
        try test.write([documents[10_000]], to: Self.scope)
        var request = SearchRequest(scope: Self.scope)
        request.limit = 0
        func refusal(_ aggregation: Aggregation) throws -> KyroError {
            request.aggregations = [aggregation]
            return try #require(throws: KyroError.self) { try test.search(request) }
        }
        let histogram = HistogramAggregation(field: "i", interval: 1)
        #expect(try refusal(Aggregation(.histogram(histogram))).field == "aggregations[0]")
        #expect(
            try refusal(Aggregation(.count, over: .candidates)).field == "aggregations[0].over")
        let filter = Filter.equals(field: "i", .string("x"))
        #expect(
            try refusal(Aggregation(.count, filter: filter)).field
                == "aggregations[0].filter.equals.value")
        request.aggregations = [
            Aggregation(.histogram(HistogramAggregation(field: "i", interval: 2)))
        ]
        guard case .histogram(let found) = try test.search(request).aggregations[0].kind else {
            Issue.record("no histogram")
            return
        }
        #expect(found.buckets.count == 5_001)
    }
}

/// The same documents in engines of 1, 2 and 7 shards and in a model.
struct Lives {
    var world: World
    var model = Model()
    let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    let engines: [TestEngine]
    private let scope: Scope

    init(seed: UInt64, scope: Scope) throws {
        world = World(seed: seed)
        self.scope = scope
        let clock = clock
        engines = try [1, 2, 7].map { shards in
            var settings = EngineSettings(shardCount: shards, fsync: .never)
            settings.clock = clock
            settings.logSegmentBytes = 1 << 20
            return try TestEngine(MemoryFileSystem(), settings)
        }
        for engine in engines { try engine.create(scope, World.schema) }
    }

    /// Changes in all of them, now and then a new field, and time goes on.
    mutating func live(round: Int, count: Int) throws {
        if round % 3 == 2 { world.learnField() }
        if round % 5 == 4 { clock.advance(millis: 2_000) }
        let batch = (0..<count).map { _ in world.mutation() }
        for (mutation, isValid) in batch {
            _ = model.apply(mutation, isValid: isValid, nowMillis: clock.wallMillis())
        }
        for engine in engines { try engine.write(batch.map(\.0), to: scope) }
    }
}
