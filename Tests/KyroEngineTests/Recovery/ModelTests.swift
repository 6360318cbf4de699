// Long random lives of an engine against a map of maps: writes, snapshots, drops, and every way to
// end a process.
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct ModelTests {
    static let steps = scaled(150)

    @Test(
        "What was acknowledged is there after a stop, a kill and a power cut",
        arguments: [(1, 1), (2, 3), (3, 2), (4, 7), (5, 1), (6, 1)] as [(UInt64, Int)])
    func everyRestartFindsTheModel(seed: UInt64, shardCount: Int) throws {
        var life = try Life(seed: seed, shardCount: shardCount)
        for _ in 0..<Self.steps { try life.step() }
        life.test.close()
        if Self.steps < 100 { return }
        #expect(life.restarts.values.allSatisfy { $0 > 0 }, "\(life.restarts), seed \(seed)")
        #expect(seed % 3 == 0 || life.rebuilds > 0, "seed \(seed)")
        print("RESULT model, seed \(seed): \(life.rebuilds) rebuilds")
    }
}

/// One engine's life and what it should hold.
private struct Life {
    enum End: CaseIterable { case clean, kill, powerCut }

    static let scopes = ["a", "b", "c"].map { Scope(tenant: "t", namespace: $0) }

    let seed: UInt64
    let settings: EngineSettings
    let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    let random: SeededRandomSource
    var world: World
    var disk = MemoryFileSystem()
    var test: TestEngine
    var models: [Scope: Model] = [:]
    /// By scope and producer: the last batch acknowledged.
    var sent: [Scope: [String: UInt64]] = [:]
    var lastSeq = Sequence.zero
    var rebuilds: UInt64 = 0
    var restarts: [End: Int] = [.clean: 0, .kill: 0, .powerCut: 0]
    var stepNumber = 0

    init(seed: UInt64, shardCount: Int) throws {
        self.seed = seed
        world = World(seed: seed)
        world.idsMax = 60
        random = SeededRandomSource(seed: seed)
        var settings = EngineSettings(shardCount: shardCount)
        settings.clock = clock
        settings.logSegmentBytes = 4_096
        // Most lives rebuild their collections all the time.
        if seed % 3 != 0 { settings.rebuildDeadRowsMin = 5 }
        // Some lives take snapshots by themselves.
        if seed % 2 == 0 { settings.snapshotLogBytes = 16_384 }
        self.settings = settings
        test = try TestEngine(disk, settings)
    }

    var context: Comment { "seed \(seed), step \(stepNumber)" }

    mutating func step() throws {
        stepNumber += 1
        for _ in 0..<(1 + world.dice.below(4)) {
            switch world.dice.below(100) {
            case ..<45: try write()
            case ..<65: try stream()
            case ..<72: try test.snapshot()
            case ..<78: world.learnField()
            case ..<83: clock.advance(millis: 500)
            case ..<86: try drop()
            default: try check()
            }
        }
        if world.dice.chance(35) {
            try restart()
            try check()
        }
    }

    // MARK: Acts

    mutating func write() throws {
        let scope = world.dice.pick(Self.scopes)
        let batch = mutations()
        let expected = apply(batch, to: scope)
        let response = try test.write(batch.map(\.0), to: scope, creating: World.schema)
        try compare(response, expected)
    }

    /// A batch of a stream; one in three is sent twice, perhaps after a restart.
    mutating func stream() throws {
        let scope = world.dice.pick(Self.scopes)
        let producer = world.dice.pick(["p", "q"])
        if models[scope] == nil { return }
        let number = (sent[scope]?[producer] ?? 0) + UInt64(1 + world.dice.below(3))
        let mark = ProducerMark(id: producer, clientSequence: number)
        let batch = mutations()
        let expected = apply(batch, to: scope)
        let response = try test.write(batch.map(\.0), to: scope, producer: mark)
        try compare(response, expected)
        sent[scope, default: [:]][producer] = number
        guard world.dice.chance(33) else { return }
        if world.dice.chance(50) { try restart() }
        let again = try test.write(batch.map(\.0), to: scope, producer: mark)
        for (outcome, item) in zip(again.outcomes, batch) {
            try #require(
                outcome == .duplicate || !item.isValid || outcome.error != nil,
                "\(outcome) for a resend, \(context)")
        }
        try check()
    }

    mutating func drop() throws {
        let scope = world.dice.pick(Self.scopes)
        guard let model = models[scope] else { return }
        try #require(try test.drop(scope) == UInt64(model.documents.count), context)
        models[scope] = nil
        sent[scope] = nil
        #expect(throws: KyroError.self) { try test.describe(scope) }
    }

    mutating func restart() throws {
        let end = world.dice.pick(End.allCases)
        restarts[end, default: 0] += 1
        rebuilds += test.engine.status().shards.reduce(0) { $0 + $1.rebuilds }
        switch end {
        case .clean:
            test.close()
        case .kill:
            let left = disk.copy()
            test.close()
            disk = left
        case .powerCut:
            let left = disk.afterPowerCut(random)
            test.close()
            disk = left
        }
        test = try TestEngine(disk, settings)
        for shard in test.engine.status().shards {
            try #require(shard.state == .serving, "\(shard.problem), \(end), \(context)")
        }
    }

    private mutating func mutations() -> [(Mutation, isValid: Bool)] {
        (0..<(1 + world.dice.below(12))).map { _ in world.mutation() }
    }

    private mutating func apply(
        _ batch: [(Mutation, isValid: Bool)], to scope: Scope
    ) -> [Model.Outcome] {
        let now = clock.wallMillis()
        return batch.map {
            models[scope, default: Model()].apply($0.0, isValid: $0.isValid, nowMillis: now)
        }
    }

    private mutating func compare(
        _ response: WriteResponse, _ expected: [Model.Outcome]
    ) throws {
        try #require(response.outcomes.count == expected.count, context)
        for (outcome, wanted) in zip(response.outcomes, expected) {
            try #require(outcome.matches(wanted), "\(outcome), not \(wanted), \(context)")
            if case .applied(let seq) = outcome {
                try #require(seq > lastSeq, "sequences rise: \(seq) \(lastSeq), \(context)")
            }
        }
        lastSeq = max(lastSeq, response.seq)
    }

    // MARK: Checks

    /// All collections through every kind of read.
    mutating func check() throws {
        let now = clock.wallMillis()
        for scope in Self.scopes {
            guard let model = models[scope] else {
                #expect(throws: KyroError.self, context) { try test.describe(scope) }
                continue
            }
            try #require(
                try test.describe(scope).documentCount == UInt64(model.documents.count), context)
            let visible = model.visible(nowMillis: now)
            try #require(try test.scan(scope) == visible, context)
            try checkLookups(scope, visible)
            try checkSearches(scope, model, now)
            try checkPages(scope, visible)
            for (producer, number) in sent[scope] ?? [:] {
                let known = try test.openStream(scope, producer: producer)
                try #require(known <= number, "\(producer) is at \(known), \(context)")
            }
        }
        let live = models.values.reduce(0) { $0 + $1.documents.count }
        let documents = test.engine.status().shards.reduce(0) { $0 + $1.documents }
        try #require(documents == UInt64(live), context)
        try #require(test.engine.status().seq >= lastSeq, context)
    }

    private mutating func checkLookups(_ scope: Scope, _ visible: [Document]) throws {
        let byID = Dictionary(uniqueKeysWithValues: visible.map { ($0.id, $0) })
        let ids = (0..<20).map { _ in world.id() }
        let found = try test.lookup(ids, in: scope, minSeq: lastSeq)
        try #require(found == ids.map { byID[$0] }, context)
    }

    /// A filtered scan, cut in two by a limit and resumed after other writes.
    private mutating func checkPages(_ scope: Scope, _ visible: [Document]) throws {
        var request = ScanRequest(scope: scope)
        request.filter = world.filter(depth: 2)
        request.minSeq = lastSeq
        let wanted = visible.filter { satisfies($0.metadata, request.filter ?? .all([])) }
        request.limit = UInt64(1 + world.dice.below(10))
        let cursor = try test.engine.scan(request, cancellation: Cancellation())
        var documents: [Document] = []
        var token: [UInt8] = []
        while let page = try cursor.next(bytesMax: 400) {
            documents += page.documents
            token = page.resumeToken
        }
        try #require(documents == Array(wanted.prefix(Int(request.limit))), context)
        guard !token.isEmpty else { return }
        if world.dice.chance(30) { try write() }
        request.limit = 0
        request.resumeToken = token
        let rest = try test.scan(request, pageBytes: 700)
        try #require(rest == Array(wanted.dropFirst(documents.count)), "the rest, \(context)")
    }

    private mutating func checkSearches(_ scope: Scope, _ model: Model, _ now: Int64) throws {
        let oracle = SearchOracle(model.documents, schema: World.schema, nowMillis: now)
        for _ in 0..<8 {
            var request = world.question(scope)
            request.minSeq = lastSeq
            let expected = oracle.answer(request, schema: World.schema)
            if expected.isDelicate { continue }
            let page = expected.rows.dropFirst(Int(request.offset)).prefix(Int(request.limit))
            let hits = try test.search(request).hits
            try #require(hits.map(\.id) == page.map(\.id), "\(request), \(context)")
            for (hit, row) in zip(hits, page) {
                try #require(
                    abs(hit.score - row.score) <= 1e-4 * max(1, abs(row.score)),
                    "\(request), \(context)")
            }
        }
    }
}
