// Collections that are rebuilt all the time, one turn after the other, against a map.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct RebuildModelTests {
    @Test(
        "Every kind of read sees the model while parts are rebuilt, and scans go on across swaps",
        arguments: 1...UInt64(scaled(40)))
    func readsSeeTheModel(seed: UInt64) throws {
        var life = try RebuildLife(seed: seed)
        for _ in 0..<120 { try life.step() }
        life.count()
        let first = life.fingerprint
        life.stepped.engine.close()
        if scaled(100) < 100 { return }
        #expect(life.rebuilds > 0, "seed \(seed): \(life.fingerprint)")
        guard seed <= 3 else { return }
        var again = try RebuildLife(seed: seed)
        for _ in 0..<120 { try again.step() }
        again.count()
        again.stepped.engine.close()
        #expect(again.fingerprint == first, "the seed decides everything")
    }
}

private struct RebuildLife {
    static let scope = Scope(namespace: "churn")

    /// A scan that waits to be continued.
    struct OpenScan {
        var cursor: ScanCursor?
        var token: [UInt8]
        /// As it was when the scan began; what has expired since is left out.
        var rest: [Document]
        var leasedUntilMillis: Int64
    }

    let seed: UInt64
    let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    var configuration = EngineConfiguration(path: "/db")
    var disk = MemoryFileSystem()
    var world: World
    var stepped: SteppedEngine
    var model = Model()
    var scans: [OpenScan] = []
    var stepNumber = 0
    var rebuilds: UInt64 = 0
    var resumed = 0
    var expiredTokens = 0
    var lastSeq = Sequence.zero

    init(seed: UInt64) throws {
        self.seed = seed
        world = World(seed: seed)
        world.idsMax = 40
        configuration.shardCount = 1 + Int(seed % 3)
        configuration.logSegmentBytes = 1 << 14
        configuration.rebuildDeadRowsMin = 3
        configuration.bulkRowsMin = [2, 9, 1 << 20][Int(seed / 3 % 3)]
        stepped = try SteppedEngine(seed: seed, disk, configuration, clock: clock)
        try stepped.write([], to: Self.scope, creating: World.schema)
    }

    var context: Comment { "seed \(seed), step \(stepNumber)" }
    var fingerprint: String {
        "\(rebuilds) rebuilds, \(resumed) resumed, \(expiredTokens) expired, at \(lastSeq.raw)"
    }

    mutating func step() throws {
        stepNumber += 1
        for _ in 0..<world.dice.below(8) { stepped.scheduler.step() }
        switch world.dice.below(100) {
        case ..<45: try write()
        case ..<60: try beginScan()
        case ..<75: try goOn()
        case ..<80: try stepped.snapshot()
        case ..<84: clock.advance(millis: world.dice.chance(20) ? 61_000 : 700)
        case ..<87: try restart()
        case ..<90: stepped.scheduler.settle()
        case ..<93: try changeOptions()
        default: try check()
        }
    }

    mutating func write() throws {
        let batch = (0..<(1 + world.dice.below(10))).map { _ in world.mutation() }
        let now = clock.wallMillis()
        let expected = batch.map { model.apply($0.0, isValid: $0.isValid, nowMillis: now) }
        let response = try stepped.write(batch.map(\.0), to: Self.scope)
        for (outcome, wanted) in zip(response.outcomes, expected) {
            try #require(outcome.matches(wanted), "\(outcome), not \(wanted), \(context)")
        }
        lastSeq = max(lastSeq, response.seq)
    }

    mutating func restart() throws {
        count()
        stepped.engine.close()
        scans = scans.map {
            var scan = $0
            scan.cursor = nil
            scan.leasedUntilMillis = 0
            return scan
        }
        stepped = try SteppedEngine(
            seed: seed &+ UInt64(stepNumber), disk, configuration, clock: clock)
    }

    mutating func changeOptions() throws {
        let field = world.dice.pick(World.schema.vectors.names)
        let indexing = world.dice.pick([
            .default, VectorIndexing(kind: .graph, m: 4), VectorIndexing(kind: .flat),
            VectorIndexing(kind: .graph, m: 21, efConstruction: 30), VectorIndexing(efSearch: 5),
            VectorIndexing(codes: .sq8),
        ])
        let description = try stepped.awaited { done in
            stepped.engine.rebuild(
                RebuildRequest(scope: Self.scope, vectors: [field: indexing]), completion: done)
        }.get()
        try #require(description.schema.vectors[field]?.indexing == indexing, context)
    }

    mutating func count() { rebuilds += stepped.rebuilds }

    // MARK: Scans that stay open

    private func leaseEnd() -> Int64 { clock.wallMillis() + 60_000 }

    mutating func beginScan() throws {
        guard scans.count < 4 else { return }
        let cursor = try stepped.engine.scan(
            ScanRequest(scope: Self.scope), cancellation: Cancellation())
        var scan = OpenScan(
            cursor: cursor, token: [], rest: model.visible(nowMillis: clock.wallMillis()),
            leasedUntilMillis: leaseEnd())
        if try page(&scan) { scans.append(scan) }
    }

    /// False at the end of the scan.
    private func page(_ scan: inout OpenScan) throws -> Bool {
        guard let answer = try scan.cursor?.next(bytesMax: 400) else {
            try #require(scan.rest.isEmpty, "\(scan.rest.count) are missing, \(context)")
            return false
        }
        let wanted = Array(scan.rest.prefix(answer.documents.count))
        try #require(answer.documents == wanted, context)
        scan.rest.removeFirst(wanted.count)
        scan.token = answer.resumeToken
        scan.leasedUntilMillis = leaseEnd()
        return true
    }

    mutating func goOn() throws {
        guard !scans.isEmpty else { return }
        var scan = scans.remove(at: world.dice.below(scans.count))
        if world.dice.chance(50) { scan.cursor = nil }
        if scan.cursor == nil {
            let now = clock.wallMillis()
            scan.rest.removeAll { ($0.expiresAtMillis ?? .max) <= now }
            var request = ScanRequest(scope: Self.scope)
            request.resumeToken = scan.token
            do throws(KyroError) {
                scan.cursor = try stepped.engine.scan(request, cancellation: Cancellation())
            } catch {
                // Only after its lease, and never with an answer that lacks something.
                let reason = KyroError.Reason.tokenExpired.rawValue
                try #require(error.reason == reason && now >= scan.leasedUntilMillis, context)
                expiredTokens += 1
                return
            }
            resumed += 1
        }
        if try page(&scan) { scans.append(scan) }
    }

    // MARK: Checks

    mutating func check() throws {
        let now = clock.wallMillis()
        let visible = model.visible(nowMillis: now)
        try #require(try stepped.scan(ScanRequest(scope: Self.scope)) == visible, context)
        let byID = Dictionary(uniqueKeysWithValues: visible.map { ($0.id, $0) })
        let ids = (0..<20).map { _ in world.id() }
        let found = try stepped.engine.lookup(
            LookupRequest(scope: Self.scope, ids: ids), cancellation: Cancellation())
        try #require(found.results.map(\.document) == ids.map { byID[$0] }, context)
        // Whether what has expired still counts depends on when it is dropped.
        if model.documents.count != visible.count { return }
        let oracle = SearchOracle(model.documents, schema: World.schema, nowMillis: now)
        for _ in 0..<6 {
            let request = world.question(Self.scope)
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
