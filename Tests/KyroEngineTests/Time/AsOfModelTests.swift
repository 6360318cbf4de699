// The past of a collection, across rebuilds, snapshots and restarts, against maps that were kept.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct AsOfModelTests {
    @Test(
        "Every moment within the retention reads as it was; older ones do, or are refused",
        arguments: 1...UInt64(scaled(30)))
    func thePastStays(seed: UInt64) throws {
        var life = try AsOfLife(seed: seed)
        for _ in 0..<110 { try life.step() }
        life.count()
        life.stepped.engine.close()
        if scaled(100) < 100 { return }
        #expect(life.read > 5, "seed \(seed): \(life.fingerprint)")
    }

    @Test("Rebuilds happen and drop what is older than the retention")
    func theRetentionEnds() throws {
        var refused = 0
        var rebuilds: UInt64 = 0
        for seed in 100..<UInt64(100 + scaled(12)) {
            var life = try AsOfLife(seed: seed)
            life.isHasty = true
            for _ in 0..<110 { try life.step() }
            life.count()
            life.stepped.engine.close()
            refused += life.refused
            rebuilds += life.rebuilds
        }
        if scaled(100) < 100 { return }
        #expect(rebuilds > 0 && refused > 0, "\(rebuilds) rebuilds, \(refused) refused")
    }

    @Test("Without a retention a rebuild drops the past, and says from where on it can be read")
    func withoutARetention() throws {
        var life = try AsOfLife(seed: 7, retentionMillis: 0)
        for _ in 0..<8 { try life.write() }
        life.clock.advance(millis: 61_000)
        life.stepped.scheduler.settle()
        life.count()
        #expect(life.rebuilds > 0)
        var request = ScanRequest(scope: AsOfLife.scope)
        request.asOf = .seq(life.history[1].seq)
        let error = #expect(throws: KyroError.self) { try life.stepped.scan(request) }
        #expect(error?.reason == KyroError.Reason.asOfGone.rawValue)
        #expect(error?.code == .outOfRange)
        #expect(error?.message.contains("the oldest that can be read is") == true)
        request.asOf = .seq(Sequence(1 << 40))
        let early = #expect(throws: KyroError.self) { try life.stepped.scan(request) }
        #expect(early?.reason == KyroError.Reason.seqNotReached.rawValue)
        #expect(early?.field == "as_of.seq")
        life.stepped.engine.close()
    }

    @Test("A retention outlives a restart, can be changed, and is bounded")
    func retentionsAreDurable() throws {
        var life = try AsOfLife(seed: 5, retentionMillis: 86_400_000)
        try life.setRetention(5_000)
        #expect(try life.retention() == 5_000)
        try life.restart()
        #expect(try life.retention() == 5_000)
        for wrong in [-1, Limits.retentionMillisMax + 1] {
            let error = #expect(throws: KyroError.self) { try life.setRetention(wrong) }
            #expect(error?.field == "retention_ms")
        }
        life.stepped.engine.close()
    }
}

struct AsOfLife {
    static let scope = Scope(namespace: "past")

    struct Moment {
        var seq: Sequence
        var millis: Int64
        var documents: [DocumentID: Document]
    }

    let seed: UInt64
    let retentionMillis: Int64
    let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    var configuration = EngineConfiguration(path: "/db")
    var disk = MemoryFileSystem()
    var world: World
    var stepped: SteppedEngine
    var model = Model()
    /// After each write, oldest first; before the first nothing was there.
    var history: [Moment] = []
    var stepNumber = 0
    var rebuilds: UInt64 = 0
    var read = 0
    var refused = 0
    /// Whether time passes quickly, so that the retention ends for most.
    var isHasty = false

    init(seed: UInt64, retentionMillis: Int64 = 300_000) throws {
        self.seed = seed
        self.retentionMillis = retentionMillis
        world = World(seed: seed)
        world.idsMax = 30
        configuration.shardCount = [1, 2, 7][Int(seed % 3)]
        configuration.logSegmentBytes = 1 << 14
        configuration.rebuildDeadRowsMin = 3
        stepped = try SteppedEngine(seed: seed, disk, configuration, clock: clock)
        _ = try stepped.awaited { [stepped] done in
            stepped.engine.createCollection(
                CreateCollectionRequest(
                    scope: Self.scope, schema: World.schema, retentionMillis: retentionMillis),
                completion: done)
        }.get()
    }

    var context: Comment { "seed \(seed), step \(stepNumber)" }
    var fingerprint: String { "\(rebuilds) rebuilds, \(read) read, \(refused) refused" }

    mutating func step() throws {
        stepNumber += 1
        for _ in 0..<world.dice.below(8) { stepped.scheduler.step() }
        switch world.dice.below(100) {
        case ..<40: try write()
        case ..<45: try stepped.snapshot()
        case ..<60: clock.advance(millis: Int64(world.dice.below(isHasty ? 90_000 : 8_000)))
        case ..<64: try restart()
        case ..<70: stepped.scheduler.settle()
        default: try check()
        }
    }

    mutating func write() throws {
        let batch = (0..<(1 + world.dice.below(10))).map { _ in world.mutation() }
        let now = clock.wallMillis()
        for (mutation, isValid) in batch {
            _ = model.apply(mutation, isValid: isValid, nowMillis: now)
        }
        let response = try stepped.write(batch.map(\.0), to: Self.scope)
        guard response.seq > .zero else { return }
        history.append(Moment(seq: response.seq, millis: now, documents: model.documents))
    }

    mutating func count() { rebuilds += stepped.rebuilds }

    mutating func restart() throws {
        count()
        stepped.engine.close()
        stepped = try SteppedEngine(
            seed: seed &+ UInt64(stepNumber), disk, configuration, clock: clock)
    }

    mutating func setRetention(_ millis: Int64) throws {
        _ = try stepped.awaited { [stepped] done in
            stepped.engine.setRetention(
                SetRetentionRequest(scope: Self.scope, retentionMillis: millis), completion: done)
        }.get()
    }

    func retention() throws -> Int64 {
        try stepped.engine.describeCollection(DescribeCollectionRequest(scope: Self.scope))
            .collection.retentionMillis
    }

    /// A random moment, by sequence or by time, read in every way.
    mutating func check() throws {
        guard !history.isEmpty else { return }
        let now = clock.wallMillis()
        let asOf: AsOf
        var wanted: [DocumentID: Document] = [:]
        var isKept: Bool
        if world.dice.chance(50) {
            let moment = world.dice.pick(history)
            asOf = .seq(moment.seq)
            wanted = moment.documents
            isKept = moment.millis > now - retentionMillis
        } else {
            let span = Int(now - history[0].millis) + 20_000
            let millis = now - Int64(world.dice.below(span)) + 10_000
            asOf = .time(millis)
            wanted = history.last { $0.millis <= millis }?.documents ?? [:]
            isKept = millis >= now - retentionMillis
        }
        var scan = ScanRequest(scope: Self.scope)
        scan.asOf = asOf
        let visible = wanted.values.filter { ($0.expiresAtMillis ?? .max) > now }
            .sorted { $0.id < $1.id }
        let found: [Document]
        do {
            found = try stepped.scan(scan)
        } catch let error as KyroError {
            let isGone = error.reason == KyroError.Reason.asOfGone.rawValue
            try #require(isGone && !isKept, "\(asOf) at \(now): \(error.message), \(context)")
            refused += 1
            return
        }
        try #require(found == visible, "\(asOf) at \(now), \(context)")
        read += 1
        try checkLookup(asOf, visible)
        if wanted.count == visible.count { try checkSearches(asOf, wanted, now) }
    }

    private mutating func checkLookup(_ asOf: AsOf, _ visible: [Document]) throws {
        let byID = Dictionary(uniqueKeysWithValues: visible.map { ($0.id, $0) })
        var request = LookupRequest(scope: Self.scope, ids: (0..<10).map { _ in world.id() })
        request.asOf = asOf
        let found = try stepped.engine.lookup(request, cancellation: Cancellation())
        try #require(found.results.map(\.document) == request.ids.map { byID[$0] }, context)
    }

    /// Hits and scores as they were then, BM25's counts included. Not where a document of then has
    /// expired since, which counts or not.
    private mutating func checkSearches(
        _ asOf: AsOf, _ documents: [DocumentID: Document], _ now: Int64
    ) throws {
        let oracle = SearchOracle(documents, schema: World.schema, nowMillis: now)
        for _ in 0..<3 {
            var request = world.question(Self.scope)
            request.exact = world.dice.chance(50)
            request.asOf = asOf
            let expected = oracle.answer(request, schema: World.schema)
            if expected.isDelicate { continue }
            let page = expected.rows.dropFirst(Int(request.offset)).prefix(Int(request.limit))
            let hits = try stepped.search(request).hits
            try #require(hits.map(\.id) == page.map(\.id), "\(request), \(context)")
            for (hit, row) in zip(hits, page) {
                let isEqual = abs(hit.score - row.score) <= 1e-4 * max(1, abs(row.score))
                try #require(isEqual, "\(request), \(context)")
            }
        }
    }
}
