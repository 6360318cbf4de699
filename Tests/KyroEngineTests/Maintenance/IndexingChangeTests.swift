// How vector fields are indexed is changed while everything goes on, and whatever stops it, it goes
// on where it was.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct IndexingChangeTests {
    private static let dense = VectorIndexing(kind: .graph, m: 8)
    private static let denser = VectorIndexing(kind: .graph, m: 20, efConstruction: 60)
    private static let flat = VectorIndexing(kind: .flat)

    @Test(
        "Searches, writes, deletes and snapshots go on, and then the field is what was asked for",
        arguments: 1...UInt64(scaled(6)))
    func everythingGoesOn(seed: UInt64) throws {
        var life = try ChangingLife(seed: seed, shardCount: 1 + Int(seed % 2))
        try life.write(0..<1_200)
        life.stepped.scheduler.settle()
        var turns = 0
        for (number, options) in [Self.dense, Self.flat, Self.denser, .default].enumerated() {
            let described = try life.change(options)
            #expect(described.schemaVersion == UInt32(number + 2))
            #expect(described.schema.vectors["v"]?.indexing == options)
            let begun = try life.status()
            #expect(begun.rebuildRowsTotal >= 1_000, "seed \(seed): \(begun)")
            while try life.status().rebuildRowsTotal > 0 {
                let status = try life.status()
                #expect(status.rebuildRowsDone <= status.rebuildRowsTotal)
                try life.step()
                turns += 1
            }
            life.stepped.scheduler.settle()
            let status = try life.status()
            // Of its own accord the server has a graph only where it is built at once.
            let hasGraph = options.kind == .graph || options.kind == .automatic && life.buildsAtOnce
            #expect(status.kind == (hasGraph ? .graph : .flat), "seed \(seed)")
            #expect(hasGraph || status.indexedRows == 0, "seed \(seed): \(status)")
            #expect(status.rebuildRowsDone == 0)
            try life.check(queries: 20)
            #expect(try life.recall() > 0.97, "seed \(seed)")
        }
        #expect(life.rebuilds >= 4 && turns >= 4, "\(turns) turns")
        life.stepped.engine.close()
    }

    /// Killed after every so many turns of the engine's processes, with and without power loss.
    @Test(
        "A crash at any step is followed by a start that carries the change out",
        arguments: 0..<scaled(40))
    func everyStepCanBeTheLast(number: Int) throws {
        var life = try ChangingLife(seed: UInt64(number), shardCount: 1 + number % 2)
        try life.write(0..<1_100)
        life.stepped.scheduler.settle()
        if number % 3 != 0 { try life.stepped.snapshot() }
        try life.change(Self.dense)
        for turn in 0..<(number * 5) {
            life.stepped.scheduler.step()
            if number % 4 == 1, turn % 30 == 29 { try life.stepped.snapshot() }
        }
        let left =
            number % 2 == 0
            ? life.disk.copy()
            : life.disk.afterPowerCut(SeededRandomSource(seed: UInt64(number)))
        life.stepped.engine.close()
        try life.reopen(left)
        let described = try life.describe().collection
        #expect(described.schema.vectors["v"]?.indexing == Self.dense, "\(number)")
        try life.check(queries: 3)
        life.stepped.scheduler.settle()
        let status = try life.status()
        #expect(status.kind == .graph && status.rebuildRowsTotal == 0, "\(number): \(status)")
        #expect(status.indexedRows == status.rows, "\(number): \(status)")
        try life.check(queries: 10)
        // What is done is not done again.
        try life.stepped.snapshot()
        try life.restart()
        life.stepped.scheduler.settle()
        #expect(life.stepped.rebuilds == 0, "\(number)")
        #expect(try life.status().kind == .graph)
        try life.check(queries: 3)
        life.stepped.engine.close()
    }

    @Test("A second change while one is under way takes its place", arguments: 0..<scaled(12))
    func theLastOneCounts(number: Int) throws {
        var life = try ChangingLife(seed: UInt64(number), shardCount: 2)
        try life.write(0..<1_200)
        life.stepped.scheduler.settle()
        try life.change(Self.flat)
        for _ in 0..<(3 * number) { life.stepped.scheduler.step() }
        try life.change(Self.denser)
        for _ in 0..<(5 * number) { life.stepped.scheduler.step() }
        try life.change(Self.dense)
        life.stepped.scheduler.settle()
        let status = try life.status()
        #expect(status.kind == .graph && status.rebuildRowsTotal == 0)
        #expect(status.indexedRows == status.rows)
        // A graph of M = 20 has more than twice the links.
        var fresh = try ChangingLife(seed: UInt64(number), shardCount: 2, indexing: Self.dense)
        try fresh.write(0..<1_200)
        fresh.stepped.scheduler.settle()
        let bytes = try fresh.status().linkBytes
        #expect(status.linkBytes < bytes * 3 / 2, "\(status.linkBytes), \(bytes) if made so")
        fresh.stepped.engine.close()
        try life.check(queries: 10)
        life.stepped.engine.close()
    }

    @Test func whatOnlySearchesDoByDefaultTakesNoRebuild() throws {
        var life = try ChangingLife(seed: 1, shardCount: 1, indexing: Self.dense)
        try life.write(0..<4_000)
        life.stepped.scheduler.settle()
        func scored() throws -> UInt64 {
            var request = life.request(5)
            request.explain = true
            return try life.stepped.search(request).explain?.shards.first?.rowsScored ?? 0
        }
        let narrow = try scored()
        try life.change(VectorIndexing(kind: .graph, m: 8, efSearch: 400))
        #expect(try life.status().rebuildRowsTotal == 0)
        life.stepped.scheduler.settle()
        #expect(try scored() > narrow * 3 / 2)
        #expect(life.rebuilds == 0)
        try life.restart()
        #expect(try scored() > narrow * 3 / 2)
        try life.write(4_000..<4_200)
        life.stepped.scheduler.settle()
        #expect(try life.status().indexedRows == 4_200)
        try life.check(queries: 10)
        life.stepped.engine.close()
    }

    @Test func theSameOptionsAgainChangeNothing() throws {
        var life = try ChangingLife(seed: 2, shardCount: 1, indexing: Self.dense)
        try life.write(0..<50)
        #expect(try life.change(Self.dense).schemaVersion == 1)
        life.stepped.scheduler.settle()
        #expect(life.rebuilds == 0)
        life.stepped.engine.close()
    }

    @Test func whatCannotBeIsRefusedAndNothingChanges() throws {
        var life = try ChangingLife(seed: 3, shardCount: 1)
        try life.write(0..<10)
        func refusal(
            _ vectors: FieldMap<VectorIndexing>, _ scope: Scope = ChangingLife.scope
        ) -> KyroError? {
            let answer = life.stepped.awaited { done in
                life.stepped.engine.rebuild(
                    RebuildRequest(scope: scope, vectors: vectors), completion: done)
            }
            if case .failure(let error) = answer { return error }
            return nil
        }
        #expect(refusal([:])?.field == "vectors")
        #expect(refusal(["w": .default])?.reason == KyroError.Reason.fieldNotFound.rawValue)
        #expect(refusal(["w": .default])?.field == "vectors[\"w\"]")
        #expect(refusal(["v": VectorIndexing(m: 99)])?.field == "vectors[\"v\"].m")
        #expect(
            refusal(["v": VectorIndexing(kind: .graph, probes: 3)])?.field
                == "vectors[\"v\"].probes")
        let notFound = KyroError.Reason.collectionNotFound.rawValue
        #expect(refusal(["v": .default], Scope(namespace: "nowhere"))?.reason == notFound)
        #expect(try life.describe().collection.schemaVersion == 1)
        _ = try life.stepped.awaited { done in
            life.stepped.engine.dropCollection(
                DropCollectionRequest(scope: ChangingLife.scope), completion: done)
        }.get()
        #expect(refusal(["v": Self.dense])?.reason == notFound)
        life.stepped.engine.close()
    }

    @Test func aCollectionThatIsDroppedMeanwhileIsLeftAlone() throws {
        for turns in [0, 5, 20, 60] {
            var life = try ChangingLife(seed: UInt64(turns), shardCount: 1)
            try life.write(0..<1_200)
            try life.change(Self.dense)
            for _ in 0..<turns { life.stepped.scheduler.step() }
            let engine = life.stepped.engine
            _ = try life.stepped.awaited { done in
                engine.dropCollection(
                    DropCollectionRequest(scope: ChangingLife.scope), completion: done)
            }.get()
            life.stepped.scheduler.settle()
            #expect(throws: KyroError.self) { try life.describe() }
            engine.close()
        }
    }
}

/// A collection with one vector field whose options change, and what must be in it.
private struct ChangingLife {
    static let scope = Scope(namespace: "changing")
    static let dimension = 12

    let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    var configuration = EngineConfiguration(path: "/db")
    var disk = MemoryFileSystem()
    var stepped: SteppedEngine
    let schema: Schema
    var documents: [Int: Document] = [:]
    private var dice: Dice
    private var version = 0

    init(seed: UInt64, shardCount: Int, indexing: VectorIndexing = .default) throws {
        dice = Dice(seed: seed)
        configuration.shardCount = shardCount
        configuration.logSegmentBytes = 1 << 20
        configuration.bulkRowsMin = seed % 3 == 0 ? 300 : 1 << 20
        var schema = Schema()
        schema.vectors["v"] = VectorField(
            dimension: Self.dimension, metric: .cosine, indexing: indexing)
        self.schema = schema
        stepped = try SteppedEngine(seed: seed, disk, configuration, clock: clock)
    }

    mutating func reopen(_ left: MemoryFileSystem) throws {
        disk = left
        stepped = try SteppedEngine(seed: dice.next(), disk, configuration, clock: clock)
    }

    mutating func restart() throws {
        stepped.engine.close()
        try reopen(disk)
    }

    var buildsAtOnce: Bool { configuration.bulkRowsMin < 1_000 }

    var rebuilds: UInt64 { stepped.rebuilds }

    func describe() throws -> DescribeCollectionResponse {
        try stepped.engine.describeCollection(DescribeCollectionRequest(scope: Self.scope))
    }

    func status() throws -> VectorIndexStatus { try #require(describe().vectors.first) }

    @discardableResult
    func change(_ indexing: VectorIndexing) throws -> CollectionDescription {
        try stepped.awaited { done in
            stepped.engine.rebuild(
                RebuildRequest(scope: Self.scope, vectors: ["v": indexing]), completion: done)
        }.get()
    }

    private static func vector(_ id: Int, version: Int) -> [Float] {
        var centre = Dice(seed: UInt64(id &* 7 % 40))
        var dice = Dice(seed: UInt64(id) << 20 | UInt64(version))
        return (0..<dimension).map { _ in
            Float(centre.fraction() - 0.5) + Float(dice.fraction() - 0.5) * 0.6
        }
    }

    mutating func write(_ ids: some Swift.Sequence<Int>) throws {
        version += 1
        var mutations: [Mutation] = []
        for id in ids {
            var document = Document(id: .number(UInt64(id)))
            document.vectors["v"] = Self.vector(id, version: version)
            documents[id] = document
            mutations.append(.upsert(document))
        }
        try stepped.write(mutations, to: Self.scope, creating: schema)
    }

    /// Something happens, and an answer is right.
    mutating func step() throws {
        for _ in 0..<(1 + dice.below(4)) { stepped.scheduler.step() }
        switch dice.below(10) {
        case ..<3:
            let first = dice.below(1_500)
            try write(first..<(first + 1 + dice.below(4)))
        case 3:
            let gone = (0..<3).map { _ in dice.below(1_200) }.filter { documents[$0] != nil }
            for id in gone { documents[id] = nil }
            try stepped.write(
                Set(gone).sorted().map { .remove(.number(UInt64($0))) }, to: Self.scope)
        case 4 where dice.chance(20): try stepped.snapshot()
        case ..<7: try check(queries: 1)
        default: break
        }
    }

    func request(_ query: Int) -> SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        request.limit = 10
        request.candidates = 10
        request.vector = VectorQuery(field: "v", vector: Self.vector(query * 37, version: 1_000))
        return request
    }

    private func best(_ query: [Float]) -> [(id: DocumentID, score: Double)] {
        func cosine(_ row: [Float]) -> Double {
            var (dot, own, other) = (0.0, 0.0, 0.0)
            for (a, b) in zip(query, row) {
                dot += Double(a) * Double(b)
                own += Double(a) * Double(a)
                other += Double(b) * Double(b)
            }
            return dot / (own * other).squareRoot()
        }
        let scored = documents.values.map { (id: $0.id, score: cosine($0.vectors["v"] ?? [])) }
        return Array(scored.sorted { $0.score > $1.score }.prefix(10))
    }

    /// Exact answers are those of brute force, look-ups give the floats back.
    mutating func check(queries: Int) throws {
        for _ in 0..<queries {
            var request = request(dice.below(10_000))
            request.exact = true
            let hits = try stepped.search(request).hits
            let best = best(request.vector?.vector ?? [])
            try #require(hits.count == best.count)
            for (hit, wanted) in zip(hits, best) {
                try #require(abs(hit.score - wanted.score) < 1e-6, "\(hits), \(best)")
            }
        }
        let id = dice.below(1_500)
        let found = try stepped.engine.lookup(
            LookupRequest(scope: Self.scope, ids: [.number(UInt64(id))]),
            cancellation: Cancellation())
        try #require(found.results.first?.document == documents[id])
    }

    /// Of a hundred questions that say nothing about how far to look.
    func recall() throws -> Double {
        var found = 0
        for query in 0..<100 {
            let request = request(query)
            let best = best(request.vector?.vector ?? []).map(\.id)
            found += try stepped.search(request).hits.count { best.contains($0.id) }
        }
        return Double(found) / 1_000
    }
}
