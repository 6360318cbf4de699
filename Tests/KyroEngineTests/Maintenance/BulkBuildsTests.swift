// Graphs that are built at once while everything else goes on, turn by turn.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct BulkBuildsTests {
    private static let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)

    @Test(
        "Searches, writes, deletes and snapshots go on while a graph is built, and it is a good one",
        arguments: 1...UInt64(scaled(8)))
    func everythingGoesOn(seed: UInt64) throws {
        var life = try BulkLife(seed: seed, clock: Self.clock)
        try life.write(0..<5_000)
        #expect(life.shard.graphRows == 0 && life.shard.tailRows == 5_000)
        var during = 0
        for _ in 0..<40 {
            try life.change()
            // Nothing is linked between the beginning and the moment when all of it is there.
            let shard = life.shard
            #expect(shard.graphRows == 0 || shard.graphRows >= 5_000, "seed \(seed): \(shard)")
            #expect(shard.graphRows + shard.tailRows == shard.documents + shard.deadRows)
            #expect(shard.graphRowsInserted == shard.graphRows, "seed \(seed)")
            if shard.graphRows == 0 { during += 1 }
            try life.check(queries: 3)
        }
        life.stepped.scheduler.settle()
        let shard = life.shard
        #expect(shard.tailRows == 0 && shard.graphRows >= 5_000, "seed \(seed): \(shard)")
        #expect(try life.strategy() == .graph)
        let recall = try life.recall()
        #expect(recall > 0.97, "seed \(seed)")
        try life.check(queries: 20)
        print("RESULT bulk build \(seed): \(during) rounds before it was there, recall \(recall)")
        life.stepped.engine.close()
    }

    @Test("A graph is as good as one that grew row by row")
    func asGoodAsGrown() throws {
        var built = try BulkLife(seed: 11, clock: Self.clock)
        var grown = try BulkLife(seed: 11, clock: Self.clock) { $0.bulkRowsMin = 1 << 30 }
        try built.write(0..<6_000)
        try grown.write(0..<6_000)
        built.stepped.scheduler.settle()
        grown.stepped.scheduler.settle()
        let (ours, theirs) = (try built.recall(efSearch: 24), try grown.recall(efSearch: 24))
        #expect(ours > theirs - 0.01, "\(ours) against \(theirs)")
        #expect(built.shard.graphRowsInserted == 6_000 && grown.shard.graphRowsInserted == 6_000)
        built.stepped.engine.close()
        grown.stepped.engine.close()
    }

    @Test("Rows behind a graph are linked one by one, and with it built anew when they are many")
    func longTailsBehindAGraph() throws {
        var life = try BulkLife(seed: 12, clock: Self.clock)
        try life.write(0..<4_500)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 4_500)
        let reader = try life.stepped.engine.scan(
            ScanRequest(scope: BulkLife.scope), cancellation: Cancellation())
        // Less than half of what is there.
        try life.write(4_500..<6_000)
        while life.shard.graphRows == 4_500 { life.stepped.scheduler.step() }
        #expect(life.shard.graphRows < 6_000)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 6_000)
        try life.write(6_000..<10_000)
        while life.shard.graphRows == 6_000 { life.stepped.scheduler.step() }
        #expect(life.shard.graphRows == 10_000)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRowsInserted == 10_000)
        #expect(try life.recall() > 0.97)
        var seen = 0
        while let page = try reader.next(bytesMax: 1 << 16) { seen += page.documents.count }
        #expect(seen == 4_500, "a reader of before goes on")
        life.stepped.engine.close()
    }

    @Test("A stop at any turn loses nothing", arguments: 0..<scaled(24))
    func stops(turns: Int) throws {
        var life = try BulkLife(seed: 13, clock: Self.clock)
        try life.write(0..<1_500)
        for _ in 0..<turns { life.stepped.scheduler.step() }
        try life.restart()
        #expect(life.shard.documents == 1_500)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 1_500)
        try life.check(queries: 5)
        life.stepped.engine.close()
    }

    @Test("Threads of the engine build, and a stop in the middle loses nothing")
    func stopsThreads() throws {
        let disk = MemoryFileSystem()
        var settings = EngineSettings(fsync: .never, logSegmentBytes: 4 << 20)
        settings.bulkRowsMin = 2_000
        settings.bulkThreads = 3
        let count = scaled(20_000)
        let first = try TestEngine(disk, settings)
        for ids in [0..<(count / 2), (count / 2)..<count] {
            try first.write(
                ids.map { .upsert(BulkLife.document($0, version: 0)) }, to: BulkLife.scope,
                creating: BulkLife.schema)
        }
        first.close()
        let again = try TestEngine(disk, settings)
        defer { again.close() }
        var shard: ShardStatus { again.engine.status().shards[0] }
        #expect(shard.documents == UInt64(count))
        #expect(eventually { shard.graphRows == UInt64(count) }, "\(shard)")
    }

    @Test("Without memory for it rows are linked one by one")
    func withoutMemory() throws {
        let memory = ManualGauge()
        memory.set(6 << 20)
        var life = try BulkLife(seed: 14, clock: Self.clock, memory: memory) {
            $0.memoryLimitBytes = 8 << 20
        }
        try life.write(0..<5_000)
        while life.shard.graphRows == 0 { life.stepped.scheduler.step() }
        #expect(life.shard.graphRows < 5_000, "\(life.shard)")
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 5_000)
        #expect(try life.recall() > 0.97)
        life.stepped.engine.close()
    }

    @Test("After a restart the graph is there, and built at once where the snapshot's is damaged")
    func restarts() throws {
        var life = try BulkLife(seed: 15, clock: Self.clock)
        try life.write(0..<5_000)
        life.stepped.scheduler.settle()
        try life.stepped.snapshot()
        try life.write(5_000..<5_100)
        try life.restart()
        #expect(life.shard.graphRows >= 5_000 && life.shard.replayedRecords == 100)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 5_100 && life.shard.graphRowsInserted == 100)
        #expect(try life.recall() > 0.97)
        #expect(life.notices.withLock { $0 } == [])

        try life.stepped.snapshot()
        life.stepped.engine.close()
        try life.damageLatestGraph()
        try life.open()
        #expect(life.notices.withLock { $0 }.contains { $0.contains("section graph-") })
        #expect(life.shard.graphRows == 0)
        try life.check(queries: 5)
        while life.shard.graphRows == 0 { life.stepped.scheduler.step() }
        #expect(life.shard.graphRows == 5_100)
        #expect(try life.recall() > 0.97)
        // And is written down again by itself: when all is quiet the writer is asked to begin.
        life.stepped.scheduler.settle()
        life.stepped.scheduler.settle()
        life.notices.withLock { $0 = [] }
        try life.restart()
        #expect(life.notices.withLock { $0 } == [])
        #expect(life.shard.graphRows == 5_100 && life.shard.graphRowsInserted == 0)
        life.stepped.engine.close()
    }

    @Test("A rebuild that is left with too few rows to carry the graph over builds one at once")
    func rebuilds() throws {
        var life = try BulkLife(seed: 16, clock: Self.clock)
        try life.write(0..<8_500)
        try life.write(8_500..<17_000)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 17_000)
        let leaving = (0..<17_000).filter { $0 % 4 != 0 && $0 < 16_600 }
        // As many as do not yet call for a rebuild, and then far more.
        try life.remove(Array(leaving.prefix(5_000)))
        try life.remove(Array(leaving.dropFirst(5_000)))
        var flat = 0
        while life.stepped.rebuilds == 0 {
            life.stepped.scheduler.step()
            if try life.strategy() == .flat { flat += 1 }
        }
        #expect(flat == 0, "the old graph serves until the new one is whole")
        #expect(life.shard.graphRows == life.shard.documents && life.shard.deadRows == 0)
        #expect(life.shard.tailRows == 0)
        #expect(try life.recall() > 0.97)
        try life.check(queries: 10)
        life.stepped.engine.close()
    }

    @Test("A collection that is dropped or rebuilt meanwhile leaves nothing behind")
    func drops() throws {
        for turns in 0..<scaled(12) {
            var life = try BulkLife(seed: 17 + UInt64(turns), clock: Self.clock)
            try life.write(0..<1_200)
            for _ in 0..<turns { life.stepped.scheduler.step() }
            let engine = life.stepped.engine
            _ = try life.stepped.awaited { done in
                engine.dropCollection(
                    DropCollectionRequest(scope: BulkLife.scope), completion: done)
            }.get()
            life.stepped.scheduler.settle()
            #expect(life.shard.graphRows == 0 && life.shard.documents == 0)
            life.documents = [:]
            try life.write(0..<1_100)
            life.stepped.scheduler.settle()
            #expect(life.shard.graphRows == 1_100, "after \(turns) turns")
            engine.close()
        }
    }
}

/// A collection with one vector field, and what must be in it.
private struct BulkLife {
    static let scope = Scope(namespace: "bulk")
    static let dimension = 24

    static var schema: Schema {
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: dimension, metric: .cosine)
        return schema
    }

    let disk = MemoryFileSystem()
    let clock: ManualClock
    let memory: any MemoryGauge
    let notices = Locked<[String]>([])
    var configuration = EngineConfiguration(path: "/db")
    var stepped: SteppedEngine
    var documents: [Int: Document] = [:]
    private var dice: Dice
    private var version = 0

    init(
        seed: UInt64, clock: ManualClock, memory: any MemoryGauge = ManualGauge(),
        change: (inout EngineConfiguration) -> Void = { _ in }
    ) throws {
        self.clock = clock
        self.memory = memory
        dice = Dice(seed: seed)
        configuration.shardCount = 1
        configuration.logSegmentBytes = 4 << 20
        configuration.bulkRowsMin = 1_000
        change(&configuration)
        let notices = notices
        stepped = try SteppedEngine(
            seed: seed, disk, configuration, clock: clock, memory: memory,
            notice: { text in notices.withLock { $0.append(text) } })
    }

    mutating func open() throws {
        let notices = notices
        stepped = try SteppedEngine(
            seed: dice.next(), disk, configuration, clock: clock, memory: memory,
            notice: { text in notices.withLock { $0.append(text) } })
    }

    mutating func restart() throws {
        stepped.engine.close()
        try open()
    }

    var shard: ShardStatus { stepped.status.shards[0] }

    /// Around one of a hundred centres.
    static func document(_ id: Int, version: Int) -> Document {
        var centre = Dice(seed: UInt64(id &* 7 % 100))
        var dice = Dice(seed: UInt64(id) << 20 | UInt64(version))
        var document = Document(id: .number(UInt64(id)))
        document.vectors["v"] = (0..<dimension).map { _ in
            Float(centre.fraction() - 0.5) + Float(dice.fraction() - 0.5) * 0.6
        }
        return document
    }

    /// In one group.
    mutating func write(_ ids: some Swift.Sequence<Int>) throws {
        version += 1
        var mutations: [Mutation] = []
        for id in ids {
            let document = Self.document(id, version: version)
            documents[id] = document
            mutations.append(.upsert(document))
        }
        try stepped.write(mutations, to: Self.scope, creating: Self.schema)
    }

    mutating func remove(_ ids: [Int]) throws {
        for id in ids { documents[id] = nil }
        try stepped.write(ids.map { .remove(.number(UInt64($0))) }, to: Self.scope)
    }

    mutating func change() throws {
        for _ in 0..<dice.below(3) { stepped.scheduler.step() }
        switch dice.below(10) {
        case ..<4:
            let first = dice.below(6_000)
            try write(first..<(first + 1 + dice.below(4)))
        case ..<6:
            let ids = (0..<3).map { _ in dice.below(5_000) }.filter { documents[$0] != nil }
            if !ids.isEmpty { try remove(Array(Set(ids)).sorted()) }
        case 6: try stepped.snapshot()
        default: break
        }
    }

    // MARK: Questions

    private func request(_ query: Int) -> SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        request.limit = 10
        request.candidates = 10
        let vector = Self.document(query * 37, version: 1_000).vectors["v"] ?? []
        request.vector = VectorQuery(field: "v", vector: vector)
        return request
    }

    /// The best ten by brute force over what must be there.
    private func best(_ query: [Float]) -> [(id: DocumentID, score: Double)] {
        func cosine(_ document: Document) -> Double {
            let row = document.vectors["v"] ?? []
            var (dot, own, other) = (0.0, 0.0, 0.0)
            for (a, b) in zip(query, row) {
                dot += Double(a) * Double(b)
                own += Double(a) * Double(a)
                other += Double(b) * Double(b)
            }
            return dot / (own * other).squareRoot()
        }
        let scored = documents.values.map { (id: $0.id, score: cosine($0)) }
        return Array(scored.sorted { $0.score > $1.score }.prefix(10))
    }

    /// Exact answers are those of brute force; equals may come in any order.
    mutating func check(queries: Int) throws {
        for _ in 0..<queries {
            var request = request(dice.below(10_000))
            request.exact = true
            let hits = try stepped.search(request).hits
            let best = best(request.vector?.vector ?? [])
            try #require(hits.count == best.count)
            for (hit, wanted) in zip(hits, best) {
                try #require(abs(Double(hit.score) - wanted.score) < 1e-6, "\(hits), \(best)")
            }
        }
    }

    /// Against brute force, of a hundred questions.
    func recall(efSearch: UInt32 = 0) throws -> Double {
        var found = 0
        for query in 0..<100 {
            var request = request(query)
            request.vector?.efSearch = efSearch
            let best = best(request.vector?.vector ?? []).map(\.id)
            found += try stepped.search(request).hits.count { best.contains($0.id) }
        }
        return Double(found) / 1_000
    }

    func strategy() throws -> VectorStrategy? {
        var request = request(1)
        request.explain = true
        return try stepped.search(request).explain?.shards.first?.vectorStrategy
    }

    /// The graph is written last but for the metadata, and smaller than the rows.
    func damageLatestGraph() throws {
        let folder = "/db/shard-0000"
        let name = try #require(SnapshotFiles.list(directory: folder, fileSystem: disk).last)
        let file = try disk.open("\(folder)/\(name)", .readWrite)
        var bytes = try file.readAll()
        bytes[bytes.count * 3 / 4] ^= 4
        try file.write(bytes, at: 0)
        try file.sync()
    }
}
