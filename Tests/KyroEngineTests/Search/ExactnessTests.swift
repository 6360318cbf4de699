// Exact hybrid search against brute force, and against itself with other numbers of shards.
import KyroModel
import KyroPlatform
import TestSupport
import Testing

@Suite struct ExactnessTests {
    static let scope = Scope(namespace: "mixed")
    static let rounds = 45
    static let questions = scaled(10_800)

    /// Over 10,000 questions; the page of each is compared id by id and score by score.
    @Test(arguments: [20_261_121 as UInt64])
    func exactAnswersEqualBruteForceForAnyNumberOfShards(seed: UInt64) throws {
        var world = World(seed: seed)
        var model = Model()
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        let engines = try [1, 2, 7].map { shards in
            var settings = EngineSettings(shardCount: shards, fsync: .never)
            settings.clock = clock
            settings.logSegmentBytes = 1 << 20
            return try TestEngine(MemoryFileSystem(), settings)
        }
        defer { engines.forEach { $0.close() } }
        let pool = WorkerPool(name: "exactness", threadCount: 2, jobsMax: 8)
        defer { pool.stop() }
        for engine in engines { try engine.create(Self.scope, World.schema) }
        var tally = Tally()
        for round in 0..<Self.rounds {
            if round % 4 == 3 { world.learnField() }
            if round % 5 == 4 { clock.advance(millis: 2_000) }
            try write(
                &world, &model, to: engines, count: round < 5 ? 80 : 30,
                nowMillis: clock.wallMillis(), seed: seed)
            let oracle = SearchOracle(
                model.documents, schema: World.schema, nowMillis: clock.wallMillis())
            for number in 0..<(Self.questions / Self.rounds) {
                let request = world.question(Self.scope)
                let answers = try engines.map { try $0.search(request).hits }
                func context() -> String {
                    "seed \(seed), round \(round), question \(number): \(request)"
                }
                for (hits, engine) in zip(answers, engines).dropFirst() {
                    try #require(
                        signature(hits) == signature(answers[0]),
                        "\(engine.engine.status().shards.count) shards differ; \(context())")
                }
                let shared = try engines[2].search(request, sharing: pool).hits
                try #require(
                    signature(shared) == signature(answers[0]),
                    "shards searched side by side differ; \(context())")
                let expected = oracle.answer(request, schema: World.schema)
                tally.add(expected, answers[0], request)
                if let difference = difference(expected, answers[0], request) {
                    tally.differing += 1
                    try #require(expected.isDelicate, "\(difference); \(context())")
                }
            }
        }
        // Questions that prove something: most find a page, and ties are the oracle's to decide.
        #expect(tally.withHits * 100 >= tally.questions * 75, "\(tally)")
        #expect(tally.differing * 1_000 <= tally.questions, "\(tally)")
        print("RESULT exactness: \(tally)")
    }

    private struct Tally {
        var questions = 0
        var withHits = 0
        var hits = 0
        var delicate = 0
        var differing = 0

        mutating func add(_ expected: SearchOracle.Answer, _ hits: [Hit], _ request: SearchRequest)
        {
            questions += 1
            withHits += hits.isEmpty ? 0 : 1
            self.hits += hits.count
            delicate += expected.isDelicate ? 1 : 0
        }
    }

    /// The same batch to every engine and to the model; all outcomes agree.
    private func write(
        _ world: inout World, _ model: inout Model, to engines: [TestEngine], count: Int,
        nowMillis: Int64, seed: UInt64
    ) throws {
        let batch = (0..<count).map { _ in world.mutation() }
        let expected = batch.map { model.apply($0.0, isValid: $0.isValid, nowMillis: nowMillis) }
        for engine in engines {
            let response = try engine.write(batch.map(\.0), to: Self.scope)
            for (index, outcome) in response.outcomes.enumerated() {
                #expect(
                    outcome.matches(expected[index]),
                    "\(outcome) of \(batch[index].0), seed \(seed)")
            }
        }
    }

    /// Ids and bits of all scores.
    private func signature(_ hits: [Hit]) -> [String] {
        hits.map { hit in
            let legs = [hit.vector, hit.sparse, hit.text].map {
                $0.map { "\($0.score.bitPattern)#\($0.rank)" } ?? "-"
            }
            return "\(hit.id) \(hit.score.bitPattern) \(legs)"
        }
    }

    private func difference(
        _ expected: SearchOracle.Answer, _ hits: [Hit], _ request: SearchRequest
    ) -> String? {
        let page = expected.rows.dropFirst(Int(request.offset)).prefix(Int(request.limit))
        guard page.count == hits.count else {
            return "\(hits.count) hits, the oracle has \(page.count)"
        }
        for (position, (row, hit)) in zip(page, hits).enumerated() {
            guard row.id == hit.id else {
                return "\(hit.id) at \(position) with \(hit.score), the oracle has "
                    + "\(row.id) with \(row.score)"
            }
            guard isNear(hit.score, row.score) else {
                return "\(hit.id) scores \(hit.score), the oracle says \(row.score)"
            }
            for (mine, theirs) in [
                (hit.vector, row.vector), (hit.sparse, row.sparse), (hit.text, row.text),
            ] {
                guard mine?.rank == theirs?.rank,
                    isNear(Double(mine?.score ?? 0), Double(theirs?.score ?? 0))
                else { return "\(hit.id) has a leg with \(mine as Any), not \(theirs as Any)" }
            }
        }
        return nil
    }

    private func isNear(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-4 * max(1, abs(b)) }
}
