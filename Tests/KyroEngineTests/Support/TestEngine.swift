// An engine in memory, with its answers awaited.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore

typealias Sequence = KyroModel.Sequence

/// Waits for an answer that comes on another thread.
func awaited<Value: Sendable>(
    _ start: (@escaping @Sendable (Value) -> Void) -> Void
) -> Value {
    let box = Locked<Value?>(nil)
    let gate = Gate()
    start { value in
        box.withLock { $0 = value }
        gate.open()
    }
    gate.wait()
    guard let value = box.withLock({ $0 }) else { preconditionFailure("no answer") }
    return value
}

struct EngineSettings {
    var path = TestEngine.path
    var backupsPath: String?
    var isArchiving = false
    var archiveLagBytesMax: UInt64 = 1 << 30
    var shardCount = 1
    var fsync = Durability.always
    var logSegmentBytes: Int? = 1 << 16
    var snapshotLogBytes = 256 << 20
    var queueBytesMax = 64 << 20
    var rebuildDeadRowsMin = 4_096
    var bulkRowsMin = 20_000
    var bulkThreads = 1
    var scrubBytesPerSecond = 0
    var scheduler: any Scheduler = EvenScheduler()
    var clock: any Clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    var memory = ManualGauge()
    var memoryLimitBytes: UInt64?
    var reserve = ReserveSize.none
}

/// Tells what a test says.
final class ManualGauge: MemoryGauge {
    private let reading = Locked(MemoryReading(residentBytes: 1 << 20))

    func read() -> MemoryReading { reading.withLock { $0 } }
    func giveBack() {}

    func set(_ residentBytes: UInt64, addressBytesLeft: UInt64? = nil) {
        reading.withLock {
            $0 = MemoryReading(residentBytes: residentBytes, addressBytesLeft: addressBytesLeft)
        }
    }
}

/// An engine that has recovered. Close it before the disk is opened again.
final class TestEngine: Sendable {
    static let path = "/db"
    let engine: Engine
    let notices = Locked<[String]>([])

    init(
        _ files: any FileSystem, _ settings: EngineSettings = EngineSettings(),
        path: String? = nil
    ) throws {
        var configuration = EngineConfiguration(path: path ?? settings.path)
        configuration.backupsPath = settings.backupsPath
        configuration.isArchiving = settings.isArchiving
        configuration.archiveMillis = 1
        configuration.archiveLagBytesMax = settings.archiveLagBytesMax
        configuration.shardCount = settings.shardCount
        configuration.fsync = settings.fsync
        configuration.logSegmentBytes = settings.logSegmentBytes
        configuration.snapshotLogBytes = settings.snapshotLogBytes
        configuration.queueBytesMax = settings.queueBytesMax
        configuration.rebuildDeadRowsMin = settings.rebuildDeadRowsMin
        configuration.bulkRowsMin = settings.bulkRowsMin
        configuration.bulkThreads = settings.bulkThreads
        configuration.scrubBytesPerSecond = settings.scrubBytesPerSecond
        configuration.memoryLimitBytes = settings.memoryLimitBytes
        configuration.reserve = settings.reserve
        let gate = Gate()
        let notices = notices
        engine = try Engine(
            configuration, files: files, time: settings.clock, scheduler: settings.scheduler,
            memory: settings.memory,
            hashSeed: 0x5EED,
            notice: { text in notices.withLock { $0 = $0 + [text] } },
            onRecovered: { gate.open() })
        gate.wait()
    }

    func close() { engine.close() }

    @discardableResult
    func write(
        _ mutations: [Mutation], to scope: Scope, creating schema: Schema? = nil,
        producer: ProducerMark? = nil
    ) throws -> WriteResponse {
        let request = WriteRequest(
            scope: scope, mutations: mutations.map { .success($0) }, createIfMissing: schema)
        return try awaited { done in
            engine.write(request, producer: producer, byteCount: 1_000, completion: done)
        }.get()
    }

    func create(_ scope: Scope, _ schema: Schema = Schema()) throws {
        _ = try awaited { done in
            engine.createCollection(
                CreateCollectionRequest(scope: scope, schema: schema), completion: done)
        }.get()
    }

    @discardableResult
    func drop(_ scope: Scope) throws -> UInt64 {
        try awaited { done in
            engine.dropCollection(DropCollectionRequest(scope: scope), completion: done)
        }.get().documentsDropped
    }

    @discardableResult
    func snapshot() throws -> SnapshotResponse {
        try awaited { done in engine.snapshot(completion: done) }.get()
    }

    @discardableResult
    func backup(isIncremental: Bool = false) throws -> BackupDescription {
        try awaited { done in
            engine.createBackup(
                CreateBackupRequest(isIncremental: isIncremental), cancellation: Cancellation(),
                progress: { _ in }, completion: done)
        }.get()
    }

    func openStream(_ scope: Scope, producer: String) throws -> UInt64 {
        try awaited { done in
            engine.openStream(StreamOpen(scope: scope, producer: producer), completion: done)
        }.get()
    }

    func search(
        _ request: SearchRequest, sharing pool: WorkerPool? = nil
    ) throws -> SearchResponse {
        try engine.search(request, cancellation: Cancellation(), sharing: pool)
    }

    func lookup(
        _ ids: [DocumentID], in scope: Scope, minSeq: Sequence = .zero
    ) throws -> [Document?] {
        let request = LookupRequest(scope: scope, ids: ids, minSeq: minSeq)
        return try engine.lookup(request, cancellation: Cancellation()).results.map(\.document)
    }

    /// All pages of a scan; a page ends after about `pageBytes`.
    func scan(_ request: ScanRequest, pageBytes: Int = 1 << 20) throws -> [Document] {
        let cursor = try engine.scan(request, cancellation: Cancellation())
        var documents: [Document] = []
        while let page = try cursor.next(bytesMax: pageBytes) { documents += page.documents }
        return documents
    }

    func scan(_ scope: Scope) throws -> [Document] { try scan(ScanRequest(scope: scope)) }

    func describe(_ scope: Scope) throws -> CollectionDescription {
        try engine.describeCollection(DescribeCollectionRequest(scope: scope)).collection
    }
}

extension WriteOutcome {
    var isApplied: Bool { if case .applied = self { true } else { false } }

    var error: KyroError? { if case .failed(let error) = self { error } else { nil } }
}
