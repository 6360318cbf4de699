// Everything at once: two readers, a writer, deletes, folding and snapshots. Meant for the thread
// sanitizer; `KYRODB_STRESS_SECONDS` says how long, two seconds when it does not.
import Foundation
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct StressTests {
    @Test(arguments: VectorStorage.allCases)
    func readersSeeWholeDocumentsWhileEverythingChanges(storage: VectorStorage) throws {
        let seconds = Double(ProcessInfo.processInfo.environment["KYRODB_STRESS_SECONDS"] ?? "")
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("kyrodb-stress-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let stress = try Stress(path: directory.path, seconds: seconds ?? 2, storage: storage)
        let threads = [
            KyroThread(name: "reader-search") { stress.guarded { try stress.searchUntilDone() } },
            KyroThread(name: "reader-lookup") { stress.guarded { try stress.lookUpUntilDone() } },
            KyroThread(name: "deleter") { stress.guarded { try stress.deleteUntilDone() } },
            KyroThread(name: "snapshots") { stress.guarded { try stress.snapshotUntilDone() } },
        ]
        stress.guarded { try stress.writeUntilDone() }
        threads.forEach { $0.join() }
        stress.guarded { try stress.finish() }
        let (tally, problems) = (stress.tally.withLock { $0 }, stress.problems.withLock { $0 })
        #expect(problems == [])
        #expect(tally.written > 0 && tally.deleted > 0 && tally.searches > 0, "\(tally)")
        #expect(tally.snapshots > 0 && tally.folded > 0 && tally.lookups > 0, "\(tally)")
        print("RESULT stress \(storage): \(tally)")
    }
}

/// Documents derive from id and version. By the number modulo 4: 0 is deleted later, 1 is updated,
/// the rest stays; the first hundred are there from the start and never change.
private final class Stress: Sendable {
    struct Tally {
        var written = 0
        var deleted = 0
        var searches = 0
        var lookups = 0
        var snapshots = 0
        var folded = 0
        var rebuilds = 0
    }

    /// Above 768 rows of so many dimensions a graph is grown.
    static let dimension = 2_048
    static let stable = 100 as UInt64
    static let firstRows = 900 as UInt64
    /// Vectors are 8 KiB each; later documents go without.
    static let rowsWithVectors = 8_000 as UInt64

    let scope = Scope(namespace: "stress")
    let schema: Schema
    let configuration: EngineConfiguration
    let engine: Engine
    let deadline: UInt64
    let clock = SystemClock()
    let problems = Locked<[String]>([])
    let tally = Locked(Tally())
    private let toDelete = Locked<[UInt64]>([])
    private let versions = Locked<[UInt64: UInt64]>([:])
    /// Opened by a reader after each turn: the writer goes no faster than they do.
    private let turn = Gate()

    init(path: String, seconds: Double, storage: VectorStorage) throws {
        var schema = Schema()
        schema.vectors["v"] = VectorField(
            dimension: Self.dimension, indexing: VectorIndexing(storage: storage))
        self.schema = schema
        var configuration = EngineConfiguration(path: path)
        configuration.shardCount = 2
        configuration.fsync = .interval(millis: 5)
        configuration.logSegmentBytes = 1 << 20
        configuration.rebuildDeadRowsMin = 50
        configuration.rebuildDeadPercent = 5
        configuration.bulkRowsMin = 200
        configuration.bulkThreads = 2
        self.configuration = configuration
        engine = try Self.open(configuration)
        deadline = clock.monotonicNanos() + UInt64(seconds * 1e9)
        for first in stride(from: 0, to: Self.firstRows, by: 100) {
            try write((first..<(first + 100)).map { .upsert(document($0, version: 1)) })
        }
        versions.withLock { for id in 0..<Self.firstRows { $0[id] = 1 } }
        toDelete.withLock {
            $0 = (Self.stable..<Self.firstRows).filter { $0 % 4 == 0 }
        }
    }

    static func open(_ configuration: EngineConfiguration) throws -> Engine {
        let gate = Gate()
        let engine = try Engine(
            configuration, files: PosixFileSystem(), scheduler: EvenScheduler(), hashSeed: 7,
            onRecovered: { gate.open() })
        gate.wait()
        return engine
    }

    /// On a busy machine it goes on until everything has happened once, two minutes longer at most.
    var isDone: Bool {
        if !problems.withLock({ $0.isEmpty }) { return true }
        let now = clock.monotonicNanos()
        return now >= deadline && (hasHappened || now >= deadline + 120_000_000_000)
    }

    private var hasHappened: Bool {
        let tally = tally.withLock { $0 }
        return tally.deleted > 0 && tally.searches > 0 && tally.lookups > 0 && tally.snapshots > 0
            && foldedRows > 0
    }

    private var foldedRows: Int {
        Int(engine.status().shards.reduce(0) { $0 + $1.graphRowsInserted })
    }

    func guarded(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            report("\(error)")
        }
    }

    private func report(_ problem: String) { problems.withLock { $0.append(problem) } }

    func document(_ id: UInt64, version: UInt64) -> Document {
        var document = Document(id: .number(id))
        document.metadata["version"] = .int64(Int64(version))
        document.metadata["group"] = .string(id < Self.stable ? "stable" : "other")
        document.texts["text"] = "common rare\(id) edition\(version)"
        document.eventTimeMillis = Int64(id)
        if id < Self.rowsWithVectors { document.vectors["v"] = vector(id) }
        return document
    }

    func vector(_ id: UInt64) -> [Float] {
        var dice = Dice(seed: id)
        return (0..<Self.dimension).map { _ in Float(Int64(dice.next() & 0xFF) - 128) }
    }

    private func write(_ mutations: [Mutation]) throws {
        let request = WriteRequest(
            scope: scope, mutations: mutations.map { .success($0) }, createIfMissing: schema)
        let response = try awaited { done in
            engine.write(request, byteCount: 10_000, completion: done)
        }.get()
        for outcome in response.outcomes where !outcome.isApplied { report("\(outcome)") }
    }

    private func lookUp(_ ids: [UInt64]) throws -> [Document?] {
        let request = LookupRequest(scope: scope, ids: ids.map { .number($0) })
        return try engine.lookup(request, cancellation: Cancellation()).results.map(\.document)
    }

    // MARK: Threads

    func writeUntilDone() throws {
        var next = Self.firstRows
        var dice = Dice(seed: 1)
        while !isDone {
            let ids = next..<(next + 4)
            next += 4
            var changes = ids.map { Mutation.upsert(document($0, version: 1)) }
            let older = UInt64(dice.below(Int(next / 4 - Self.stable / 4))) * 4 + Self.stable + 1
            let version = (versions.withLock { $0[older] } ?? 1) + 1
            if older < ids.lowerBound {
                changes.append(.upsert(document(older, version: version)))
                versions.withLock { $0[older] = version }
            }
            try write(changes)
            versions.withLock { for id in ids { $0[id] = 1 } }
            let found = try lookUp([ids.lowerBound, older])
            if found[0] == nil { report("\(ids.lowerBound) is acknowledged and not found") }
            if older < ids.lowerBound, found[1] != document(older, version: version) {
                report("\(older) is not at version \(version)")
            }
            toDelete.withLock { $0.append(ids.lowerBound) }
            tally.withLock { $0.written += changes.count }
            _ = turn.wait(timeoutNanos: 20_000_000)
        }
    }

    func deleteUntilDone() throws {
        while !isDone {
            let ids = toDelete.withLock { waiting in
                // Elements and not a slice: an array that shares its memory with the waiting one is
                // handed over by a reference count, which the thread sanitizer does not see.
                var taken: [UInt64] = []
                while taken.count < 3, !waiting.isEmpty { taken.append(waiting.removeFirst()) }
                return taken
            }
            guard !ids.isEmpty else {
                _ = turn.wait(timeoutNanos: 1_000_000)
                continue
            }
            try write(ids.map { .remove(.number($0)) })
            versions.withLock { for id in ids { $0[id] = nil } }
            if try lookUp(ids).contains(where: { $0 != nil }) { report("\(ids) were deleted") }
            var request = SearchRequest(scope: scope)
            request.text = TextQuery(query: "rare\(ids[0])")
            if try !engine.search(request, cancellation: Cancellation()).hits.isEmpty {
                report("\(ids[0]) was deleted and is found by its word")
            }
            tally.withLock { $0.deleted += ids.count }
        }
    }

    func snapshotUntilDone() throws {
        var last = 0
        while !isDone {
            // One for every so many writes, so that there is something to save.
            if tally.withLock({ $0.written }) < last + 50 {
                _ = turn.wait(timeoutNanos: 5_000_000)
                continue
            }
            last = tally.withLock { $0.written }
            _ = try awaited { done in engine.snapshot(completion: done) }.get()
            tally.withLock { $0.snapshots += 1 }
        }
    }

    /// Vector over the graph, text, filter and decay together; now and then exact.
    func searchUntilDone() throws {
        var dice = Dice(seed: 2)
        while !isDone {
            let id = UInt64(dice.below(Int(Self.stable)))
            var request = SearchRequest(scope: scope)
            request.vector = VectorQuery(field: "v", vector: vector(id))
            request.exact = dice.chance(10)
            request.projection = .everything
            request.limit = 5
            if dice.chance(50) { request.text = TextQuery(query: "common rare\(id)") }
            if dice.chance(50) {
                request.filter = .equals(field: "group", .string("stable"))
            }
            if dice.chance(30) { request.timeDecay = TimeDecay(halfLifeMillis: 1 << 40) }
            let hits = try engine.search(request, cancellation: Cancellation()).hits
            check(hits.compactMap(\.document))
            if hits.count != 5 { report("\(hits.count) hits of 5") }
            if request.exact, hits.first?.id != .number(id) {
                report("\(id) is not first for its own vector: \(hits.map(\.id))")
            }
            tally.withLock { $0.searches += 1 }
            turn.open()
        }
    }

    func lookUpUntilDone() throws {
        var dice = Dice(seed: 3)
        while !isDone {
            let ids = (0..<20).map { _ in UInt64(dice.below(2 * Int(Self.firstRows))) }
            let found = try lookUp(ids)
            check(found.compactMap { $0 })
            for (id, document) in zip(ids, found) where id < Self.stable && document == nil {
                report("\(id) never changed and is not found")
            }
            var request = ScanRequest(scope: scope)
            request.filter = .equals(field: "group", .string("stable"))
            request.projection = Projection(metadata: .all)
            let cursor = try engine.scan(request, cancellation: Cancellation())
            let page = try cursor.next(bytesMax: 1 << 20)
            if page?.documents.count != Int(Self.stable) {
                report("a scan sees \(page?.documents.count ?? 0) stable documents")
            }
            _ = engine.status()
            tally.withLock { $0.lookups += 1 }
            turn.open()
        }
    }

    /// No reader ever sees a mixture of versions.
    private func check(_ documents: [Document]) {
        for found in documents {
            guard case .number(let id) = found.id,
                case .int64(let version)? = found.metadata["version"],
                found == document(id, version: UInt64(version))
            else {
                report("\(found.id) is a mixture")
                continue
            }
        }
    }

    // MARK: Afterwards

    /// A restart finds what was acknowledged.
    func finish() throws {
        let folded = foldedRows
        let rebuilds = engine.status().shards.reduce(0) { $0 + $1.rebuilds }
        tally.withLock {
            $0.folded = folded
            $0.rebuilds = Int(rebuilds)
        }
        engine.close()
        let again = try Self.open(configuration)
        defer { again.close() }
        var count = 0
        let cursor = try again.scan(ScanRequest(scope: scope), cancellation: Cancellation())
        let expected = versions.withLock { $0 }
        while let page = try cursor.next(bytesMax: 1 << 20) {
            for found in page.documents {
                guard case .number(let id) = found.id, let version = expected[id],
                    found == document(id, version: version)
                else {
                    report("\(found.id) after the restart")
                    continue
                }
                count += 1
            }
        }
        if count != expected.count { report("\(count) documents, not \(expected.count)") }
    }
}
