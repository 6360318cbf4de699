// An engine whose processes take turns on the thread of the test: nothing depends on timing.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore

/// An engine on the thread of the test. Close it before the disk is opened again.
final class TurnedEngine {
    static let path = "/db"
    let engine: Engine
    private let scheduler = TurnScheduler()

    /// Recovery is over when this returns.
    init(
        _ files: any FileSystem, clock: any Clock = ManualClock(nanos: 1, wallMillis: 1_000_000),
        change: (inout EngineConfiguration) -> Void = { _ in }
    ) throws(KyroError) {
        var configuration = EngineConfiguration(path: Self.path)
        configuration.shardCount = 1
        configuration.logSegmentBytes = 2_048
        change(&configuration)
        engine = try Engine(
            configuration, files: files, time: clock, scheduler: scheduler,
            random: SeededRandomSource(seed: 1), memory: ManualGauge(), hashSeed: 0x5EED)
        let engine = engine
        scheduler.run { engine.isServing }
    }

    func close() { engine.close() }

    /// Starts what answers through a completion, and takes turns until it has answered.
    func answer<Value: Sendable>(
        _ start: (@escaping @Sendable (Result<Value, KyroError>) -> Void) -> Void
    ) throws(KyroError) -> Value {
        let box = Locked<Result<Value, KyroError>?>(nil)
        start { value in box.withLock { $0 = value } }
        scheduler.run { box.withLock { $0 != nil } }
        guard let value = box.withLock({ $0 }) else { preconditionFailure("no answer") }
        return try value.get()
    }

    func write(
        _ mutations: [Mutation], to scope: Scope, creating schema: Schema? = nil
    ) throws(KyroError) -> [WriteOutcome] {
        let request = WriteRequest(
            scope: scope, mutations: mutations.map { .success($0) }, createIfMissing: schema)
        return try answer { done in
            engine.write(request, byteCount: 1_000, completion: done)
        }.outcomes
    }

    func scan(_ scope: Scope) throws(KyroError) -> [Document] {
        let cursor = try engine.scan(ScanRequest(scope: scope), cancellation: Cancellation())
        var documents: [Document] = []
        while let page = try cursor.next(bytesMax: 1 << 20) { documents += page.documents }
        return documents
    }
}
