// Fields whose rows stay in the snapshot: less memory, the same answers, and errors where the disk
// refuses.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct DiskVectorsTests {
    /// A collection with one field, and the same rows in a collection that keeps them in memory.
    private struct Bed {
        static let dimension = 768
        static let disk = Scope(namespace: "disk")
        static let memory = Scope(namespace: "memory")
        static let rowBytes = dimension * 4

        let files = MemoryFileSystem()
        /// Reads of snapshots fail while it is set.
        let isRefusing = Locked(false)
        var settings = EngineSettings()
        var vectors: [[Float]] = []
        var test: TestEngine
        private var dice = Dice(seed: 51)

        init(_ scopes: [Scope] = [disk, memory], rerank: VectorRerank = .f32) throws {
            let isRefusing = isRefusing
            let faulty = FaultyFileSystem(files) { event, _ in
                event.operation == .read && event.path.contains("/snapshot-")
                    && isRefusing.withLock { $0 } ? .fail(.inputOutput) : nil
            }
            test = try TestEngine(faulty, settings)
            for scope in scopes {
                var schema = Schema()
                let storage: VectorStorage = scope == Self.disk ? .disk : .memory
                schema.vectors["v"] = VectorField(
                    dimension: Self.dimension,
                    indexing: VectorIndexing(rerank: rerank, storage: storage))
                try test.create(scope, schema)
            }
            self.scopes = scopes
        }

        private let scopes: [Scope]

        mutating func write(_ count: Int) throws {
            for _ in 0..<count {
                vectors.append((0..<Self.dimension).map { _ in Float(dice.fraction() - 0.5) })
            }
            for scope in scopes {
                for first in stride(from: vectors.count - count, to: vectors.count, by: 100) {
                    let ids = first..<min(first + 100, vectors.count)
                    try test.write(
                        ids.map { id in
                            var document = Document(id: .number(UInt64(id)))
                            document.vectors["v"] = vectors[id]
                            return .upsert(document)
                        }, to: scope)
                }
            }
        }

        var residentBytes: Int { Int(test.engine.status().shards[0].residentBytes) }

        func search(_ scope: Scope, _ id: Int, exact: Bool = false) throws -> [Hit] {
            var request = SearchRequest(scope: scope)
            request.vector = VectorQuery(vector: vectors[id])
            request.limit = 10
            request.candidates = 10
            request.exact = exact
            return try test.search(request).hits
        }

        func expectSame(_ what: Comment) throws {
            for id in stride(from: 0, to: vectors.count, by: vectors.count / 20) {
                #expect(try search(Self.disk, id).first?.id == .number(UInt64(id)), what)
                let found = try search(Self.disk, id, exact: true)
                let expected = try search(Self.memory, id, exact: true)
                #expect(found.map(\.id) == expected.map(\.id), what)
                #expect(found.map(\.score) == expected.map(\.score), what)
                let document = try test.lookup([.number(UInt64(id))], in: Self.disk)[0]
                #expect(document?.vectors["v"] == vectors[id], what)
            }
        }
    }

    @Test("Memory of rows goes with the snapshot that has them, and answers stay")
    func memory() throws {
        var bed = try Bed()
        defer { bed.test.close() }
        let empty = bed.residentBytes
        try bed.write(2_048)
        let raw = 2_048 * Bed.rowBytes
        let before = bed.residentBytes
        #expect(before > empty + 2 * raw)
        try bed.expectSame("before a snapshot")
        try bed.test.snapshot()
        let after = bed.residentBytes
        print("RESULT rows on disk: \(before - empty) bytes before, \(after - empty) behind")
        #expect(before - after > raw * 99 / 100)
        try bed.expectSame("behind a snapshot")
        try bed.write(1_024)
        try bed.expectSame("with a tail")
        let tail = bed.residentBytes
        try bed.test.snapshot()
        // The graph may have grown meanwhile.
        #expect(tail - bed.residentBytes > 768 * Bed.rowBytes)
        try bed.expectSame("behind the next snapshot")
    }

    @Test("A disk that refuses is an error, and no answer; where it gives again, so do searches")
    func refusal() throws {
        var bed = try Bed([Bed.disk])
        defer { bed.test.close() }
        try bed.write(600)
        try bed.test.snapshot()
        let expected = try bed.search(Bed.disk, 7)
        bed.isRefusing.withLock { $0 = true }
        for exact in [true, false] {
            let error = #expect(throws: KyroError.self) {
                try bed.search(Bed.disk, 7, exact: exact)
            }
            #expect(error?.code == .dataLoss)
            #expect(error?.message.contains("snapshot-") == true, "\(error?.message ?? "")")
        }
        #expect(throws: KyroError.self) { try bed.test.lookup([.number(7)], in: Bed.disk) }
        #expect(throws: KyroError.self) { try bed.test.scan(Bed.disk) }
        #expect(throws: KyroError.self) {
            try bed.write(1)
            try bed.test.snapshot()
        }
        let damages = bed.test.engine.status().shards[0].damages
        #expect(damages.count >= 1 && !damages.contains { $0.isHealed })
        #expect(bed.test.notices.withLock { $0 }.contains { $0.contains("is damaged at offset") })
        bed.isRefusing.withLock { $0 = false }
        #expect(try bed.search(Bed.disk, 7).map(\.id) == expected.map(\.id))
        try bed.test.snapshot()
        #expect(try bed.test.scan(Bed.disk).count == 601)
    }

    @Test("A flipped bit is an error of those who need the row; the snapshot before heals it")
    func rot() throws {
        var bed = try Bed([Bed.disk])
        defer { bed.test.close() }
        try bed.write(400)
        try bed.test.snapshot()
        try bed.write(200)
        try bed.test.snapshot()
        let folder = "\(TestEngine.path)/shard-0000"
        let names = try bed.files.list(folder).filter { $0.hasPrefix("snapshot-") }
        #expect(names.count == 2)
        let latest = "\(folder)/\(names[1])"
        // Of row 100, and of row 500, which the older snapshot lacks.
        for id in [100, 500] {
            let needle = bed.vectors[id].prefix(4).flatMap { value in
                (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) }
            }
            let bytes = try bed.files.open(latest, .read).readAll()
            let place = try #require(
                (0..<(bytes.count - 16)).first { bytes[$0..<($0 + 16)].elementsEqual(needle) })
            try bed.files.flipBit(latest, byte: place, bit: 3)
        }
        let whole = try bed.test.lookup([.number(100), .number(99)], in: Bed.disk)
        #expect(whole.map { $0?.vectors["v"] } == [bed.vectors[100], bed.vectors[99]])
        #expect(try bed.search(Bed.disk, 100).first?.id == .number(100))
        #expect(throws: KyroError.self) { try bed.test.lookup([.number(500)], in: Bed.disk) }
        #expect(throws: KyroError.self) { try bed.search(Bed.disk, 500) }
        #expect(throws: KyroError.self) {
            try bed.write(1)
            try bed.test.snapshot()
        }
        #expect(!bed.test.engine.status().shards[0].damages.isEmpty)
        // A restart has it from the snapshot before and the log.
        bed.test.close()
        bed.test = try TestEngine(bed.files, bed.settings)
        let restored = try bed.test.lookup([.number(500)], in: Bed.disk)
        #expect(restored[0]?.vectors["v"] == bed.vectors[500])
        #expect(try bed.search(Bed.disk, 500).first?.id == .number(500))
    }

    @Test("A restart reads rows where they are", arguments: [VectorRerank.f32, .bf16])
    func restart(rerank: VectorRerank) throws {
        var bed = try Bed([Bed.disk], rerank: rerank)
        try bed.write(1_024)
        try bed.test.snapshot()
        try bed.write(64)
        let expected = try (0..<20).map { try bed.search(Bed.disk, 50 * $0) }
        let before = try bed.test.scan(Bed.disk)
        bed.test.close()
        bed.test = try TestEngine(bed.files, bed.settings)
        defer { bed.test.close() }
        let field = try bed.test.describe(Bed.disk).schema.vectors["v"]
        #expect(field?.indexing == VectorIndexing(rerank: rerank, storage: .disk))
        #expect(bed.residentBytes < 1_088 * Bed.rowBytes / 2)
        #expect(try (0..<20).map { try bed.search(Bed.disk, 50 * $0) } == expected)
        #expect(try bed.test.scan(Bed.disk) == before)
    }

    @Test("A field moves to the disk and back while it serves")
    func moves() throws {
        var bed = try Bed([Bed.memory])
        defer { bed.test.close() }
        let count = 5_600
        try bed.write(count)
        let before = bed.residentBytes
        func change(_ indexing: VectorIndexing) throws {
            let request = RebuildRequest(scope: Bed.memory, vectors: ["v": indexing])
            _ = try awaited { done in bed.test.engine.rebuild(request, completion: done) }.get()
        }
        func check() throws {
            for id in stride(from: 0, to: count, by: 400) {
                let document = try bed.test.lookup([.number(UInt64(id))], in: Bed.memory)[0]
                #expect(document?.vectors["v"] == bed.vectors[id])
                #expect(try bed.search(Bed.memory, id).first?.id == .number(UInt64(id)))
            }
        }
        try change(VectorIndexing(storage: .disk))
        let hasMoved = eventually { bed.residentBytes < before - count * Bed.rowBytes * 9 / 10 }
        #expect(hasMoved, "\(bed.residentBytes) of \(before)")
        try check()
        try change(.default)
        let isBack = eventually { bed.residentBytes > before * 9 / 10 }
        #expect(isBack, "\(bed.residentBytes) of \(before)")
        try check()
    }
}
