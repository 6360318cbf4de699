// A collection of each index kind through its life: loaded, searched, changed, restarted, rebuilt.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct IndexKindsTests {
    private static let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    static let kinds: [(VectorIndexKind, VectorStrategy)] = [
        (.automatic, .graph), (.graph, .graph), (.ivf, .ivf), (.flat, .flat),
    ]

    @Test("A collection of each kind answers, and goes on after a restart", arguments: kinds)
    func restarts(kind: VectorIndexKind, strategy: VectorStrategy) throws {
        var life = try KindLife(seed: 31, kind: kind, clock: Self.clock)
        try life.write(0..<6_000)
        life.stepped.scheduler.settle()
        #expect(try life.strategy() == strategy)
        #expect(life.shard.tailRows == (kind == .flat ? 6_000 : 0), "\(life.shard)")
        #expect(try life.recall() > 0.97)
        try life.check(queries: 5)
        try life.stepped.snapshot()
        try life.write(6_000..<6_100)
        try life.restart()
        #expect(try life.strategy() == strategy)
        if kind != .flat { #expect(life.shard.graphRows >= 6_000, "\(life.shard)") }
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == (kind == .flat ? 0 : 6_100))
        #expect(life.shard.graphRowsInserted == (kind == .flat ? 0 : 100), "nothing was made anew")
        #expect(try life.recall() > 0.97)
        try life.check(queries: 5)
        #expect(life.notices.withLock { $0 } == [])
        life.stepped.engine.close()
    }

    @Test("A rebuild without the dead rows serves by the same kind at once", arguments: kinds)
    func rebuilds(kind: VectorIndexKind, strategy: VectorStrategy) throws {
        var life = try KindLife(seed: 32, kind: kind, clock: Self.clock) {
            $0.rebuildDeadRowsMin = 1_000
        }
        try life.write(0..<9_000)
        life.stepped.scheduler.settle()
        try life.remove((0..<9_000).filter { $0 % 5 < 2 })
        var scanned = 0
        while life.stepped.rebuilds == 0 {
            life.stepped.scheduler.step()
            if kind != .flat, life.shard.tailRows > 0 { scanned += 1 }
        }
        #expect(scanned == 0, "what serves is whole at any moment")
        // Of so few rows the planner may think a scan no dearer than the nearest lists.
        if kind != .ivf { #expect(try life.strategy() == strategy) }
        #expect(life.shard.deadRows == 0 && life.shard.documents == 5_400)
        #expect(life.shard.graphRows == (kind == .flat ? 0 : 5_400), "\(life.shard)")
        #expect(try life.recall() > 0.97)
        try life.check(queries: 10)
        life.stepped.engine.close()
    }

    @Test("Searches, writes, deletes and snapshots go on while lists grow", arguments: 1...4)
    func everythingGoesOn(seed: UInt64) throws {
        var life = try KindLife(seed: seed, kind: .ivf, clock: Self.clock)
        try life.write(0..<4_200)
        for round in 0..<60 {
            try life.change()
            try life.check(queries: 2)
            if round == 30 { try life.write(4_200..<(4_200 + scaled(9_000))) }
            if round == 40 { try life.write(14_000..<(14_000 + scaled(6_000))) }
        }
        life.stepped.scheduler.settle()
        let shard = life.shard
        #expect(shard.tailRows == 0 && shard.graphRows == shard.documents + shard.deadRows)
        #expect(try life.strategy() == .ivf)
        #expect(try life.recall() > 0.97, "seed \(seed)")
        try life.restart()
        try life.check(queries: 5)
        life.stepped.engine.close()
    }

    @Test("Damaged lists are told, trained anew behind a scan, and written down again")
    func damagedLists() throws {
        var life = try KindLife(seed: 33, kind: .ivf, clock: Self.clock)
        try life.write(0..<6_000)
        life.stepped.scheduler.settle()
        try life.stepped.snapshot()
        life.stepped.engine.close()
        try life.damageLatestLists()
        try life.open()
        #expect(life.notices.withLock { $0 }.contains { $0.contains("section graph-") })
        #expect(life.shard.graphRows == 0)
        #expect(try life.strategy() == .flat)
        try life.check(queries: 5)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 6_000)
        #expect(try life.recall() > 0.97)
        life.stepped.scheduler.settle()
        life.notices.withLock { $0 = [] }
        try life.restart()
        #expect(life.notices.withLock { $0 } == [] && life.shard.graphRows == 6_000)
        life.stepped.engine.close()
    }

    @Test("Threads of the engine train and fold while documents come")
    func threads() throws {
        var settings = EngineSettings(fsync: .never, logSegmentBytes: 4 << 20)
        settings.shardCount = 1
        let test = try TestEngine(MemoryFileSystem(), settings)
        defer { test.close() }
        // More than what is scanned without lists.
        let count = max(5_000, scaled(20_000))
        for first in stride(from: 0, to: count, by: 500) {
            try test.write(
                (first..<(first + 500)).map { .upsert(KindLife.document($0, version: 0)) },
                to: KindLife.scope, creating: KindLife.schema(.ivf))
        }
        var shards: [ShardStatus] { test.engine.status().shards }
        #expect(
            eventually { shards.reduce(0) { $0 + $1.graphRows } == UInt64(count) }, "\(shards)")
    }
}

/// A collection with one vector field of some kind, and what must be in it.
private struct KindLife {
    static let scope = Scope(namespace: "kinds")
    static let dimension = 24

    static func schema(_ kind: VectorIndexKind) -> Schema {
        var schema = Schema()
        schema.vectors["v"] = VectorField(
            dimension: dimension, metric: .cosine, indexing: VectorIndexing(kind: kind))
        return schema
    }

    let kind: VectorIndexKind
    let disk = MemoryFileSystem()
    let clock: ManualClock
    let notices = Locked<[String]>([])
    var configuration = EngineConfiguration(path: "/db")
    var stepped: SteppedEngine
    var documents: [Int: Document] = [:]
    private var dice: Dice
    private var version = 0

    init(
        seed: UInt64, kind: VectorIndexKind, clock: ManualClock,
        change: (inout EngineConfiguration) -> Void = { _ in }
    ) throws {
        self.kind = kind
        self.clock = clock
        dice = Dice(seed: seed)
        configuration.shardCount = 1
        configuration.logSegmentBytes = 4 << 20
        change(&configuration)
        let notices = notices
        stepped = try SteppedEngine(
            seed: seed, disk, configuration, clock: clock,
            notice: { text in notices.withLock { $0.append(text) } })
    }

    mutating func open() throws {
        let notices = notices
        stepped = try SteppedEngine(
            seed: dice.next(), disk, configuration, clock: clock,
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

    mutating func write(_ ids: some Swift.Sequence<Int>) throws {
        version += 1
        var mutations: [Mutation] = []
        for id in ids {
            let document = Self.document(id, version: version)
            documents[id] = document
            mutations.append(.upsert(document))
        }
        try stepped.write(mutations, to: Self.scope, creating: Self.schema(kind))
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
    func recall() throws -> Double {
        var found = 0
        for query in 0..<100 {
            let request = request(query)
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

    /// Behind the rows there are 28 bytes a document of lists and centroids, and then metadata.
    func damageLatestLists() throws {
        let folder = "/db/shard-0000"
        let name = try #require(SnapshotFiles.list(directory: folder, fileSystem: disk).last)
        let file = try disk.open("\(folder)/\(name)", .readWrite)
        var bytes = try file.readAll()
        let magic = Array("KVLS".utf8)
        let start = try #require(
            bytes.indices.last { bytes[$0...].starts(with: magic) })
        bytes[start + 2_000] ^= 4
        try file.write(bytes, at: 0)
        try file.sync()
    }
}
