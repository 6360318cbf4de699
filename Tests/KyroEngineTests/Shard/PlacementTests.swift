// Where documents live, and that they are found there however many there are.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct PlacementTests {
    static let scope = Scope(namespace: "places")

    /// Placement is part of the data directory's format: a changed hash would lose every document.
    @Test func placementNeverChanges() throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 7))
        defer { test.close() }
        try test.create(Self.scope)
        let ids: [DocumentID] =
            [0, 1, 2, 3, 42, 1 << 32, .max].map { .number($0) }
            + ["a", "7", "42", "https://kyro.example/docs/1", "漢字", "é", "e\u{301}"]
            .map { .text($0) }
        var places: [Int] = []
        for id in ids {
            let before = test.engine.status().shards.map(\.documents)
            try test.write([.upsert(Document(id: id))], to: Self.scope)
            let after = test.engine.status().shards.map(\.documents)
            places.append(try #require(before.indices.first { before[$0] != after[$0] }))
        }
        #expect(places == [2, 2, 5, 6, 1, 3, 4, 1, 5, 5, 1, 1, 6, 0])
    }

    /// The id table grows many times, and again while it is read from a snapshot.
    @Test(arguments: [1, 3])
    func everyIdIsFoundWhileTheTableGrows(shardCount: Int) throws {
        let disk = MemoryFileSystem()
        let settings = EngineSettings(shardCount: shardCount, fsync: .never)
        var test = try TestEngine(disk, settings)
        try test.create(Self.scope)
        func id(_ number: Int) -> DocumentID {
            number % 2 == 0 ? .number(UInt64(number)) : .text("\(number)")
        }
        let count = 6_000
        for first in stride(from: 0, to: count, by: 500) {
            let ids = (first..<(first + 500)).map(id)
            try test.write(ids.map { .upsert(Document(id: $0)) }, to: Self.scope)
            // The first of each batch is written a second time, every tenth is removed.
            try test.write(
                [.upsert(Document(id: ids[0]))]
                    + stride(from: 10, to: 500, by: 10).map { .remove(ids[$0]) },
                to: Self.scope)
            if first == 2_500 { try test.snapshot() }
        }
        for round in 0..<2 {
            let found = try test.lookup((0..<count).map(id), in: Self.scope)
            for number in 0..<count {
                let isRemoved = number % 10 == 0 && number % 500 != 0
                let expected = isRemoved ? nil : id(number)
                if found[number]?.id != expected {
                    Issue.record("\(number) in round \(round)")
                    break
                }
            }
            // The same digits as another kind of id are another document.
            let strangers: [DocumentID] = [
                .text("0"), .number(1), .text("2"), .number(UInt64(count) + 2),
            ]
            #expect(try test.lookup(strangers, in: Self.scope) == [nil, nil, nil, nil])
            test.close()
            if round == 0 { test = try TestEngine(disk, settings) }
        }
    }

    @Test func aClosedEngineLetsGoOfItsDirectory() throws {
        let disk = MemoryFileSystem()
        let first = try TestEngine(disk)
        #expect(throws: KyroError.self) { try TestEngine(disk) }
        first.close()
        let second = try TestEngine(disk)
        second.close()
        #expect(first.engine.uptimeMillis == 0)
    }

    @Test func aFullQueueRefusesAndTakesAgainLater() throws {
        let isBlocked = Locked(true)
        let stop = Gate()
        let recording = RecordingFileSystem(MemoryFileSystem()) { event in
            guard event.operation == .sync, event.path.contains("/log-") else { return }
            if isBlocked.withLock({ $0 }) { stop.wait() }
        }
        let test = try TestEngine(recording, EngineSettings(queueBytesMax: 4_000))
        defer { test.close() }
        try test.create(Self.scope)
        let done = Locked((applied: 0, refused: 0))
        let all = Gate()
        let count = 50
        for number in 0..<count {
            let mutation = Mutation.upsert(Document(id: .number(UInt64(number))))
            test.engine.write(
                WriteRequest(scope: Self.scope, mutations: [.success(mutation)]), byteCount: 500
            ) { result in
                guard case .success(let response) = result else { return }
                let isLast = done.withLock { done in
                    if response.outcomes[0].isApplied {
                        done.applied += 1
                    } else {
                        #expect(response.outcomes[0].error?.code == .resourceExhausted)
                        #expect(response.outcomes[0].error?.retryAfterMillis != nil)
                        done.refused += 1
                    }
                    return done.applied + done.refused == count
                }
                if isLast { all.open() }
            }
        }
        isBlocked.withLock { $0 = false }
        stop.open()
        all.wait()
        let (applied, refused) = done.withLock { $0 }
        #expect(applied > 0 && refused > 0, "\(applied) \(refused)")
        #expect(test.engine.status().shards[0].documents == UInt64(applied))
        let later = try test.write([.upsert(Document(id: .number(1_000)))], to: Self.scope)
        #expect(later.outcomes[0].isApplied)
    }
}
