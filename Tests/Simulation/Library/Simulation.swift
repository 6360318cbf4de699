// One seed: a machine on which an engine is started, used, stopped in every way and started again,
// until it has done its number of operations.
//
// Everything that the engine takes from outside is drawn from the seed: files, clock, randomness,
// and the order in which its processes get their turns. The same seed gives the same run, byte for
// byte, which the hash of the report tells.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore

public struct SimulationReport: Sendable {
    public var seed: UInt64
    /// Of every call of the file system and every answer, in order.
    public var hash: UInt64 = 0
    public var operations = 0
    public var crashes = 0
    public var powerCuts = 0
    public var recoveries = 0
    public var faults = 0
    public var flips = 0
    public var refusals = 0
    public var fileCalls = 0
    public var writes = 0
    public var snapshots = 0
    /// What did not hold, and where.
    public var violation: String?
    /// The last lines of the trace, when one was asked for.
    public var trace: [String] = []

    init(seed: UInt64) { self.seed = seed }
}

public struct SimulationOptions: Sendable {
    public var operations = 500
    public var crashesMin = 3
    /// Keeps the last so many lines of what happened; zero for none.
    public var traceLines = 0

    public init() {}
}

public func simulate(
    seed: UInt64, _ options: SimulationOptions = SimulationOptions()
) -> SimulationReport {
    let simulation = Simulation(seed: seed, options)
    simulation.run()
    return simulation.report
}

final class Simulation {
    /// What the seed decides for the whole run.
    struct Settings {
        var shardCount: Int
        /// Of collections that have none of their own.
        var policy: Durability
        var segmentBytes: Int
        var snapshotLogBytes: Int
        var rebuildDeadRowsMin: Int
        var bulkRowsMin: Int
        var scrubBytesPerSecond: Int
        var repairGraceMillis: Int
    }

    static let path = "/db"

    let seed: UInt64
    let options: SimulationOptions
    let settings: Settings
    let homes: [Int]
    let clock = ManualClock(nanos: 1_000_000, wallMillis: Workload.bornMillis)
    let disk: SimulatedDisk
    let scheduler: SimulatedScheduler
    let random: SeededRandomSource
    let memory = SimulatedMemory()
    let notices = Box<[String]>([])
    let traceLog: TraceLog?
    var dice: Dice
    var workload: Workload
    var engine: Engine?
    var report: SimulationReport

    /// By scope: the collection that is there or may be.
    var lives: [CollectionLife?] = Array(repeating: nil, count: Workload.scopes.count)
    var lifeCount = 0
    var highestCollectionID: UInt32 = 0
    var shards: [ShardModel]
    var openWrites: [SimulatedWrite] = []
    var writeCount = 0
    /// Whether something was written since the last start that nobody syncs by himself.
    var mayStayDirty = false
    /// Whether the machine lost power since it last recovered.
    var hadPowerCut = false

    init(seed: UInt64, _ options: SimulationOptions) {
        self.seed = seed
        self.options = options
        var dice = Dice(seed: seed)
        let shardCount = 1 + dice.below(3)
        let policies: [Durability] = [.always, .always, .always, .interval(millis: 100), .never]
        settings = Settings(
            shardCount: shardCount, policy: dice.pick(policies),
            segmentBytes: dice.pick([1_024, 2_048, 4_096]),
            snapshotLogBytes: dice.pick([5_000, 20_000, 1 << 20]),
            rebuildDeadRowsMin: dice.pick([12, 40, 1 << 20]),
            // In a quarter of the seeds: tiny graphs are many, and each costs what dozens of documents
            // do.
            bulkRowsMin: dice.pick([4, 16] + [Int](repeating: 1 << 20, count: 6)),
            scrubBytesPerSecond: dice.pick([0, 0, 1 << 20]),
            repairGraceMillis: seed % 3 == 0 ? 250 : 0)
        homes = Workload.homes(shardCount: shardCount)
        let traceLog = options.traceLines > 0 ? TraceLog(limit: options.traceLines) : nil
        self.traceLog = traceLog
        disk = SimulatedDisk(dice: dice.fork(), trace: traceLog.map { log in { log.add($0) } })
        scheduler = SimulatedScheduler(dice: dice.fork())
        random = SeededRandomSource(seed: dice.next())
        workload = Workload(dice: dice.fork())
        self.dice = dice
        shards = (0..<shardCount).map { ShardModel(index: $0) }
        report = SimulationReport(seed: seed)
        if let traceLog {
            scheduler.onTurn = { traceLog.add("  turn of \($0)") }
            traceLog.add("\(settings)")
        }
    }

    func trace(_ text: @autoclosure () -> String) { traceLog?.add(text()) }

    // MARK: The run

    func run() {
        do throws(Violation) {
            while report.operations < options.operations || report.crashes < options.crashesMin {
                try liveOnce()
            }
            try lastLife()
        } catch {
            report.violation = "operation \(report.operations): \(error.message)"
            trace("VIOLATION \(error.message)")
        }
        abandon()
        report.hash = disk.hash.value
        report.fileCalls = disk.callCount
        report.trace = traceLog?.lines ?? []
    }

    /// From one start of the process to its end.
    private func liveOnce() throws(Violation) {
        if report.recoveries > 0, dice.chance(12) { try flipABit() }
        planCrash()
        if dice.chance(8) { planFault() }
        guard try start() else { return }
        try checkEverything()
        let left = max(1, options.operations - report.operations)
        let count = min(left, 1 + dice.below(360))
        for _ in 0..<count {
            if disk.isDown { break }
            try operation()
            report.operations += 1
            if scheduler.isHung { throw Violation("a process never rests") }
        }
        if !disk.isDown, dice.chance(20) { return try close() }
        try crash()
    }

    /// A clean stop loses nothing, whatever the policy; nor does the start after it.
    private func lastLife() throws(Violation) {
        guard try start() else { throw Violation("a start without faults did not succeed") }
        try checkEverything()
        try close()
        guard try start() else { throw Violation("a start behind a stop did not succeed") }
    }

    private func planCrash() {
        switch dice.below(100) {
        case ..<15: disk.callsToCrash = 1 + dice.below(40)
        case ..<70: disk.callsToCrash = 1 + dice.below(1_200)
        default: disk.callsToCrash = nil
        }
    }

    // MARK: Start and end

    /// - Returns: whether the engine serves; false when it ended in between or was refused for a
    ///   fault that was injected.
    func start() throws(Violation) -> Bool {
        trace("START crash in \(disk.callsToCrash.map(String.init) ?? "never")")
        do throws(KyroError) {
            let engine = try open()
            scheduler.runUntilQuiet { engine.isServing || disk.isDown }
        } catch {
            trace("refused: \(error)")
            if !disk.isDown, disk.faultCount == 0 { throw Violation("refused to open: \(error)") }
            report.refusals += disk.isDown ? 0 : 1
            try crash()
            return false
        }
        if disk.isDown {
            try crash()
            return false
        }
        for shard in engine?.status().shards ?? [] where shard.state != .serving {
            if disk.faultCount == 0 { throw Violation("shard stopped: \(shard.problem)") }
            trace("shard stopped: \(shard.problem)")
            report.refusals += 1
            try crash()
            return false
        }
        report.recoveries += 1
        mayStayDirty = false
        try adoptWhatIsThere()
        return true
    }

    /// An engine that has its files and is about to recover.
    func open() throws(KyroError) -> Engine {
        var configuration = EngineConfiguration(path: Self.path)
        configuration.shardCount = settings.shardCount
        configuration.fsync = settings.policy
        configuration.logSegmentBytes = settings.segmentBytes
        configuration.snapshotLogBytes = settings.snapshotLogBytes
        configuration.snapshotBytesPerSecond = 0
        configuration.rebuildDeadRowsMin = settings.rebuildDeadRowsMin
        configuration.bulkRowsMin = settings.bulkRowsMin
        configuration.repairGraceMillis = settings.repairGraceMillis
        configuration.scrubBytesPerSecond = settings.scrubBytesPerSecond
        configuration.scrubPauseMillis = 500
        configuration.commitLingerMicros = 0
        notices.value.removeAll()
        let notices = notices
        let engine = try Engine(
            configuration, files: disk, time: clock, scheduler: scheduler, random: random,
            memory: memory, hashSeed: random.next(), notice: { notices.value.append($0) })
        self.engine = engine
        return engine
    }

    /// The process or the machine ends where it stands.
    func crash() throws(Violation) {
        report.crashes += 1
        report.faults += disk.faultCount
        for write in openWrites where disk.faultCount > 0 { write.mayHaveFailed = true }
        abandon()
        let isPowerCut = dice.chance(50)
        trace("CRASH \(isPowerCut ? "power cut" : "kill")")
        if isPowerCut {
            report.powerCuts += 1
            hadPowerCut = true
        }
        disk.restart(powerCut: isPowerCut)
        disk.note(isPowerCut ? 1 : 2)
    }

    /// Nothing that the engine still does reaches the disk or is listened to.
    func abandon() {
        disk.stop()
        engine?.close()
        engine = nil
        scheduler.abandon()
        openWrites.removeAll()
    }

    /// The server's own stop.
    func close() throws(Violation) {
        trace("CLOSE")
        engine?.close()
        if disk.isDown { return try crash() }
        try collect()
        guard openWrites.isEmpty else { throw Violation("a stop left writes unanswered") }
        if disk.faultCount == 0 { for shard in shards { try shard.fold(shard.settledCount) } }
        report.faults += disk.faultCount
        engine = nil
        scheduler.abandon()
        // The machine may lose power afterwards. What a stop without faults has left is durable.
        let isPowerCut = dice.chance(50)
        if isPowerCut { hadPowerCut = true }
        disk.restart(powerCut: isPowerCut)
    }

    // MARK: Turns

    /// A few turns of any processes.
    func turn(_ count: Int) throws(Violation) {
        for _ in 0..<count { scheduler.step() }
        try collect()
    }

    func runUntilQuiet() throws(Violation) {
        let disk = disk
        scheduler.runUntilQuiet { disk.isDown }
        try collect()
        guard disk.isDown || openWrites.isEmpty else {
            throw Violation("write \(openWrites[0].number) was never answered")
        }
    }

    /// Takes over the answers that have come.
    func collect() throws(Violation) {
        if disk.isDown { return }
        let isFaulty = disk.faultCount > 0
        var stillOpen: [SimulatedWrite] = []
        for write in openWrites {
            if isFaulty { write.mayHaveFailed = true }
            guard let result = write.result else {
                stillOpen.append(write)
                continue
            }
            try take(result, of: write, isFaulty: isFaulty)
        }
        openWrites = stillOpen
        for shard in shards {
            try shard.settle(isFaulty: isFaulty)
            try shard.fold(shard.syncedCount)
        }
    }

    private func take(
        _ result: Result<WriteResponse, KyroError>, of write: SimulatedWrite, isFaulty: Bool
    ) throws(Violation) {
        switch result {
        case .success(let response):
            disk.note(response.seq.raw)
            trace("write \(write.number) answered \(response.outcomes)")
            guard response.outcomes.count == write.items.count else {
                throw Violation("write \(write.number): \(response.outcomes.count) outcomes")
            }
        case .failure(let error):
            trace("write \(write.number) failed: \(error)")
            let isMissing = error.reason == KyroError.Reason.collectionNotFound.rawValue
            guard isFaulty || (isMissing && write.life.existence != .present) else {
                throw Violation("write \(write.number) was refused: \(error)")
            }
        }
    }
}

/// A value that closures share.
///
/// `@unchecked Sendable`: the simulator is one thread.
final class Box<Value>: @unchecked Sendable {
    var value: Value

    init(_ value: Value) { self.value = value }
}

/// The last lines of what happened.
final class TraceLog: @unchecked Sendable {
    private let limit: Int
    private(set) var lines: [String] = []

    init(limit: Int) { self.limit = limit }

    func add(_ line: String) {
        if lines.count >= 2 * limit { lines.removeFirst(limit) }
        lines.append(line)
    }
}

/// As much memory as anybody wants: what a run does must not depend on the machine that it runs on.
final class SimulatedMemory: MemoryGauge {
    func read() -> MemoryReading { MemoryReading(residentBytes: 1 << 20) }
    func giveBack() {}
}
