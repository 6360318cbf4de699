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
        var life = try VectorLife(seed: 31, kind: kind, clock: Self.clock)
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
        var life = try VectorLife(seed: 32, kind: kind, clock: Self.clock) {
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

    @Test("Searches, writes, deletes and snapshots go on while lists grow", arguments: 1...2)
    func everythingGoesOn(seed: UInt64) throws {
        var life = try VectorLife(seed: seed, kind: .ivf, clock: Self.clock)
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
        var life = try VectorLife(seed: 33, kind: .ivf, clock: Self.clock)
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
                (first..<(first + 500)).map { .upsert(VectorLife.document($0, version: 0)) },
                to: VectorLife.scope, creating: VectorLife.schema(VectorIndexing(kind: .ivf)))
        }
        var shards: [ShardStatus] { test.engine.status().shards }
        #expect(
            eventually { shards.reduce(0) { $0 + $1.graphRows } == UInt64(count) }, "\(shards)")
    }
}

extension VectorLife {
    fileprivate init(
        seed: UInt64, kind: VectorIndexKind, clock: ManualClock,
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws {
        try self.init(
            seed: seed, indexing: VectorIndexing(kind: kind), clock: clock, configure: configure)
    }

    /// Behind the rows there are 28 bytes a document of lists and centroids, and then metadata.
    fileprivate func damageLatestLists() throws {
        try damageLatestSnapshot { bytes in
            let magic = Array("KVLS".utf8)
            return try #require(bytes.indices.last { bytes[$0...].starts(with: magic) }) + 2_000
        }
    }
}
