// Disks that refuse: a failed sync ends a shard's writing, a full disk only the write.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

/// Fails chosen operations while it is armed.
private final class Trap: Sendable {
    private let armed = Locked<(@Sendable (FileEvent) -> FaultyFileSystem.Fault?)?>(nil)

    func set(_ plan: (@Sendable (FileEvent) -> FaultyFileSystem.Fault?)?) {
        armed.withLock { $0 = plan }
    }

    func files(_ inner: any FileSystem) -> FaultyFileSystem {
        FaultyFileSystem(inner) { [self] event, _ in armed.withLock { $0 }?(event) }
    }
}

@Suite struct FaultTests {
    static let scope = Scope(namespace: "faults")

    private func document(_ id: UInt64, _ word: String = "stone") -> Mutation {
        var document = Document(id: .number(id))
        document.texts["t"] = "\(word) word\(id)"
        document.vectors["v"] = [Float(id) + 1, 1]
        return .upsert(document)
    }

    private func find(_ test: TestEngine, _ word: String) throws -> [DocumentID] {
        var request = SearchRequest(scope: Self.scope)
        request.text = TextQuery(query: word)
        return try test.search(request).hits.map(\.id)
    }

    @Test func aFailedSyncMakesTheShardReadOnlyUntilRestart() throws {
        let disk = MemoryFileSystem()
        let trap = Trap()
        let test = try TestEngine(trap.files(disk))
        try test.write([document(1)], to: Self.scope, creating: Schema())
        trap.set { event in
            event.operation == .sync && SyncOrder.isSegment(event.path) ? .fail(.inputOutput) : nil
        }
        let failed = try test.write([document(2), .remove(.number(1))], to: Self.scope)
        for outcome in failed.outcomes {
            #expect(outcome.error?.code == .unavailable)
            #expect(outcome.error?.reason == KyroError.Reason.shardReadOnly.rawValue)
        }
        #expect(failed.seq == .zero)
        trap.set(nil)
        // The disk works again, the shard does not: what its log holds is unknown.
        let later = try test.write([document(3)], to: Self.scope)
        #expect(later.outcomes[0].error?.reason == KyroError.Reason.shardReadOnly.rawValue)
        #expect(test.engine.status().shards[0].state == .readOnly)
        #expect(test.engine.status().shards[0].problem.contains("errno"))
        #expect(throws: KyroError.self) { try test.snapshot() }
        // Reads go on, and nothing of the failed group is there.
        #expect(try test.scan(Self.scope).map(\.id) == [.number(1)])
        #expect(try find(test, "stone") == [.number(1)])
        #expect(try test.lookup([.number(2)], in: Self.scope) == [nil])
        #expect(try test.describe(Self.scope).documentCount == 1)
        test.close()
        let after = try TestEngine(disk.copy())
        defer { after.close() }
        #expect(after.engine.status().shards[0].state == .serving)
        // The group was whole in the file or it was not; a part of it would be wrong.
        let ids = try after.scan(Self.scope).map(\.id)
        #expect(ids == [.number(1)] || ids == [.number(2)])
        #expect(try after.write([document(4)], to: Self.scope).outcomes[0].isApplied)
    }

    @Test(arguments: [0, 7, 64])
    func aFullDiskRefusesTheWriteAndNoMore(writtenBytes: Int) throws {
        let disk = MemoryFileSystem()
        let trap = Trap()
        let test = try TestEngine(trap.files(disk))
        try test.write([document(1)], to: Self.scope, creating: Schema())
        trap.set { event in
            event.operation == .write && SyncOrder.isSegment(event.path)
                ? .shortWrite(byteCount: writtenBytes, .noSpace) : nil
        }
        for id in 2...4 as ClosedRange<UInt64> {
            let full = try test.write([document(id)], to: Self.scope)
            #expect(full.outcomes[0].error?.code == .resourceExhausted)
            #expect(full.outcomes[0].error?.reason == "OUT_OF_SPACE")
            #expect(full.outcomes[0].error?.retryAfterMillis != nil)
        }
        #expect(try test.scan(Self.scope).map(\.id) == [.number(1)])
        trap.set(nil)
        let response = try test.write([document(5)], to: Self.scope)
        #expect(response.outcomes[0].isApplied)
        #expect(test.engine.status().shards[0].state == .serving)
        #expect(try test.lookup([.number(5)], in: Self.scope, minSeq: response.seq)[0] != nil)
        test.close()
        let after = try TestEngine(disk.copy())
        defer { after.close() }
        #expect(try after.scan(Self.scope).map(\.id) == [.number(1), .number(5)])
        #expect(try find(after, "stone") == [.number(1), .number(5)])
    }

    /// Room runs out where the log begins a new file.
    @Test func aFullDiskAtRotationRecovers() throws {
        let disk = MemoryFileSystem()
        let trap = Trap()
        let settings = EngineSettings(logSegmentBytes: 1_024)
        let test = try TestEngine(trap.files(disk), settings)
        try test.write([document(0)], to: Self.scope, creating: Schema())
        var applied: [DocumentID] = [.number(0)]
        var refused = 0
        for id in 1..<120 as Range<UInt64> {
            if id % 40 == 20 {
                trap.set { event in
                    let grows: Set<FileOperation> = [.create, .allocate, .rename]
                    return grows.contains(event.operation) ? .fail(.noSpace) : nil
                }
            }
            if id % 40 == 0 { trap.set(nil) }
            let outcome = try test.write([document(id)], to: Self.scope).outcomes[0]
            if outcome.isApplied { applied.append(.number(id)) } else { refused += 1 }
            if test.engine.status().shards[0].state != .serving { break }
        }
        trap.set(nil)
        #expect(try test.scan(Self.scope).map(\.id) == applied)
        test.close()
        let after = try TestEngine(disk.copy(), settings)
        defer { after.close() }
        let ids = try after.scan(Self.scope).map(\.id)
        #expect(Set(applied).isSubset(of: ids), "\(refused) refused")
        #expect(try after.write([document(1_000)], to: Self.scope).outcomes[0].isApplied)
    }

    /// One bad disk of two: the other shard's items go through.
    @Test func aFailedShardDoesNotStopTheOthers() throws {
        let trap = Trap()
        let test = try TestEngine(
            trap.files(MemoryFileSystem()), EngineSettings(shardCount: 2))
        defer { test.close() }
        try test.write([document(0)], to: Self.scope, creating: Schema())
        trap.set { event in
            event.operation == .sync && event.path.contains("shard-0001/log-")
                ? .fail(.inputOutput) : nil
        }
        let response = try test.write((1...20).map { document($0) }, to: Self.scope)
        let applied = response.outcomes.count(where: \.isApplied)
        #expect(applied > 0 && applied < 20)
        let states = test.engine.status().shards.map(\.state)
        #expect(states == [.serving, .readOnly])
        let visible = try test.scan(Self.scope).filter { $0.id != .number(0) }.map(\.id)
        let expected = response.outcomes.enumerated().filter { $0.element.isApplied }
            .map { DocumentID.number(UInt64($0.offset + 1)) }
        #expect(visible == expected)
        #expect(response.seq != .zero)
    }

    @Test func aFullDiskDuringACatalogChangeRecovers() throws {
        let disk = MemoryFileSystem()
        let trap = Trap()
        let test = try TestEngine(trap.files(disk))
        trap.set { event in
            event.operation == .write && event.path.hasSuffix("catalog.log")
                ? .shortWrite(byteCount: 5, .noSpace) : nil
        }
        #expect(throws: KyroError.self) { try test.create(Self.scope) }
        #expect(throws: KyroError.self) {
            try test.write([document(1)], to: Self.scope, creating: Schema())
        }
        trap.set(nil)
        #expect(try test.write([document(1)], to: Self.scope, creating: Schema()).seq != .zero)
        test.close()
        let after = try TestEngine(disk.copy())
        defer { after.close() }
        #expect(try after.scan(Self.scope).map(\.id) == [.number(1)])
    }

    /// A snapshot that fails at any of its operations leaves an engine that serves, writes, takes
    /// the next snapshot and restarts.
    @Test func aFailedSnapshotChangesNothing() throws {
        for failing in [FileOperation.create, .write, .sync, .rename, .syncDirectory] {
            let disk = MemoryFileSystem()
            let trap = Trap()
            let test = try TestEngine(trap.files(disk))
            try test.write((1...30).map { document($0) }, to: Self.scope, creating: Schema())
            trap.set { event in
                event.operation == failing && !SyncOrder.isLog(event.path)
                    && !event.path.contains("spare-") ? .fail(.inputOutput) : nil
            }
            #expect(throws: KyroError.self, "\(failing)") { try test.snapshot() }
            trap.set(nil)
            #expect(try test.write([document(31)], to: Self.scope).outcomes[0].isApplied)
            let crashed = try TestEngine(disk.copy())
            #expect(try crashed.scan(Self.scope).count == 31, "\(failing)")
            crashed.close()
            try test.snapshot()
            test.close()
            let after = try TestEngine(disk.copy())
            #expect(try after.scan(Self.scope).count == 31, "\(failing)")
            #expect(after.engine.status().shards[0].replayedRecords == 0)
            after.close()
        }
    }
}
