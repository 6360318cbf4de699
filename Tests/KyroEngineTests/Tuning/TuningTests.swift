// What a collection learns from judged queries, what it refuses to learn, and how it forgets.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

/// An engine with a world's documents in it.
private struct TunedEngine {
    let test: TestEngine
    var world: TopicWorld
    let scope: Scope

    init(
        _ world: TopicWorld, shards: Int = 1, files: any FileSystem = MemoryFileSystem()
    ) throws {
        test = try TestEngine(files, EngineSettings(shardCount: shards, fsync: .never))
        self.world = world
        scope = world.scope
        // Rows are compared as they are, so that candidates do not depend on the shards.
        var schema = Schema()
        schema.vectors["v"] = VectorField(
            dimension: TopicWorld.dimension, indexing: VectorIndexing(kind: .flat, codes: .none))
        try test.write(world.documents.map { .upsert($0) }, to: scope, creating: schema)
    }

    func tune(
        _ queries: [JudgedQuery], _ change: (inout TuneStart) -> Void = { _ in }
    ) throws -> TuneOutcome {
        var start = TuneStart(scope: scope)
        change(&start)
        let run = try test.engine.beginTuning(start)
        for query in queries { try run.add(query, cancellation: Cancellation()) }
        while !(try run.step(cancellation: Cancellation())) {}
        return try awaited { done in test.engine.finishTuning(run, completion: done) }.get()
    }

    func mean(_ queries: [JudgedQuery], fusion: Fusion? = nil) throws -> Double {
        try queries.reduce(0) { sum, query in
            sum + query.figure(try test.search(query.search(in: scope, fusion: fusion)).hits)
        } / Double(queries.count)
    }

    /// Of each leg alone.
    func legMeans(_ queries: [JudgedQuery]) throws -> (vector: Double, text: Double) {
        let vectors = try mean(
            queries.map {
                var query = $0
                query.text = nil
                return query
            })
        let texts = try mean(
            queries.map {
                var query = $0
                query.vector = nil
                return query
            })
        return (vectors, texts)
    }

    @discardableResult
    func rollBack(to version: UInt32) throws -> UInt32 {
        try awaited { done in
            test.engine.rollBackTuning(
                RollBackTuningRequest(scope: scope, version: version), completion: done)
        }.get().version
    }
}

@Suite struct TuningTests {
    @Test func whatIsLearntIsWhatSearchesGoByUntilItIsRolledBack() throws {
        let files = MemoryFileSystem()
        var tuned = try TunedEngine(TopicWorld(seed: 1, text: .useless), shards: 2, files: files)
        let queries = (0..<120).map { _ in tuned.world.query() }
        let plain = try tuned.mean(queries)
        let outcome = try tuned.tune(queries)
        #expect(outcome.version == 1)
        #expect(outcome.fusion.choice != .defaults, "\(outcome.fusion)")
        #expect(outcome.fusion.legs == LegCombination(vectorField: "v", textFields: []))
        #expect(outcome.fusion.queryCount == 120)
        #expect(outcome.fusion.folds.map(\.queryCount) == [24, 24, 24, 24, 24])

        let learnt = try tuned.mean(queries)
        #expect(learnt > plain)
        #expect(try tuned.mean(queries, fusion: outcome.fusion.fusion) == learnt)
        #expect(try tuned.mean(queries, fusion: Fusion()) == plain)
        var request = queries[0].search(in: tuned.scope)
        request.explain = true
        let notes = try #require(try tuned.test.search(request).explain?.notes)
        #expect(notes.contains { $0.contains("version 1 of the collection's tuning") }, "\(notes)")
        // A combination of legs that nothing was learnt of.
        request.text?.fields = ["t"]
        #expect(try tuned.test.search(request).explain?.notes == [])
        request.text = nil
        #expect(try tuned.test.search(request).explain?.notes == [])

        #expect(try tuned.rollBack(to: 0) == 0)
        #expect(try tuned.mean(queries) == plain)
        #expect(try tuned.test.describe(tuned.scope).tuning == nil)
        #expect(try tuned.rollBack(to: 1) == 1)
        #expect(try tuned.mean(queries) == learnt)
        let error = #expect(throws: KyroError.self) { try tuned.rollBack(to: 7) }
        #expect(error?.field == "version")

        let second = try tuned.tune(queries) { $0.folds = 10 }
        #expect(second.version == 2)
        #expect(second.fusion.folds.count == 10)
        let described = try tuned.test.describe(tuned.scope)
        #expect(described.tuning?.fusions == [second.fusion])
        #expect(described.tuningHistory.map(\.version) == [1, 2])
        tuned.test.close()

        let again = try TestEngine(files, EngineSettings(shardCount: 2, fsync: .never))
        defer { again.close() }
        #expect(try again.describe(tuned.scope) == described)
        #expect(
            try again.search(queries[0].search(in: tuned.scope)).hits
                == again.search(queries[0].search(in: tuned.scope, fusion: second.fusion.fusion))
                .hits)
    }

    @Test func aDryRunKeepsNothing() throws {
        var tuned = try TunedEngine(TopicWorld(seed: 2))
        defer { tuned.test.close() }
        let outcome = try tuned.tune((0..<40).map { _ in tuned.world.query() }) {
            $0.isDryRun = true
        }
        #expect(outcome.version == 0)
        #expect(try tuned.test.describe(tuned.scope).tuningHistory.isEmpty)
    }

    /// The fit works on candidates that it kept; searches with the same weights rank as it says.
    @Test(arguments: [4, 5, 6] as [UInt64])
    func figuresAreThoseOfSearches(seed: UInt64) throws {
        var tuned = try TunedEngine(TopicWorld(seed: seed), shards: 2)
        defer { tuned.test.close() }
        let queries = (0..<50).map { _ in tuned.world.query() }
        let learned = try tuned.tune(queries) { $0.isDryRun = true }.fusion
        let figures = learned.figures
        let legs = try tuned.legMeans(queries)
        let defaults = try tuned.mean(queries)
        #expect(abs(figures.vector - legs.vector) < 1e-6, "seed \(seed)")
        #expect(abs(figures.text - legs.text) < 1e-6, "seed \(seed)")
        #expect(abs(figures.defaults - defaults) < 1e-6, "seed \(seed)")
        for figure in [\TuningFigures.tuned, \.defaults, \.vector, \.text] {
            let mean = learned.folds.reduce(0) {
                $0 + $1.figures[keyPath: figure] * Double($1.queryCount)
            }
            #expect(abs(mean / 50 - figures[keyPath: figure]) < 1e-9, "seed \(seed)")
        }
    }

    /// What is fitted to all queries is at least as good on them as any weights that a caller finds
    /// by trying.
    @Test(arguments: [7, 8] as [UInt64])
    func nothingTriedByHandIsBetterOnTheSameQueries(seed: UInt64) throws {
        var tuned = try TunedEngine(TopicWorld(seed: seed, text: .useless))
        defer { tuned.test.close() }
        let queries = (0..<40).map { _ in tuned.world.query() }
        let learned = try tuned.tune(queries).fusion
        guard learned.choice == .tuned else { return }
        let reached = try tuned.mean(queries)
        for form in [
            Fusion(method: .weighted), Fusion(method: .rrf), Fusion(normalisation: .zScore),
        ] {
            for part in 1..<20 {
                var fusion = form
                fusion.weights = LegWeights(
                    vector: Double(part) / 20, text: 1 - Double(part) / 20)
                let found = try tuned.mean(queries, fusion: fusion)
                #expect(found <= reached + 1e-6, "seed \(seed): \(fusion)")
            }
        }
    }

    @Test func theHistoryIsBoundedAndKeepsWhatIsActive() throws {
        var history = TuningHistory()
        for version in 1...UInt32(3 * Limits.tuningsMax) {
            history.add(
                LearnedFusion(
                    legs: LegCombination(vectorField: "v\(version % 20)", textFields: []),
                    choice: .tuned, fusion: Fusion(), queryCount: version))
            #expect(history.activeVersion == version)
            #expect(history.versions.count <= Limits.tuningsMax)
            #expect(history.active?.fusions.count ?? 0 <= Limits.tunedCombinationsMax)
        }
        let oldest = try #require(history.versions.first?.version)
        let isForgotten = !history.rollBack(to: oldest - 1)
        let isBack = history.rollBack(to: oldest)
        #expect(isForgotten && isBack)
        history.add(
            LearnedFusion(
                legs: LegCombination(vectorField: "new", textFields: []), choice: .tuned,
                fusion: Fusion(), queryCount: 0))
        #expect(history.activeVersion == UInt32(3 * Limits.tuningsMax) + 1)
        #expect(
            TuningHistory(
                activeVersion: history.activeVersion, nextVersion: history.nextVersion,
                versions: history.versions) == history)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func theSameIsLearntWithAnyNumberOfShards(seed: UInt64) throws {
        var outcomes: [LearnedFusion] = []
        for shards in [1, 2, 7] {
            var tuned = try TunedEngine(TopicWorld(seed: seed), shards: shards)
            defer { tuned.test.close() }
            let queries = (0..<60).map { _ in tuned.world.query() }
            outcomes.append(try tuned.tune(queries).fusion)
        }
        #expect(outcomes[1] == outcomes[0], "seed \(seed)")
        #expect(outcomes[2] == outcomes[0], "seed \(seed)")
    }
}

/// Whatever the collection, what is kept is not below its best leg.
@Suite struct TuningGuardTests {
    /// Of 200 queries that nothing was learnt from; twice what the choice of the queries moves.
    private static let noise = 0.01

    enum Useful: CaseIterable, Sendable { case text, vector, both }

    @Test(arguments: [11, 12, 13] as [UInt64], Useful.allCases)
    func theBestLegIsReached(seed: UInt64, useful: Useful) throws {
        let world = TopicWorld(
            seed: seed, text: useful == .vector ? .useless : .telling,
            vector: useful == .text ? .useless : .telling)
        var tuned = try TunedEngine(world, shards: 2)
        defer { tuned.test.close() }
        let training = (0..<150).map { _ in tuned.world.query() }
        let unseen = (0..<200).map { _ in tuned.world.query() }
        let plain = try tuned.mean(unseen)
        let learned = try tuned.tune(training).fusion
        let legs = try tuned.legMeans(unseen)
        let best = max(legs.vector, legs.text)
        let reached = try tuned.mean(unseen)
        let told: Comment =
            "seed \(seed): \(reached) of \(legs), \(plain) before; \(learned.reason)"
        #expect(reached >= best - Self.noise, told)
        if useful != .both {
            #expect(plain < best - Self.noise, "the test shows nothing: \(told)")
            #expect(learned.choice != .defaults, told)
        } else {
            #expect(reached > best + Self.noise, told)
        }
    }

    @Test(arguments: 21...30 as ClosedRange<UInt64>)
    func randomJudgementsTeachNothing(seed: UInt64) throws {
        var tuned = try TunedEngine(TopicWorld(seed: seed))
        defer { tuned.test.close() }
        let training = (0..<80).map { _ in tuned.world.randomlyJudgedQuery() }
        let unseen = (0..<40).map { _ in tuned.world.query() }
        let before = try tuned.mean(unseen)
        let learned = try tuned.tune(training).fusion
        #expect(learned.choice == .defaults, "seed \(seed): \(learned.reason)")
        #expect(try tuned.mean(unseen) == before)
    }
}
