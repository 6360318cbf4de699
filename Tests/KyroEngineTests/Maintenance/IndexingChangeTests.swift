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
        var life = try VectorLife.changing(seed: seed, shardCount: 1 + Int(seed % 2))
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
            try life.checkAll(queries: 20)
            #expect(try life.recall() > 0.97, "seed \(seed)")
        }
        #expect(life.stepped.rebuilds >= 4 && turns >= 4, "\(turns) turns")
        life.stepped.engine.close()
    }

    /// Killed after every so many turns of the engine's processes, with and without power loss.
    @Test(
        "A crash at any step is followed by a start that carries the change out",
        arguments: 0..<scaled(40))
    func everyStepCanBeTheLast(number: Int) throws {
        var life = try VectorLife.changing(seed: UInt64(number), shardCount: 1 + number % 2)
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
        try life.checkAll(queries: 3)
        life.stepped.scheduler.settle()
        let status = try life.status()
        #expect(status.kind == .graph && status.rebuildRowsTotal == 0, "\(number): \(status)")
        #expect(status.indexedRows == status.rows, "\(number): \(status)")
        try life.checkAll(queries: 10)
        // What is done is not done again.
        try life.stepped.snapshot()
        try life.restart()
        life.stepped.scheduler.settle()
        #expect(life.stepped.rebuilds == 0, "\(number)")
        #expect(try life.status().kind == .graph)
        try life.checkAll(queries: 3)
        life.stepped.engine.close()
    }

    @Test("A second change while one is under way takes its place", arguments: 0..<scaled(12))
    func theLastOneCounts(number: Int) throws {
        var life = try VectorLife.changing(seed: UInt64(number), shardCount: 2)
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
        var fresh = try VectorLife.changing(
            seed: UInt64(number), shardCount: 2, indexing: Self.dense)
        try fresh.write(0..<1_200)
        fresh.stepped.scheduler.settle()
        let bytes = try fresh.status().linkBytes
        #expect(status.linkBytes < bytes * 3 / 2, "\(status.linkBytes), \(bytes) if made so")
        fresh.stepped.engine.close()
        try life.checkAll(queries: 10)
        life.stepped.engine.close()
    }

    @Test func whatOnlySearchesDoByDefaultTakesNoRebuild() throws {
        var life = try VectorLife.changing(seed: 1, shardCount: 1, indexing: Self.dense)
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
        #expect(life.stepped.rebuilds == 0)
        try life.restart()
        #expect(try scored() > narrow * 3 / 2)
        try life.write(4_000..<4_200)
        life.stepped.scheduler.settle()
        #expect(try life.status().indexedRows == 4_200)
        try life.checkAll(queries: 10)
        life.stepped.engine.close()
    }

    @Test func theSameOptionsAgainChangeNothing() throws {
        var life = try VectorLife.changing(seed: 2, shardCount: 1, indexing: Self.dense)
        try life.write(0..<50)
        #expect(try life.change(Self.dense).schemaVersion == 1)
        life.stepped.scheduler.settle()
        #expect(life.stepped.rebuilds == 0)
        life.stepped.engine.close()
    }

    @Test func whatCannotBeIsRefusedAndNothingChanges() throws {
        var life = try VectorLife.changing(seed: 3, shardCount: 1)
        try life.write(0..<10)
        func refusal(
            _ vectors: FieldMap<VectorIndexing>, _ scope: Scope = VectorLife.scope
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
                DropCollectionRequest(scope: VectorLife.scope), completion: done)
        }.get()
        #expect(refusal(["v": Self.dense])?.reason == notFound)
        life.stepped.engine.close()
    }

    @Test func aCollectionThatIsDroppedMeanwhileIsLeftAlone() throws {
        for turns in [0, 5, 20, 60] {
            var life = try VectorLife.changing(seed: UInt64(turns), shardCount: 1)
            try life.write(0..<1_200)
            try life.change(Self.dense)
            for _ in 0..<turns { life.stepped.scheduler.step() }
            let engine = life.stepped.engine
            _ = try life.stepped.awaited { done in
                engine.dropCollection(
                    DropCollectionRequest(scope: VectorLife.scope), completion: done)
            }.get()
            life.stepped.scheduler.settle()
            #expect(throws: KyroError.self) { try life.describe() }
            engine.close()
        }
    }
}

extension VectorLife {
    fileprivate static func changing(
        seed: UInt64, shardCount: Int, indexing: VectorIndexing = .default
    ) throws -> VectorLife {
        try VectorLife(
            seed: seed, indexing: indexing, dimension: 12, centres: 40,
            clock: ManualClock(nanos: 1, wallMillis: 1_000_000)
        ) {
            $0.shardCount = shardCount
            $0.logSegmentBytes = 1 << 20
            $0.bulkRowsMin = seed % 3 == 0 ? 300 : 1 << 20
        }
    }

    fileprivate mutating func reopen(_ left: MemoryFileSystem) throws {
        disk = left
        try open()
    }

    fileprivate var buildsAtOnce: Bool { configuration.bulkRowsMin < 1_000 }

    fileprivate func describe() throws -> DescribeCollectionResponse {
        try stepped.engine.describeCollection(DescribeCollectionRequest(scope: Self.scope))
    }

    fileprivate func status() throws -> VectorIndexStatus {
        try #require(describe().vectors.first)
    }

    @discardableResult
    fileprivate func change(_ indexing: VectorIndexing) throws -> CollectionDescription {
        try stepped.awaited { done in
            stepped.engine.rebuild(
                RebuildRequest(scope: Self.scope, vectors: ["v": indexing]), completion: done)
        }.get()
    }

    /// Something happens, and an answer is right.
    fileprivate mutating func step() throws {
        for _ in 0..<(1 + dice.below(4)) { stepped.scheduler.step() }
        switch dice.below(10) {
        case ..<3:
            let first = dice.below(1_500)
            try write(first..<(first + 1 + dice.below(4)))
        case 3:
            let gone = (0..<3).map { _ in dice.below(1_200) }.filter { documents[$0] != nil }
            try remove(Set(gone).sorted())
        case 4 where dice.chance(20): try stepped.snapshot()
        case ..<7: try checkAll(queries: 1)
        default: break
        }
    }

    /// Exact answers are those of brute force, look-ups give the floats back.
    fileprivate mutating func checkAll(queries: Int) throws {
        try check(queries: queries)
        let id = dice.below(1_500)
        let found = try stepped.engine.lookup(
            LookupRequest(scope: Self.scope, ids: [.number(UInt64(id))]),
            cancellation: Cancellation())
        try #require(found.results.first?.document == documents[id])
    }
}
