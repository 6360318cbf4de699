// A start tells how far it is while it goes on, and serves nothing before it is done.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

/// Holds whoever reads on in a snapshot, or in the log, until it is told to let him go.
private final class Turnpike: TappedFileSystem {
    let inner: any FileSystem
    private let name: String
    private let minOffset: UInt64
    private let gate = Gate()
    private let isOpen = Locked(false)

    init(_ inner: any FileSystem, holding name: String, from minOffset: UInt64) {
        self.inner = inner
        self.name = name
        self.minOffset = minOffset
    }

    func before(_ event: FileEvent) throws(FileError) -> ShortWrite? {
        if event.operation == .read, event.path.contains(name), (event.byteCount ?? 0) > 4_096,
            event.offset ?? 0 >= minOffset
        {
            while !isOpen.withLock({ $0 }) { _ = gate.wait(timeoutNanos: 1_000_000) }
        }
        return nil
    }

    func after(_ event: FileEvent) {}
    func open() { isOpen.withLock { $0 = true } }
}

@Suite struct RecoveryProgressTests {
    static let scope = Scope(namespace: "progress")
    static let count = 800

    /// A shard with more than two megabytes in its snapshot and a tail behind it.
    private func filled() throws -> MemoryFileSystem {
        let disk = MemoryFileSystem()
        let test = try TestEngine(disk, EngineSettings(logSegmentBytes: 1 << 16))
        defer { test.close() }
        for start in stride(from: 0, to: Self.count, by: 100) {
            let mutations = (start..<(start + 100)).map { number in
                var document = Document(id: .number(UInt64(number)))
                document.vectors["v"] = (0..<700).map { Float($0 ^ number) }
                return Mutation.upsert(document)
            }
            try test.write(mutations, to: Self.scope, creating: Schema())
        }
        try test.snapshot()
        try test.write(
            (0..<100).map { .remove(.number(UInt64($0))) }, to: Self.scope)
        return disk
    }

    @Test(
        "phase, bytes and refusals are told while recovery goes on",
        arguments: [
            ("snapshot-", 1 << 20, RecoveryPhase.loadingSnapshot), ("log-", 0, .replayingLog),
        ]
            as [(String, UInt64, RecoveryPhase)])
    func progress(name: String, minOffset: UInt64, phase: RecoveryPhase) throws {
        let turnpike = Turnpike(try filled(), holding: name, from: minOffset)
        var configuration = EngineConfiguration(path: TestEngine.path)
        configuration.shardCount = 1
        configuration.logSegmentBytes = 1 << 16
        let recovered = Gate()
        let engine = try Engine(
            configuration, files: turnpike, time: SystemClock(), hashSeed: 1,
            onRecovered: { recovered.open() })
        defer { engine.close() }
        let pause = Gate()
        var shard = engine.status().shards[0]
        while shard.recoveryPhase != phase
            || (phase == .loadingSnapshot && shard.recoveryBytesDone == 0)
        {
            _ = pause.wait(timeoutNanos: 1_000_000)
            shard = engine.status().shards[0]
        }
        #expect(shard.state == .recovering && engine.status().state == .starting)
        #expect(shard.recoveryBytesDone < shard.recoveryBytesTotal, "\(shard)")
        #expect(!engine.isServing)
        let error = #expect(throws: KyroError.self) {
            try engine.lookup(
                LookupRequest(scope: Self.scope, ids: [.number(500)]),
                cancellation: Cancellation())
        }
        #expect(error?.reason == KyroError.Reason.notServing.rawValue)
        #expect(error?.retryAfterMillis != nil)
        turnpike.open()
        recovered.wait()
        shard = engine.status().shards[0]
        #expect(shard.state == .serving && shard.recoveryPhase == .done)
        #expect(shard.replayedRecords == 100 && shard.documents == UInt64(Self.count - 100))
        #expect(shard.graphRowsInserted == 0)
    }
}
