// What is left of a collection after everything in it has been replaced again and again.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct ChurnTests {
    static let scope = Scope(namespace: "churn")
    static let dimension = 32
    static let count = scaled(5_000)

    static var schema: Schema {
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: dimension, metric: .cosine)
        schema.texts["t"] = TextField()
        schema.sparseVectors["s"] = SparseField()
        return schema
    }

    private func engine(
        _ disk: MemoryFileSystem, clock: ManualClock, rebuildDeadRowsMin: Int = scaled(1_024)
    ) throws -> SteppedEngine {
        var configuration = EngineConfiguration(path: "/db")
        configuration.rebuildDeadRowsMin = rebuildDeadRowsMin
        configuration.snapshotLogBytes = 4 << 20
        // The clock of these tests stands still.
        configuration.repairGraceMillis = 0
        return try SteppedEngine(seed: 1, disk, configuration, clock: clock)
    }

    /// Around one of 200 centres.
    private func document(_ id: Int, version: Int) -> Document {
        var centre = Dice(seed: UInt64((id &* 7 &+ version &* 13) % 200))
        var dice = Dice(seed: UInt64(id) << 20 | UInt64(version))
        var document = Document(id: .number(UInt64(id)))
        document.vectors["v"] = (0..<Self.dimension).map { _ in
            Float(centre.fraction() - 0.5) + Float(dice.fraction() - 0.5) * 0.6
        }
        document.texts["t"] =
            (0..<20).map { _ in "word\(dice.below(3_000))" }.joined(separator: " ")
        document.sparseVectors["s"] = SparseVector(
            indices: [UInt32(dice.below(500)), 1_000], values: [1, 0.5])
        document.metadata["version"] = .int64(Int64(version))
        document.metadata["tag"] = .string("tag\(dice.below(50))")
        return document
    }

    private func write(_ version: Int, to stepped: SteppedEngine, order: [Int]) throws {
        for first in stride(from: 0, to: order.count, by: 100) {
            let ids = order[first..<min(order.count, first + 100)]
            try stepped.write(
                ids.map { .upsert(document($0, version: version)) }, to: Self.scope,
                creating: Self.schema)
        }
    }

    private func recall(_ stepped: SteppedEngine) throws -> Double {
        var (found, wanted) = (0, 0)
        for query in 0..<200 {
            var request = SearchRequest(scope: Self.scope)
            request.limit = 10
            request.candidates = 10
            let vector = document(query * 31 % Self.count, version: 1_000 + query).vectors["v"]
            request.vector = VectorQuery(field: "v", vector: vector ?? [], efSearch: 24)
            let walked = try stepped.search(request).hits.map(\.id)
            request.exact = true
            let exact = try stepped.search(request).hits.map(\.id)
            wanted += exact.count
            found += exact.filter { walked.contains($0) }.count
        }
        return Double(found) / Double(wanted)
    }

    @Test("After four times 100 % churn a collection is as small and as good as a fresh one")
    func churnLeavesNothingBehind() throws {
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        let stepped = try engine(MemoryFileSystem(), clock: clock)
        defer { stepped.engine.close() }
        var dice = Dice(seed: 9)
        var order = Array(0..<Self.count)
        try write(0, to: stepped, order: order)
        for version in 1...4 {
            order.shuffle(using: &dice)
            try write(version, to: stepped, order: order)
            // Deleted ones come back with the next version.
            if version < 4 {
                try stepped.write(
                    order.prefix(Self.count / 10).map { .remove(.number(UInt64($0))) },
                    to: Self.scope)
            }
        }
        stepped.scheduler.settle()
        let fresh = try engine(MemoryFileSystem(), clock: clock)
        defer { fresh.engine.close() }
        try write(4, to: fresh, order: Array(0..<Self.count))
        fresh.scheduler.settle()
        #expect(stepped.rebuilds >= 2)
        #expect(stepped.status.shards[0].documents == UInt64(Self.count))
        let ratio = Double(stepped.residentBytes) / Double(fresh.residentBytes)
        #expect(ratio < 1.3, "\(ratio)")
        let (churned, built) = (try recall(stepped), try recall(fresh))
        #expect(churned > built - 0.01, "recall \(churned) after churn, \(built) built fresh")
        print(
            "RESULT churn: \(stepped.rebuilds) rebuilds, \(ratio) of a fresh load's memory, recall "
                + "\(churned) against \(built)")
    }

    /// Of 100 searches: distances a search, and recall.
    private func cost(_ stepped: SteppedEngine) throws -> (distances: Double, recall: Double) {
        var distances: UInt64 = 0
        for query in 0..<100 {
            var request = SearchRequest(scope: Self.scope)
            request.candidates = 10
            request.explain = true
            let vector = document(query * 31 % Self.count, version: 1_000 + query).vectors["v"]
            request.vector = VectorQuery(field: "v", vector: vector ?? [], efSearch: 48)
            let explain = try #require(try stepped.search(request).explain)
            distances += explain.shards.reduce(0) { $0 + $1.rowsScored }
        }
        return (Double(distances) / 100, try recall(stepped))
    }

    @Test("Deletes and updates cost searches nothing before any rebuild, nor after a restart")
    func theDeadLeaveTheGraph() throws {
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        let disk = MemoryFileSystem()
        let stepped = try engine(disk, clock: clock, rebuildDeadRowsMin: 1 << 20)
        // More than are scanned.
        let order = Array(0..<6_000)
        try write(0, to: stepped, order: order)
        stepped.scheduler.settle()
        let before = try cost(stepped)
        try write(1, to: stepped, order: order.filter { $0 % 4 == 1 })
        try stepped.write(
            order.filter { $0 % 4 == 0 }.map { .remove(.number(UInt64($0))) }, to: Self.scope)
        stepped.scheduler.settle()
        #expect(stepped.rebuilds == 0)
        #expect(stepped.status.shards[0].deadRows == 3_000)
        let after = try cost(stepped)
        #expect(after.distances < before.distances * 1.1, "\(after) against \(before)")
        #expect(after.recall > before.recall - 0.01, "\(after) against \(before)")
        _ = try stepped.awaited { done in stepped.engine.snapshot { done($0) } }.get()
        stepped.engine.close()
        let again = try engine(disk, clock: clock, rebuildDeadRowsMin: 1 << 20)
        defer { again.engine.close() }
        let restored = try cost(again)
        again.scheduler.settle()
        let repaired = try cost(again)
        #expect(restored.distances < before.distances * 1.1, "\(restored) against \(before)")
        #expect(repaired.distances < before.distances * 1.1, "\(repaired) against \(before)")
        #expect(repaired.recall > before.recall - 0.01, "\(repaired) against \(before)")
        print("RESULT dead in the graph: \(before), \(after), restored \(restored), \(repaired)")
    }

    @Test("No version outlives its successor, however rebuilds and large groups meet")
    func everyDocumentIsThereOnce() throws {
        var settings = EngineSettings(shardCount: 2)
        settings.fsync = .never
        settings.logSegmentBytes = 4 << 20
        settings.rebuildDeadRowsMin = 100
        let test = try TestEngine(MemoryFileSystem(), settings)
        defer { test.close() }
        let ids = 0..<scaled(1_500)
        func document(_ id: Int, _ version: Int) -> Document {
            var document = Document(id: .number(UInt64(id)))
            document.metadata["version"] = .int64(Int64(version))
            document.texts["t"] = "common edition\(version) of\(id)"
            return document
        }
        for version in 1...scaled(150) {
            // Several large groups wait at a time.
            let parts = [ids.prefix(ids.count / 2), ids.suffix(ids.count - ids.count / 2)]
            let gate = Gate()
            for part in parts {
                let changes = part.map { DecodedMutation.success(.upsert(document($0, version))) }
                let request = WriteRequest(
                    scope: Self.scope, mutations: changes, createIfMissing: Schema())
                test.engine.write(request, byteCount: 100_000) { _ in gate.open() }
                if version % 4 == 0 || version == 1 { gate.wait() }
            }
        }
        try test.write([.upsert(document(0, 0))], to: Self.scope)
        // Behind what still waits in the queues of both shards.
        _ = try awaited { done in test.engine.flush(completion: done) }.get()
        let found = try test.scan(Self.scope)
        let last = scaled(150)
        #expect(found == ids.map { document($0, $0 == 0 ? 0 : last) })
        #expect(try test.describe(Self.scope).documentCount == UInt64(ids.count))
        var rebuilds: UInt64 { test.engine.status().shards.reduce(0) { $0 + $1.rebuilds } }
        #expect(eventually { rebuilds > 0 })
        print("RESULT churn of large groups: \(rebuilds) rebuilds")
    }

    @Test func whatHasExpiredGoesAndIsNeitherCountedNorFound() throws {
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        let disk = MemoryFileSystem()
        let stepped = try engine(disk, clock: clock)
        for first in stride(from: 0, to: 3_000, by: 100) {
            try stepped.write(
                (first..<(first + 100)).map { id in
                    var document = document(id, version: 0)
                    if id % 3 != 0 { document.expiresAtMillis = 1_010_000 }
                    return .upsert(document)
                }, to: Self.scope, creating: Self.schema)
        }
        stepped.scheduler.settle()
        #expect(stepped.status.shards[0].documents == 3_000)
        clock.advance(millis: 20_000)
        let answers = try stepped.write([.remove(.number(1)), .remove(.number(3))], to: Self.scope)
        #expect(answers.outcomes.map(\.isApplied) == [false, true])
        clock.advance(millis: 60_000)
        stepped.scheduler.settle()
        #expect(stepped.rebuilds == 1)
        #expect(stepped.status.shards[0].documents == 999)
        #expect(stepped.status.shards[0].deadRows == 0)
        #expect(try stepped.scan(ScanRequest(scope: Self.scope)).count == 999)
        try stepped.write([.upsert(document(1, version: 5))], to: Self.scope)
        stepped.engine.close()
        let again = try engine(disk, clock: clock)
        defer { again.engine.close() }
        #expect(try again.scan(ScanRequest(scope: Self.scope)).count == 1_000)
    }
}
