// A wanted recall, from the request to the calibration in the background, turn by turn.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct RecallTests {
    @Test("Nothing is known at first; then it is measured, and the target met", arguments: [1, 2])
    func calibrates(shardCount: Int) throws {
        let life = try RecallLife(rows: 6_000 * shardCount, shardCount: shardCount)
        defer { life.close() }
        let first = try #require(try life.ask(Strangers.query(0), recall: 0.95).recall)
        #expect(first.samples == 0 && first.mean == 0 && first.worstDecile == 0)
        #expect(first.target == 0.95 && first.efSearch >= 96)
        life.settle()
        let known = try #require(try life.ask(Strangers.query(0), recall: 0.95).recall)
        #expect(known.samples == 192, "queries made of its own rows")
        #expect(known.mean >= 0.95 && known.worstDecile > 0 && known.worstDecile <= known.mean)
        // Live queries of the same kind as those that are asked afterwards.
        try life.askMany(6_400 * 2)
        let informed = try #require(try life.ask(Strangers.query(0), recall: 0.95).recall)
        #expect(informed.samples == 128, "one of a hundred")
        let recall = try life.meanRecall(asked: 0.95, queries: 300)
        print("RESULT \(shardCount) shards: \(informed), measured \(recall)")
        #expect(recall >= 0.945)
    }

    @Test("With a filter the target is met as well", arguments: [9, 5, 1])
    func filtered(tenths: Int64) throws {
        let life = try RecallLife(rows: 12_000)
        defer { life.close() }
        let filter = Filter.range(
            field: "n", lower: nil, upper: .init(.int64(tenths), isInclusive: false))
        _ = try life.ask(Strangers.query(0), recall: 0.95)
        life.settle()
        try life.askMany(6_400)
        let recall = try life.meanRecall(asked: 0.95, queries: 300, filter: filter)
        print("RESULT filter of \(tenths) tenths: \(recall)")
        #expect(recall >= 0.945)
    }

    @Test("Inverted lists and scans of codes are measured as graphs are")
    func otherKinds() throws {
        let lists = try RecallLife(rows: 12_000, kind: .ivf)
        defer { lists.close() }
        _ = try lists.ask(Strangers.query(0), recall: 0.95)
        lists.settle()
        try lists.askMany(6_400)
        let answer = try lists.ask(Strangers.query(0), recall: 0.95)
        let estimate = try #require(answer.recall)
        #expect(answer.explain?.shards.first?.vectorStrategy == .ivf)
        #expect(estimate.probes > 0 && estimate.efSearch == 0 && estimate.samples == 64)
        let recall = try lists.meanRecall(asked: 0.95, queries: 300)
        print("RESULT lists: \(estimate), measured \(recall)")
        #expect(recall >= 0.945)

        let flat = try RecallLife(rows: 12_000, kind: .flat)
        defer { flat.close() }
        _ = try flat.ask(Strangers.query(0), recall: 0.95)
        flat.settle()
        let scanned = try #require(try flat.ask(Strangers.query(0), recall: 0.95).recall)
        print("RESULT flat: \(scanned)")
        #expect(scanned.mean > 0.99 && scanned.efSearch == 0)
    }

    @Test("Live queries unlike the rows change what a recall takes")
    func outOfDistribution() throws {
        let life = try RecallLife(rows: 6_000)
        defer { life.close() }
        _ = try life.ask(Strangers.query(0), recall: 0.97)
        life.settle()
        let easy = try #require(try life.ask(RecallLife.row(1), recall: 0.97).recall)
        try life.askMany(10_000)
        let hard = try #require(try life.ask(RecallLife.row(1), recall: 0.97).recall)
        print("RESULT own \(easy.efSearch), strangers \(hard.efSearch)")
        #expect(hard.efSearch > easy.efSearch && hard.samples == 100)
        #expect(try life.meanRecall(asked: 0.97, queries: 300) >= 0.965)
        // And back, when those who ask are others again.
        try life.askMany(20_000) { RecallLife.row(20_000 + $0) }
        let again = try #require(try life.ask(RecallLife.row(1), recall: 0.97).recall)
        #expect(again.efSearch < hard.efSearch, "\(again)")
    }

    @Test("Never more than one of a hundred live queries is answered exactly")
    func budget() throws {
        let life = try RecallLife(rows: 5_000)
        defer { life.close() }
        _ = try life.ask(Strangers.query(0), recall: 0.9)
        life.settle()
        var asked = 1
        while asked < 30_000 {
            try life.askMany(1_000, settles: false)
            asked += 1_000
            life.settle()
            life.clock.advance(millis: 10_000)
            let recall = try #require(try life.ask(Strangers.query(0), recall: 0.9).recall)
            asked += 1
            let live = recall.samples >= 192 ? recall.samples - 192 : recall.samples
            #expect(Int(live) <= asked / 100, "\(recall) after \(asked)")
        }
    }

    @Test("Who asks for no recall is not measured")
    func unasked() throws {
        let life = try RecallLife(rows: 5_000)
        defer { life.close() }
        try life.askMany(1_000, settles: false)
        #expect(try life.ask(Strangers.query(0), recall: 0).recall == nil)
        let before = life.turns(of: "kyro-recall")
        life.settle()
        #expect(life.turns(of: "kyro-recall") <= before + 2)
        _ = try life.ask(Strangers.query(0), recall: 0.9)
        life.settle()
        #expect(life.turns(of: "kyro-recall") > before + 100)
    }

    @Test("A stop waits for no calibration")
    func stops() throws {
        for turns in [1, 3, 20, 200] {
            let life = try RecallLife(rows: 5_000)
            _ = try life.ask(Strangers.query(0), recall: 0.9)
            for _ in 0..<turns { life.step() }
            let before = life.turns(of: "kyro-recall")
            life.close()
            #expect(life.turns(of: "kyro-recall") == before + 1, "after \(turns) turns")
        }
    }

    @Test("What is scanned in full is exact, and needs no samples")
    func flat() throws {
        let life = try RecallLife(rows: 500)
        defer { life.close() }
        life.settle()
        let response = try life.ask(Strangers.query(3), recall: 0.9)
        #expect(
            response.recall
                == RecallEstimate(
                    target: 0.9, mean: 1, worstDecile: 1, samples: 0))
        #expect(response.explain?.shards.first?.vectorStrategy == .flat)
    }

    @Test("A recall of 1 is an exact search")
    func exact() throws {
        let life = try RecallLife(rows: 5_000)
        defer { life.close() }
        let response = try life.ask(Strangers.query(3), recall: 1)
        #expect(response.recall == RecallEstimate(target: 1, mean: 1, worstDecile: 1, samples: 0))
        let shard = try #require(response.explain?.shards.first)
        #expect(shard.vectorStrategy == .flat && shard.rowsScored == 5_000)
        #expect(try life.meanRecall(asked: 1, queries: 20) == 1)
    }

    @Test("A start begins anew, and a graph that has changed is measured again")
    func changes() throws {
        let life = try RecallLife(rows: 5_000)
        defer { life.close() }
        _ = try life.ask(Strangers.query(0), recall: 0.9)
        life.settle()
        try life.askMany(10_000)
        #expect(try #require(try life.ask(Strangers.query(0), recall: 0.9).recall).samples == 100)
        try life.write(5_000..<8_000)
        life.settle()
        // The same live queries again: none is lost and none is new.
        #expect(try #require(try life.ask(Strangers.query(0), recall: 0.9).recall).samples == 100)
        try life.restart()
        let first = try life.ask(Strangers.query(0), recall: 0.9).recall
        #expect(first?.samples == 0)
        life.settle()
        #expect(try life.ask(Strangers.query(0), recall: 0.9).recall?.samples == 192)
    }

    @Test("Without memory for it nothing is measured, and searches go on as before")
    func withoutMemory() throws {
        let life = try RecallLife(rows: 5_000, memoryLimit: 64 << 20)
        defer { life.close() }
        life.memory.set((64 << 20) - 1_000)
        life.clock.advance(millis: 100)
        _ = try life.ask(Strangers.query(0), recall: 0.9)
        life.settle()
        #expect(try life.ask(Strangers.query(0), recall: 0.9).recall?.samples == 0)
        life.memory.set(1 << 20)
        life.clock.advance(millis: 2_000)
        life.settle()
        #expect(try life.ask(Strangers.query(0), recall: 0.9).recall?.samples == 192)
    }

    @Test("Threads ask, write and measure at the same time")
    func threads() throws {
        var settings = EngineSettings(fsync: .never, logSegmentBytes: 4 << 20)
        settings.bulkRowsMin = 1_000
        let test = try TestEngine(MemoryFileSystem(), settings)
        defer { test.close() }
        try test.write(
            (0..<5_000).map { .upsert(RecallLife.document($0)) }, to: RecallLife.scope,
            creating: RecallLife.schema())
        let failures = Locked<[String]>([])
        let askers = (0..<2).map { number in
            KyroThread(name: "asker-\(number)") {
                for i in 0..<scaled(4_000) {
                    let request = RecallLife.request(Strangers.query(i), recall: 0.95)
                    do {
                        let answer = try test.engine.search(request, cancellation: Cancellation())
                        let estimate = answer.recall
                        if answer.hits.count != 10 || estimate == nil {
                            failures.withLock { $0.append("\(answer.hits.count) hits") }
                        }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
            }
        }
        for batch in 0..<40 {
            let first = 5_000 + 50 * batch
            try test.write(
                (first..<(first + 50)).map { .upsert(RecallLife.document($0)) },
                to: RecallLife.scope)
        }
        for asker in askers { asker.join() }
        #expect(failures.withLock { $0 } == [])
        let request = RecallLife.request(Strangers.query(0), recall: 0.95)
        #expect(eventually { (try? test.search(request).recall?.samples ?? 0) ?? 0 > 0 })
    }
}

/// Queries from where no rows are in particular.
private enum Strangers {
    static func query(_ number: Int) -> [Float] {
        var dice = Dice(seed: 0x5151 &+ UInt64(number))
        return (0..<RecallLife.dimension).map { _ in Float(dice.fraction() - 0.5) }
    }
}

/// Counts turns by name, and gives them as another scheduler does.
private struct CountedScheduler: Scheduler {
    let inner: SteppedScheduler
    let counts = Locked<[String: Int]>([:])

    func start(
        name: String, priority: ThreadPriority, turn: @escaping @Sendable (Bool) -> Turn
    ) -> any ScheduledProcess {
        let counts = counts
        return inner.start(name: name, priority: priority) { mayWait in
            counts.withLock { $0[name, default: 0] += 1 }
            return turn(mayWait)
        }
    }
}

/// A collection of rows in clusters, and what is asked of it.
private final class RecallLife {
    static let scope = Scope(namespace: "recall")
    static let dimension = 24

    static func schema(_ kind: VectorIndexKind = .automatic) -> Schema {
        var schema = Schema()
        schema.vectors["v"] = VectorField(
            dimension: dimension, metric: .cosine, indexing: VectorIndexing(kind: kind))
        schema.metadata["n"] = .int64
        return schema
    }

    let disk = MemoryFileSystem()
    let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    let memory = ManualGauge()
    private let configuration: EngineConfiguration
    private let kind: VectorIndexKind
    private var scheduler: CountedScheduler
    private var engine: Engine
    private var asked = 0

    init(
        rows: Int, shardCount: Int = 1, kind: VectorIndexKind = .automatic,
        memoryLimit: UInt64? = nil
    ) throws {
        self.kind = kind
        var configuration = EngineConfiguration(path: "/db")
        configuration.shardCount = shardCount
        configuration.logSegmentBytes = 4 << 20
        configuration.bulkRowsMin = 1_000
        configuration.memoryLimitBytes = memoryLimit
        self.configuration = configuration
        (engine, scheduler) = try Self.open(configuration, disk, clock, memory)
        try write(0..<rows)
        settle()
    }

    private static func open(
        _ configuration: EngineConfiguration, _ disk: MemoryFileSystem, _ clock: ManualClock,
        _ memory: ManualGauge
    ) throws -> (Engine, CountedScheduler) {
        let scheduler = CountedScheduler(inner: SteppedScheduler(seed: 5))
        let engine = try Engine(
            configuration, files: disk, time: clock, scheduler: scheduler,
            random: SeededRandomSource(seed: 6), memory: memory, hashSeed: 7)
        while !engine.isServing { scheduler.inner.step() }
        return (engine, scheduler)
    }

    func restart() throws {
        engine.close()
        (engine, scheduler) = try Self.open(configuration, disk, clock, memory)
    }

    func close() { engine.close() }
    func settle() { scheduler.inner.settle() }
    func step() { scheduler.inner.step() }
    func turns(of name: String) -> Int { scheduler.counts.withLock { $0[name] ?? 0 } }

    /// Around one of a hundred centres.
    static func row(_ id: Int) -> [Float] {
        var centre = Dice(seed: UInt64(id &* 7 % 100))
        var dice = Dice(seed: UInt64(id) << 20)
        return (0..<dimension).map { _ in
            Float(centre.fraction() - 0.5) + Float(dice.fraction() - 0.5) * 0.6
        }
    }

    static func document(_ id: Int) -> Document {
        var document = Document(id: .number(UInt64(id)))
        document.vectors["v"] = row(id)
        document.metadata["n"] = .int64(Int64(id / 7 % 10))
        return document
    }

    func write(_ ids: Range<Int>) throws {
        for first in stride(from: ids.lowerBound, to: ids.upperBound, by: 5_000) {
            let mutations = (first..<min(ids.upperBound, first + 5_000)).map {
                Result<Mutation, KyroError>.success(.upsert(Self.document($0)))
            }
            let box = Locked<Result<WriteResponse, KyroError>?>(nil)
            engine.write(
                WriteRequest(
                    scope: Self.scope, mutations: mutations, createIfMissing: Self.schema(kind)),
                byteCount: 1_000
            ) { result in box.withLock { $0 = result } }
            while box.withLock({ $0 == nil }) { step() }
            _ = try box.withLock { $0 }?.get()
        }
    }

    static func request(_ query: [Float], recall: Double) -> SearchRequest {
        var request = SearchRequest(scope: scope)
        request.vector = VectorQuery(field: "v", vector: query, recall: recall)
        request.limit = 10
        request.candidates = 10
        request.explain = true
        return request
    }

    func ask(_ query: [Float], recall: Double) throws -> SearchResponse {
        try engine.search(Self.request(query, recall: recall), cancellation: Cancellation())
    }

    /// Searches without a wanted recall, which are live queries all the same.
    func askMany(
        _ count: Int, settles: Bool = true, _ query: (Int) -> [Float] = Strangers.query
    ) throws {
        for _ in 0..<count {
            asked += 1
            _ = try ask(query(asked), recall: 0)
            if settles, asked % 1_000 == 0 { settle() }
        }
        if settles {
            clock.advance(millis: 2_000)
            settle()
        }
    }

    /// Of queries that were not asked before.
    func meanRecall(
        asked recall: Double, queries: Int, filter: Filter? = nil
    ) throws -> Double {
        var sum = 0.0
        for number in 0..<queries {
            let query = Strangers.query(1_000_000 + number)
            var wanted = Self.request(query, recall: recall)
            wanted.filter = filter
            var exact = Self.request(query, recall: 0)
            exact.filter = filter
            exact.exact = true
            let hits = try engine.search(wanted, cancellation: Cancellation()).hits
            let least = try engine.search(exact, cancellation: Cancellation()).hits.last?.score ?? 0
            sum += Double(hits.count { $0.score >= least }) / 10
        }
        return sum / Double(queries)
    }
}
