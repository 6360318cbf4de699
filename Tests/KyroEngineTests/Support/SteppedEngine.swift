// An engine whose processes take their turns one after the other, in an order drawn from a seed.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore

/// Gives turns on the thread that asks for them.
final class SteppedScheduler: Scheduler {
    final class Process: ScheduledProcess {
        let turn: @Sendable (Bool) -> Turn
        let isFinished = Locked(false)

        init(_ turn: @escaping @Sendable (Bool) -> Turn) { self.turn = turn }

        /// False when there was nothing to do.
        func step() -> Bool {
            switch turn(false) {
            case .again: return true
            case .idle: return false
            case .finished:
                isFinished.withLock { $0 = true }
                return true
            }
        }

        func join() { while !isFinished.withLock({ $0 }) { _ = step() } }
    }

    private let state: Locked<(processes: [Process], dice: Dice)>

    init(seed: UInt64) { state = Locked(([], Dice(seed: seed))) }

    func start(
        name: String, priority: ThreadPriority, turn: @escaping @Sendable (Bool) -> Turn
    ) -> any ScheduledProcess {
        let process = Process(turn)
        state.withLock { $0.processes.append(process) }
        return process
    }

    /// One turn of a process drawn by chance.
    func step() {
        let process: Process? = state.withLock { state in
            let open = state.processes.filter { process in
                !process.isFinished.withLock { $0 }
            }
            return open.isEmpty ? nil : state.dice.pick(open)
        }
        _ = process?.step()
    }

    /// Turns for everybody until nobody has anything to do.
    func settle() {
        let processes = state.withLock { $0.processes }
        while true {
            var isBusy = false
            for process in processes where !process.isFinished.withLock({ $0 }) {
                if process.step() { isBusy = true }
            }
            if !isBusy { return }
        }
    }
}

/// One thread for everything: what happens follows from the seed.
struct SteppedEngine {
    let engine: Engine
    let scheduler: SteppedScheduler

    init(
        seed: UInt64, _ files: any FileSystem, _ configuration: EngineConfiguration,
        clock: any Clock, memory: any MemoryGauge = ProcessMemoryGauge(),
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        scheduler = SteppedScheduler(seed: seed)
        engine = try Engine(
            configuration, files: files, time: clock, scheduler: scheduler, memory: memory,
            hashSeed: seed, notice: notice)
        while !engine.isServing { scheduler.step() }
    }

    func awaited<Value: Sendable>(
        _ start: (@escaping @Sendable (Value) -> Void) -> Void
    ) -> Value {
        let box = Locked<Value?>(nil)
        start { value in box.withLock { $0 = value } }
        while true {
            if let value = box.withLock({ $0 }) { return value }
            scheduler.step()
        }
    }

    @discardableResult
    func write(
        _ mutations: [Mutation], to scope: Scope, creating schema: Schema? = nil
    ) throws -> WriteResponse {
        let request = WriteRequest(
            scope: scope, mutations: mutations.map { .success($0) }, createIfMissing: schema)
        return try awaited { done in
            engine.write(request, byteCount: 1_000, completion: done)
        }.get()
    }

    @discardableResult
    func snapshot() throws -> SnapshotResponse {
        try awaited { done in engine.snapshot(completion: done) }.get()
    }

    func search(_ request: SearchRequest) throws -> SearchResponse {
        try engine.search(request, cancellation: Cancellation())
    }

    func scan(_ request: ScanRequest) throws -> [Document] {
        let cursor = try engine.scan(request, cancellation: Cancellation())
        var documents: [Document] = []
        while let page = try cursor.next(bytesMax: 1 << 20) { documents += page.documents }
        return documents
    }

    var status: StatusResponse { engine.status() }
    var rebuilds: UInt64 { status.shards.reduce(0) { $0 + $1.rebuilds } }
    var residentBytes: UInt64 {
        status.shards.reduce(0) { $0 + $1.residentBytes + $1.rebuildBytes }
    }
}
