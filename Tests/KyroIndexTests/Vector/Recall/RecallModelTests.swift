// From measured recall to the candidates that a target takes.
import KyroIndex
import KyroModel
import Testing

@Suite struct RecallModelTests {
    /// In clusters that overlap, so that recall comes by degrees.
    private static func fixture(count: Int = 8_000, seed: UInt64 = 3) -> VectorFixture {
        var fixture = VectorFixture(
            field: VectorField(dimension: 48, metric: .cosine),
            parameters: GraphParameters(neighboursMax: 8, baseCells: 16, flatRowsMax: 1_000))
        for row in clusteredVectors(count: count, dimension: 48, centres: 300, seed: seed) {
            fixture.insert(row)
        }
        fixture.fold()
        return fixture
    }

    private static func strangers(count: Int, seed: UInt64) -> [[Float]] {
        var numbers = SeededNumbers(seed: seed)
        return (0..<count).map { _ in (0..<48).map { _ in numbers.normal() } }
    }

    @Test("A batch finds what exact searches find, in pieces of any size")
    func exactBatch() throws {
        var fixture = Self.fixture(count: 3_000)
        for slot in stride(from: 0, to: 3_000, by: 7) { fixture.remove(slot) }
        let queries = Self.strangers(count: 40, seed: 4)
        let scores = try fixture.exactScores(queries, k: 25, distancesMax: 2_000)
        #expect(try fixture.exactScores(queries, k: 25, distancesMax: .max) == scores)
        var scratch = VectorScratch()
        for (number, query) in queries.enumerated() {
            var counters = SearchCounters()
            let hits = try fixture.search(
                query, k: 25, exact: true, scratch: &scratch, counters: &counters
            ).hits
            #expect(hits.map(\.score) == scores[number], "query \(number)")
        }
    }

    @Test("A cancelled batch stops at once")
    func cancelled() throws {
        let fixture = Self.fixture(count: 3_000)
        let cancellation = Cancellation()
        var batch = ExactBatch(
            fixture.index, queries: Self.strangers(count: 8, seed: 5), k: 10,
            visibility: fixture.visibility, order: BySlot())
        #expect(try !batch.step(distancesMax: 1, cancellation: cancellation))
        cancellation.cancel()
        #expect(throws: KyroError.self) {
            try batch.step(distancesMax: .max, cancellation: cancellation)
        }
    }

    @Test(
        "Targets are met by queries that were not measured, at no great cost", arguments: [10, 30])
    func targetsAreMet(k: Int) throws {
        let fixture = Self.fixture()
        let live = Self.strangers(count: 400, seed: 20)
        let fresh = Self.strangers(count: 400, seed: 21)
        let truth = try fixture.exactScores(fresh, k: k)
        let model = RecallModel(
            own: [], live: try fixture.trials(live, depths: RecallDepths(k: k)))
        for target in [0.90, 0.95, 0.97, 0.99] {
            let choice = try #require(model.choice(target: target, k: k))
            let outcome = try fixture.outcome(
                fresh, truth: truth, k: k, efSearch: choice.efSearch)
            let best = try fixture.cheapest(fresh, truth: truth, k: k, recall: target)
            print(
                "RESULT k \(k), target \(target): efSearch \(choice.efSearch), measured",
                "\(outcome.recall), \(Int(outcome.distances)) distances against",
                "\(Int(best.distances))")
            #expect(outcome.recall >= target - 0.005, "\(target)")
            #expect(outcome.distances <= 1.5 * best.distances, "\(target)")
            #expect(choice.sampleCount == 400 && !choice.needsScan)
        }
    }

    @Test("Live queries of another kind have their way over the rows' own")
    func liveOutweighsOwn() throws {
        let fixture = Self.fixture()
        let own = try fixture.trials(
            try fixture.index.ownQueries(count: 192, seed: 1, visibility: fixture.visibility))
        let easy = try fixture.trials(
            Array(clusteredVectors(count: 8_200, dimension: 48, centres: 300, seed: 3)[8_000...]))
        let hard = try fixture.trials(Self.strangers(count: 200, seed: 6))
        func efSearch(_ own: [RecallTrial], _ live: [RecallTrial]) throws -> Int {
            try #require(RecallModel(own: own, live: live).choice(target: 0.95, k: 10)).efSearch
        }
        let (alone, asked, strange) = (
            try efSearch(own, []), try efSearch([], easy), try efSearch([], hard)
        )
        #expect(strange > 2 * asked, "\(strange) against \(asked)")
        #expect(try efSearch(own, hard) == strange)
        #expect(try efSearch(own, easy) == asked)
        // Few are heard where they ask for more, and do not lower what own queries ask for.
        #expect(try efSearch(own, Array(hard.prefix(32))) > alone)
        #expect(try efSearch(own, Array(easy.prefix(32))) >= alone)
        // Hardly any say nothing.
        #expect(try efSearch(own, Array(hard.prefix(4))) == alone)
    }

    @Test("Of one shard among several only the hits count that the merged answer takes")
    func weighsRanks() throws {
        let fixture = Self.fixture()
        let queries = Self.strangers(count: 300, seed: 30)
        func efSearch(_ shardCount: Int, _ depths: RecallDepths, k: Int) throws -> Int {
            let trials = try fixture.trials(queries, depths: depths, shardCount: shardCount)
            let model = RecallModel(own: [], live: trials)
            return try #require(model.choice(target: 0.95, k: k)).efSearch
        }
        let tens = try [1, 2, 8].map { try efSearch($0, .shallow, k: 10) }
        #expect(tens[2] < tens[1] && tens[1] < tens[0], "\(tens)")
        let hundreds = try [1, 4].map { try efSearch($0, .deep, k: 100) }
        #expect(hundreds[1] < hundreds[0], "\(hundreds)")
    }

    @Test("More recall takes more candidates, more hits as well")
    func isMonotone() throws {
        let fixture = Self.fixture(count: 4_000)
        let trials = try fixture.trials(
            Self.strangers(count: 64, seed: 7), depths: [.shallow, .deep])
        let model = RecallModel(own: trials, live: [])
        for k in [1, 10, 25, 60, 100, 200] {
            var last = 0
            for target in [0.5, 0.8, 0.9, 0.95, 0.97] {
                let choice = try #require(model.choice(target: target, k: k))
                #expect(choice.efSearch >= last, "k \(k), target \(target)")
                last = choice.efSearch
            }
        }
        let ks = try [10, 25, 60, 100, 200].map {
            try #require(model.choice(target: 0.9, k: $0)).efSearch
        }
        #expect(ks == ks.sorted())
        #expect(model.choice(target: 0.9, k: 5) == model.choice(target: 0.9, k: 10))
    }

    @Test("What was not measured is not told")
    func unknown() throws {
        let fixture = Self.fixture(count: 2_000)
        let trials = try fixture.trials(Self.strangers(count: 16, seed: 8))
        let model = RecallModel(own: trials, live: [])
        #expect(model.choice(target: 0.9, k: 10) != nil)
        #expect(model.choice(target: 0.9, k: 20) == nil)
        #expect(model.choice(target: 0.9, k: 100) == nil)
        #expect(model.scanned(k: 10) == nil)
        #expect(RecallModel(own: [], live: []).choice(target: 0.9, k: 10) == nil)
        let guess = RecallChoice(uncalibrated: 0.9, k: 10)
        #expect(guess.sampleCount == 0 && guess.mean == 0 && guess.efSearch > 10)
        #expect(RecallChoice(uncalibrated: 0.99, k: 10).efSearch > guess.efSearch)
        #expect(RecallChoice(uncalibrated: 0.999, k: 10_000).efSearch == Limits.efSearchMax)
    }

    @Test("A target beyond what walks reach asks for a scan, whose recall is known")
    func scans() throws {
        let fixture = Self.fixture()
        let trials = try fixture.trials(
            Self.strangers(count: 24, seed: 10), measuresScan: true)
        let model = RecallModel(own: trials, live: [])
        #expect(try !#require(model.choice(target: 0.9, k: 10)).needsScan)
        // That few queries were all perfect is not enough for it.
        let choice = try #require(model.choice(target: 0.999, k: 10))
        #expect(choice.needsScan, "\(choice)")
        let scanned = try #require(model.scanned(k: 10))
        #expect(scanned.mean > 0.99 && scanned.sampleCount == 24)
        let plan = fixture.index.scanInstead(
            of: VectorPlan(strategy: .graph, estimatedCost: 1), maskCount: nil)
        #expect(plan.strategy == .flat && plan.estimatedCost == 8_000)
    }

    @Test("Queries made of the rows differ by seed, and leave the dead alone")
    func ownQueries() throws {
        var fixture = Self.fixture(count: 1_500)
        func queries(_ seed: UInt64) throws -> [[Float]] {
            try fixture.index.ownQueries(count: 20, seed: seed, visibility: fixture.visibility)
        }
        let first = try queries(1)
        #expect(first.count == 20)
        #expect(try queries(1) == first)
        #expect(try queries(2) != first)
        for slot in 0..<1_500 { fixture.remove(slot) }
        #expect(try queries(1).isEmpty)
    }
}
