// Graphs that are built at once while everything else goes on, turn by turn.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct BulkBuildsTests {
    private static let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)

    private static func life(
        seed: UInt64, memory: any MemoryGauge = ManualGauge(),
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> VectorLife {
        try VectorLife(seed: seed, clock: clock, memory: memory) {
            $0.bulkRowsMin = 1_000
            configure(&$0)
        }
    }

    @Test(
        "Searches, writes, deletes and snapshots go on while a graph is built, and it is a good one",
        arguments: 1...UInt64(scaled(8)))
    func everythingGoesOn(seed: UInt64) throws {
        var life = try Self.life(seed: seed)
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
        var built = try Self.life(seed: 11)
        var grown = try Self.life(seed: 11) { $0.bulkRowsMin = 1 << 30 }
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
        var life = try Self.life(seed: 12)
        try life.write(0..<4_500)
        life.stepped.scheduler.settle()
        #expect(life.shard.graphRows == 4_500)
        let reader = try life.stepped.engine.scan(
            ScanRequest(scope: VectorLife.scope), cancellation: Cancellation())
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
        var life = try Self.life(seed: 13)
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
                ids.map { .upsert(VectorLife.document($0, version: 0)) }, to: VectorLife.scope,
                creating: VectorLife.schema(.default))
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
        var life = try Self.life(seed: 14, memory: memory) {
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
        var life = try Self.life(seed: 15)
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
        var life = try Self.life(seed: 16)
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
            var life = try Self.life(seed: 17 + UInt64(turns))
            try life.write(0..<1_200)
            for _ in 0..<turns { life.stepped.scheduler.step() }
            let engine = life.stepped.engine
            _ = try life.stepped.awaited { done in
                engine.dropCollection(
                    DropCollectionRequest(scope: VectorLife.scope), completion: done)
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

extension VectorLife {
    /// The graph is written last but for the metadata, and smaller than the rows.
    fileprivate func damageLatestGraph() throws {
        try damageLatestSnapshot { $0.count * 3 / 4 }
    }
}
