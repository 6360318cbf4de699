// An engine that moves only when told to, over a disk in memory.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

/// Time passes and syncs fail as the test says; the syncs are counted.
final class TurnEngine {
    let scheduler = TurnScheduler()
    let clock: ManualClock
    let disk: MemoryFileSystem
    let recording: RecordingFileSystem
    let notices = Locked<[String]>([])
    let isBroken = Locked(false)
    /// Syncs of the log that were asked for, successful or not.
    let syncAttempts = Locked(0)
    let engine: Engine
    /// Outcomes of the writes that were acknowledged, in that order.
    let acknowledged = Locked<[(scope: String, result: Result<WriteResponse, KyroError>)]>([])

    init(
        _ disk: MemoryFileSystem = MemoryFileSystem(), fsync: Durability = .always,
        clock: ManualClock = ManualClock(nanos: 1, wallMillis: 1_000_000),
        acceptsClock: Bool = false
    ) throws {
        self.disk = disk
        self.clock = clock
        let (isBroken, syncAttempts) = (isBroken, syncAttempts)
        recording = RecordingFileSystem(
            FaultyFileSystem(disk) { event, _ in
                guard event.operation == .sync, SyncOrder.isSegment(event.path) else { return nil }
                syncAttempts.withLock { $0 += 1 }
                return isBroken.withLock { $0 } ? .fail(.inputOutput) : nil
            })
        var configuration = EngineConfiguration(path: "/db")
        configuration.fsync = fsync
        configuration.acceptsClock = acceptsClock
        configuration.logSegmentBytes = 1 << 16
        let notices = notices
        engine = try Engine(
            configuration, files: recording, time: clock, scheduler: scheduler,
            random: SeededRandomSource(seed: 1), hashSeed: 7,
            notice: { text in notices.withLock { $0.append(text) } })
        scheduler.settle()
    }

    func create(_ scope: Scope, _ durability: Durability?) {
        engine.createCollection(
            CreateCollectionRequest(scope: scope, durability: durability)
        ) { #expect(throws: Never.self, performing: $0.get) }
        scheduler.settle()
    }

    /// Queues a write; it is committed when the scheduler next settles.
    func write(_ scope: Scope, _ id: UInt64) {
        var document = Document(id: .number(id))
        document.texts["t"] = "x"
        write(scope, document)
    }

    func write(_ scope: Scope, _ document: Document) {
        let (recording, acknowledged) = (recording, acknowledged)
        engine.write(
            WriteRequest(scope: scope, mutations: [.success(.upsert(document))]),
            byteCount: 10
        ) { result in
            recording.mark("\(SyncOrder.acknowledgement) \(scope.namespace)")
            acknowledged.withLock { $0.append((scope.namespace, result)) }
        }
    }

    func commit(_ scope: Scope, _ id: UInt64) throws -> Sequence {
        write(scope, id)
        scheduler.settle()
        return try last().get().seq
    }

    func last() throws -> Result<WriteResponse, KyroError> {
        try #require(acknowledged.withLock { $0.last }).result
    }

    func pass(millis: Int64) {
        clock.advance(millis: millis)
        scheduler.settle()
    }

    var syncCount: Int {
        recording.log.count { entry in
            guard case .file(let event) = entry else { return false }
            return event.operation == .sync && SyncOrder.isSegment(event.path)
        }
    }
}
