// What each collection was promised: which sync comes before which acknowledgement, and when.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct DurabilityTests {
    private static let always = Scope(namespace: "always")
    private static let soon = Scope(namespace: "soon")
    private static let later = Scope(namespace: "later")
    private static let never = Scope(namespace: "never")

    private func bed(fsync: Durability = .always) throws -> TurnEngine {
        let bed = try TurnEngine(fsync: fsync)
        bed.create(Self.always, .always)
        bed.create(Self.soon, .interval(millis: 30))
        bed.create(Self.later, .interval(millis: 100))
        bed.create(Self.never, .never)
        // The text field is added by the first write, which goes by the catalog.
        for scope in [Self.soon, Self.later, Self.never, Self.always] {
            _ = try bed.commit(scope, 0)
        }
        bed.recording.forget()
        return bed
    }

    @Test func anIntervalIsKeptByTheClock() throws {
        let bed = try bed(fsync: .never)
        let first = try bed.commit(Self.later, 1)
        #expect(bed.engine.durable < first)
        bed.pass(millis: 99)
        #expect(bed.syncCount == 0)
        bed.pass(millis: 1)
        #expect(bed.syncCount == 1)
        #expect(bed.engine.durable >= first)
        // Nothing is due while nothing is written.
        bed.pass(millis: 10_000)
        #expect(bed.syncCount == 1)
        // The shortest promise of what waits counts from its own write.
        _ = try bed.commit(Self.later, 2)
        bed.pass(millis: 10)
        let second = try bed.commit(Self.soon, 3)
        bed.pass(millis: 29)
        #expect(bed.syncCount == 1)
        bed.pass(millis: 1)
        #expect(bed.syncCount == 2)
        #expect(bed.engine.durable >= second)
        // And an older one is not put off by a younger.
        _ = try bed.commit(Self.later, 4)
        bed.pass(millis: 80)
        _ = try bed.commit(Self.soon, 5)
        bed.pass(millis: 20)
        #expect(bed.syncCount == 3)
        bed.engine.close()
    }

    @Test func neverMeansAFlushOrSomebodyElsesSync() throws {
        let bed = try bed()
        let first = try bed.commit(Self.never, 1)
        bed.pass(millis: 3_600_000)
        #expect(bed.syncCount == 0)
        #expect(bed.engine.durable < first)
        let second = try bed.commit(Self.always, 2)
        #expect(bed.syncCount == 1)
        #expect(bed.engine.durable >= max(first, second))
        let third = try bed.commit(Self.never, 3)
        bed.engine.flush { #expect(throws: Never.self, performing: $0.get) }
        bed.scheduler.settle()
        #expect(bed.syncCount == 2)
        #expect(bed.engine.durable >= third)
        bed.engine.close()
    }

    @Test func oneRecordOfAnAlwaysCollectionSyncsTheGroup() throws {
        let bed = try bed(fsync: .interval(millis: 500))
        for (index, scope) in [Self.never, Self.later, Self.always, Self.soon].enumerated() {
            bed.write(scope, UInt64(10 + index))
        }
        bed.scheduler.settle()
        #expect(bed.syncCount == 1)
        #expect(SyncOrder.violations(bed.recording.log) == [])
        #expect(
            bed.acknowledged.withLock { $0.suffix(4).map(\.scope) }
                == ["never", "later", "always", "soon"])
        #expect(bed.engine.durable == bed.engine.status().seq)
        bed.pass(millis: 10_000)
        #expect(bed.syncCount == 1)
        // Without one nobody waits for a disk.
        for (index, scope) in [Self.never, Self.later].enumerated() {
            bed.write(scope, UInt64(20 + index))
        }
        bed.scheduler.settle()
        #expect(bed.syncCount == 1)
        #expect(SyncOrder.violations(bed.recording.log).count == 2)
        bed.engine.close()
    }

    @Test func aStreamIsToldWhatIsDurableOfItsOwnCollection() throws {
        let bed = try bed(fsync: .never)
        let weak = try bed.commit(Self.never, 1)
        #expect(bed.engine.durable(of: Self.never, acknowledged: weak) < weak)
        let strong = try bed.commit(Self.always, 2)
        #expect(bed.engine.durable(of: Self.always, acknowledged: strong) >= strong)
        // The sync of the strong one took the weak one along.
        #expect(bed.engine.durable(of: Self.never, acknowledged: weak) >= weak)
        // The server's own policy is that of a collection without one.
        let own = Scope(namespace: "own")
        bed.create(own, nil)
        let seq = try bed.commit(own, 3)
        #expect(bed.engine.durable(of: own, acknowledged: seq) < seq)
        bed.engine.close()
    }

    @Test func powerLossTakesWhatWasNotPromised() throws {
        let bed = try bed()
        _ = try bed.commit(Self.always, 1)
        _ = try bed.commit(Self.never, 1)
        let disk = bed.disk.afterPowerCut(SeededRandomSource(seed: 2))
        let after = try TurnEngine(disk)
        let counts = [Self.always, Self.never].map {
            try? after.engine.describeCollection(DescribeCollectionRequest(scope: $0))
                .collection.documentCount
        }
        #expect(counts[0] == 2)
        #expect(counts[1] == 1 || counts[1] == 2)
        after.engine.close()
        bed.engine.close()
    }

    @Test func aDurabilityIsKeptOverRestartsAndCheckedAtCreation() throws {
        let bed = try bed()
        func kept(_ engine: Engine) throws -> [Durability?] {
            try [Self.always, Self.soon, Self.never, Self.scope].map {
                try engine.describeCollection(DescribeCollectionRequest(scope: $0))
                    .collection.durability
            }
        }
        bed.engine.write(
            WriteRequest(
                scope: Self.scope, mutations: [.success(.upsert(Document(id: .number(1))))],
                createIfMissing: Schema()), byteCount: 1
        ) { #expect(throws: Never.self, performing: $0.get) }
        bed.scheduler.settle()
        let expected: [Durability?] = [.always, .interval(millis: 30), .never, nil]
        #expect(try kept(bed.engine) == expected)
        for millis in [0, 60_001] as [Int64] {
            bed.engine.createCollection(
                CreateCollectionRequest(
                    scope: Scope(namespace: "bad"), durability: .interval(millis: millis))
            ) { result in
                guard case .failure(let error) = result else {
                    Issue.record("\(millis) was taken")
                    return
                }
                #expect(error.code == .invalidArgument)
                #expect(error.field == "durability.interval_ms")
            }
            bed.scheduler.settle()
        }
        bed.engine.close()
        let after = try TurnEngine(bed.disk)
        #expect(try kept(after.engine) == expected)
        after.engine.close()
    }

    private static let scope = Scope(namespace: "plain")

    // MARK: Failed syncs

    @Test func aFailedSyncBehindTheAcknowledgementEndsWriting() throws {
        let bed = try bed(fsync: .never)
        let before = try bed.commit(Self.later, 1)
        let attempts = bed.syncAttempts.withLock { $0 }
        bed.isBroken.withLock { $0 = true }
        bed.pass(millis: 100)
        bed.isBroken.withLock { $0 = false }
        let shard = bed.engine.status().shards[0]
        #expect(shard.state == .readOnly)
        #expect(shard.problem.contains("sync of /db/shard-0000/log-"))
        #expect(bed.notices.withLock { $0.count { $0.contains("takes no writes") } } == 1)
        #expect(bed.engine.durable < before)
        // Every later write gets the cause, on every collection, and the sync is not tried again.
        for (index, scope) in [Self.never, Self.later, Self.always].enumerated() {
            bed.write(scope, UInt64(30 + index))
            bed.scheduler.settle()
            let error = try #require(try bed.last().get().outcomes[0].error)
            #expect(error.code == .unavailable)
            #expect(error.reason == KyroError.Reason.shardReadOnly.rawValue)
            #expect(error.message.contains("sync of"))
        }
        bed.engine.flush { result in
            #expect(throws: KyroError.self, performing: result.get)
        }
        bed.pass(millis: 10_000)
        #expect(bed.syncAttempts.withLock { $0 } == attempts + 1)
        #expect(bed.engine.status().shards[0].problem == shard.problem)
        // Reads go on, with what was acknowledged.
        let found = try bed.engine.lookup(
            LookupRequest(scope: Self.later, ids: [.number(1)]), cancellation: Cancellation())
        #expect(found.results[0].document != nil)
        bed.engine.close()
        #expect(bed.syncAttempts.withLock { $0 } == attempts + 1)
        #expect(try !wasSealed(bed.disk))
        let after = try TurnEngine(bed.disk)
        #expect(after.engine.status().shards[0].state == .serving)
        #expect(try after.commit(Self.always, 40) > .zero)
        after.engine.close()
        #expect(try wasSealed(bed.disk))
    }

    private func wasSealed(_ disk: MemoryFileSystem) throws -> Bool {
        let directory = try DataDirectory.open("/db", fileSystem: disk.copy())
        let log = try directory.openLog(shard: 0)
        return try log.replay(from: .zero) { _ in }.wasSealed
    }

    @Test func oldLogFilesThatStayAreTold() throws {
        let isStuck = Locked(false)
        let disk = MemoryFileSystem()
        let files = FaultyFileSystem(disk) { event, _ in
            isStuck.withLock { $0 } && [.unlink, .rename].contains(event.operation)
                && SyncOrder.isSegment(event.path) ? .fail(.inputOutput) : nil
        }
        let test = try TestEngine(files, EngineSettings(logSegmentBytes: 1_024))
        try test.create(Self.always)
        func fill() throws {
            for id in 0..<40 as Range<UInt64> {
                try test.write([.upsert(Document(id: .number(id)))], to: Self.always)
            }
            try test.snapshot()
        }
        try fill()
        isStuck.withLock { $0 = true }
        try fill()
        // The writer removes files after the snapshot has answered; the flush comes behind that.
        _ = try awaited { done in test.engine.flush(completion: done) }.get()
        #expect(test.notices.withLock { $0.contains { $0.contains("were not removed") } })
        #expect(test.engine.status().shards[0].state == .serving)
        func segmentCount() throws -> Int {
            try disk.list("/db/shard-0000").filter { $0.hasPrefix("log-") }.count
        }
        let stuckCount = try segmentCount()
        isStuck.withLock { $0 = false }
        try fill()
        _ = try awaited { done in test.engine.flush(completion: done) }.get()
        #expect(try segmentCount() < stuckCount)
        test.close()
        let after = try TestEngine(disk, EngineSettings(logSegmentBytes: 1_024))
        #expect(try after.scan(Self.always).count == 40)
        after.close()
    }
}
