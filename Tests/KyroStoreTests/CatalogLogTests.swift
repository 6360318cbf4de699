// The catalog survives stops and damage as the shard logs do, and never gives an id out twice.
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct CatalogLogTests {
    private static let path = "/log/catalog.log"

    private func open(_ fileSystem: any FileSystem) throws(StoreError) -> CatalogLog {
        try CatalogLog.open(
            path: Self.path, directory: "/log", fileSystem: fileSystem,
            id: testIdentity.directory)
    }

    private func schema(_ fields: Int) -> Schema {
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 384, metric: .l2)
        schema.vectors["w"] = VectorField(
            dimension: 8,
            indexing: VectorIndexing(
                kind: .ivf, codes: .pq, rerank: .bf16, storage: .disk, lists: 65_536, probes: 300))
        schema.vectors["x"] = VectorField(
            dimension: 8,
            indexing: VectorIndexing(
                kind: .graph, codes: .none, m: 32, efConstruction: 2_048, efSearch: 10_000))
        schema.sparseVectors["s"] = SparseField()
        schema.multiVectors["m"] = MultiVectorField(dimension: 1)
        schema.multiVectors["n"] = MultiVectorField(dimension: 16_384)
        schema.texts["t"] = TextField(
            analyzer: .code, language: "german", bm25: BM25Parameters(k1: 0.9, b: 0.4))
        schema.texts["u"] = TextField(
            foldsDiacritics: true, stopWords: .list(["a", "be"]), stems: false)
        schema.texts["w"] = TextField(stopWords: .none)
        for field in 0..<fields {
            schema.metadata["m\(field)"] = ValueType.allCases[field % ValueType.allCases.count]
        }
        return schema
    }

    private func created(_ id: UInt32) -> CatalogRecord {
        .created(
            CollectionID(id), Scope(namespace: "c\(id)"), schemaVersion: 1, schema(0))
    }

    @Test("records come back in order and add up to the same state")
    func roundTrip() throws {
        let disk = try newDisk()
        let catalog = try open(disk)
        #expect(catalog.state.nextID == CollectionID(1))
        let records: [CatalogRecord] = [
            created(1), created(2),
            .created(
                CollectionID(3), Scope(namespace: "c3"), schemaVersion: 1, schema(0),
                durability: .interval(millis: 60_000)),
            .schemaChanged(CollectionID(1), schemaVersion: 2, schema(20)),
            .dropped(CollectionID(2)),
        ]
        for record in records { try catalog.append(record) }
        let again = try open(disk)
        #expect(again.load() == [.nextID(CollectionID(1))] + records)
        #expect(again.state == catalog.state)
        #expect(again.state.nextID == CollectionID(4))
        #expect(
            again.state.collections[CollectionID(3)]?.durability == .interval(millis: 60_000))
        #expect(again.state.collections[CollectionID(1)]?.schema == schema(20))
        #expect(again.state.collections[CollectionID(2)] == nil)
        #expect(again.tear == nil)
    }

    /// Versions 1 to `count` of a tuning, with every kind of leg and figure.
    private func tunings(_ count: UInt32) -> TuningHistory {
        var history = TuningHistory()
        for version in 0..<count {
            var fusion = LearnedFusion(
                legs: LegCombination(
                    vectorField: version % 2 == 0 ? "v" : nil, sparseField: "s",
                    textFields: version % 3 == 0 ? [] : ["a", "b"]),
                choice: TuningChoice.allCases[Int(version % 3)],
                fusion: Fusion(
                    method: version % 2 == 0 ? .rrf : .weighted, rrfK: version,
                    weights: LegWeights(vector: 0.25, sparse: 0, text: 0.75),
                    normalisation: version % 2 == 0 ? .minMax : .zScore),
                queryCount: 300 + version)
            fusion.figures.tuned = 0.7
            fusion.figures.text = 0.5
            fusion.folds = [
                TuningFold(queryCount: 60, figures: fusion.figures, fusion: fusion.fusion)
            ]
            fusion.reason = "held out"
            fusion.timeMillis = -5
            history.add(fusion)
        }
        return history
    }

    @Test("a tuning is as it was after a restart, and goes with its collection")
    func tuning() throws {
        let disk = try newDisk()
        let catalog = try open(disk)
        #expect(throws: StoreError.self) {
            try catalog.append(.tunings(CollectionID(1), tunings(1)))
        }
        try catalog.append(created(1))
        try catalog.append(created(2))
        var history = tunings(20)
        let isThere = history.rollBack(to: 7)
        #expect(isThere)
        try catalog.append(.tunings(CollectionID(1), tunings(3)))
        try catalog.append(.tunings(CollectionID(2), tunings(1)))
        try catalog.append(.tunings(CollectionID(1), history))
        #expect(try open(disk).state == catalog.state)
        try catalog.compact()
        let again = try open(disk)
        #expect(again.state.tunings == [CollectionID(1): history, CollectionID(2): tunings(1)])
        try again.append(.dropped(CollectionID(1)))
        #expect(again.state.tunings.keys.sorted() == [CollectionID(2)])
        #expect(try open(disk).state == again.state)
    }

    @Test("what does not follow from the state is refused and not written")
    func refused() throws {
        let disk = try newDisk()
        let catalog = try open(disk)
        try catalog.append(created(1))
        let size = catalog.diskBytes
        for record in [
            created(1), .dropped(CollectionID(2)),
            .schemaChanged(CollectionID(1), schemaVersion: 1, schema(1)),
        ] {
            #expect(throws: StoreError.self) { try catalog.append(record) }
        }
        #expect(catalog.diskBytes == size)
        #expect(try open(disk).state == catalog.state)
    }

    @Test("compaction keeps the state and the ids given out")
    func compaction() throws {
        let disk = try newDisk()
        let catalog = try open(disk)
        for id in 1...200 as ClosedRange<UInt32> {
            try catalog.append(created(id))
            if id != 7 { try catalog.append(.dropped(CollectionID(id))) }
        }
        let before = catalog.diskBytes
        let state = catalog.state
        try catalog.compact()
        #expect(catalog.diskBytes * 50 < before)
        #expect(catalog.state == state)
        #expect(catalog.state.nextID == CollectionID(201))
        try catalog.append(created(201))
        let again = try open(disk)
        #expect(again.state == catalog.state)
        #expect(again.state.collections.keys.sorted() == [CollectionID(7), CollectionID(201)])
    }

    @Test("a growing catalog is written anew by itself")
    func growth() throws {
        let disk = try newDisk()
        let catalog = try open(disk)
        try catalog.append(created(1))
        var largest: UInt64 = 0
        for version in 2...1_000 as ClosedRange<UInt32> {
            try catalog.append(
                .schemaChanged(CollectionID(1), schemaVersion: version, schema(250)))
            largest = max(largest, catalog.diskBytes)
        }
        #expect(largest < 2 << 20)
        #expect(try open(disk).state == catalog.state)
    }

    @Test("any flipped bit below the last record is damage, in it a cut tail")
    func flips() throws {
        let disk = try newDisk()
        let catalog = try open(disk)
        for id in 1...5 as ClosedRange<UInt32> { try catalog.append(created(id)) }
        let fourth = try Self.sizes(disk, id: testIdentity.directory)
        let end = Int(catalog.diskBytes)
        for byte in 0..<end {
            let harmed = disk.copy()
            try harmed.flip(Self.path, byte: byte, bits: 8)
            if byte < fourth {
                #expect(damage { () throws(StoreError) in _ = try open(harmed) } != nil)
            } else {
                let again = try open(harmed)
                #expect(again.state.collections.count == 4)
                #expect(again.tear?.offset == UInt64(fourth))
            }
        }
    }

    /// Where the fifth of five equal records begins.
    private static func sizes(_ disk: MemoryFileSystem, id: DirectoryID) throws -> Int {
        let bytes = try disk.bytes(path)
        let magic = Array("KYB2".utf8)
        let starts = stride(from: 64, to: bytes.count - 4, by: 8).filter {
            Array(bytes[$0..<($0 + 4)]) == magic
        }
        return try #require(starts.last)
    }

    @Test(
        "a failed sync stops the catalog; a power cut keeps what was acknowledged",
        arguments: 0..<30)
    func powerCuts(seed: UInt64) throws {
        let random = SeededRandomSource(seed: seed)
        var disk = try newDisk()
        _ = try open(disk)
        var known = CatalogState()
        var pending: CatalogRecord?
        for life in 0..<10 {
            let faulty = FaultyFileSystem(
                disk, stoppingAtMutation: Int(random.next() % 25))
            do throws(StoreError) {
                let catalog = try open(faulty)
                var extended = known
                if let pending { try? extended.apply(pending) }
                #expect(
                    catalog.state == known || catalog.state == extended,
                    "seed \(seed), life \(life)")
                known = catalog.state
                while true {
                    let record = created(known.nextID.raw)
                    pending = record
                    try catalog.append(record)
                    known = catalog.state
                    pending = nil
                    if random.next() % 4 == 0 { try catalog.compact() }
                }
            } catch {
                switch error {
                case .io, .stopped: break
                default: Issue.record("seed \(seed), life \(life): \(error)")
                }
            }
            disk = disk.afterPowerCut(random)
        }
    }
}
