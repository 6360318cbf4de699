// No acknowledgement before the sync that covers it; and proof that the check would notice.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct SyncOrderTests {
    static let scope = Scope(namespace: "acks")

    /// Marks the recording in every completion, on whichever thread it comes.
    private func write(
        _ test: TestEngine, _ recording: RecordingFileSystem, _ number: Int, ids: [UInt64],
        done: @escaping @Sendable () -> Void
    ) {
        let mutations: [DecodedMutation] = ids.map { id in
            var document = Document(id: .number(id))
            document.texts["t"] = "text of \(number)"
            return .success(.upsert(document))
        }
        test.engine.write(
            WriteRequest(scope: Self.scope, mutations: mutations, createIfMissing: Schema()),
            byteCount: 100
        ) { result in
            recording.mark("\(SyncOrder.acknowledgement) \(number)")
            if case .success(let response) = result {
                #expect(!response.outcomes.contains { !$0.isApplied })
            } else {
                Issue.record("write \(number): \(result)")
            }
            done()
        }
    }

    /// 200 writes from four callers at once, so that groups form; then one by one over 3 shards.
    private func run(
        _ files: any FileSystem, _ recording: RecordingFileSystem, fsync: Durability
    ) throws -> [String] {
        let count = 200
        let one = try TestEngine(files, EngineSettings(fsync: fsync, logSegmentBytes: 4_096))
        try one.create(Self.scope)
        let gate = Gate()
        let open = Locked(count)
        let threads = (0..<4).map { caller in
            KyroThread(name: "caller-\(caller)") { [self] in
                for number in 0..<(count / 4) {
                    let id = caller * count + number
                    write(one, recording, id, ids: [UInt64(id)]) {
                        let left = open.withLock { open in
                            open -= 1
                            return open
                        }
                        if left == 0 { gate.open() }
                    }
                }
            }
        }
        threads.forEach { $0.join() }
        gate.wait()
        one.close()
        return SyncOrder.violations(recording.log)
    }

    @Test func noAcknowledgementPrecedesItsSync() throws {
        let recording = RecordingFileSystem(MemoryFileSystem())
        #expect(try run(recording, recording, fsync: .always) == [])
        let syncs = recording.log.count { entry in
            if case .file(let event) = entry {
                return event.operation == .sync && SyncOrder.isSegment(event.path)
            }
            return false
        }
        #expect(syncs > 0)
    }

    @Test func noAcknowledgementOfABatchOverShardsPrecedesItsSyncs() throws {
        let recording = RecordingFileSystem(MemoryFileSystem())
        let test = try TestEngine(
            recording, EngineSettings(shardCount: 3, logSegmentBytes: 4_096))
        defer { test.close() }
        try test.create(Self.scope)
        for number in 0..<60 {
            let gate = Gate()
            write(test, recording, number, ids: (0..<8).map { UInt64(8 * number + $0) }) {
                gate.open()
            }
            gate.wait()
        }
        #expect(SyncOrder.violations(recording.log) == [])
    }

    /// The check sees it when the call is gone, whichever way it goes.
    @Test func aMissingSyncIsNoticed() throws {
        let recording = RecordingFileSystem(MemoryFileSystem())
        let removed = try run(UnsyncedFileSystem(recording), recording, fsync: .always)
        #expect(removed.count > 100)
        let policy = RecordingFileSystem(MemoryFileSystem())
        #expect(try run(policy, policy, fsync: .never).count > 100)
    }

    /// What power loss leaves says the same: everything with the call, not everything without.
    @Test(arguments: [true, false])
    func powerLossKeepsWhatWasAcknowledgedOnlyWithTheSync(isSynced: Bool) throws {
        let disk = MemoryFileSystem()
        let files: any FileSystem = isSynced ? disk : UnsyncedFileSystem(disk)
        let test = try TestEngine(files)
        for id in 0..<50 as Range<UInt64> {
            try test.write(
                [.upsert(Document(id: .number(id)))], to: Self.scope, creating: Schema())
        }
        let left = disk.afterPowerCut(SeededRandomSource(seed: 5))
        test.close()
        let after = try TestEngine(left)
        defer { after.close() }
        let count = after.engine.status().shards[0].documents
        #expect(isSynced ? count == 50 : count < 50, "\(count) documents")
    }

    @Test func intervalSyncsInItsTimeAndFlushAtOnce() throws {
        let recording = RecordingFileSystem(MemoryFileSystem())
        var settings = EngineSettings(fsync: .interval(millis: 1))
        settings.clock = SystemClock()
        let test = try TestEngine(recording, settings)
        defer { test.close() }
        try test.create(Self.scope)
        let response = try test.write([.upsert(Document(id: .number(1)))], to: Self.scope)
        // The writer wakes by itself: a flush only waits for it and must find nothing to do.
        let flushed = try awaited { done in test.engine.flush(completion: done) }.get()
        #expect(flushed.durable >= response.seq)
        #expect(test.engine.durable >= response.seq)
    }
}
