// A collection with one vector field through writes, deletes, snapshots and restarts, and what must be
// in it.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

struct VectorLife {
    static let scope = Scope(namespace: "vectors")

    let schema: Schema
    let dimension: Int
    let centres: Int
    let clock: ManualClock
    let memory: any MemoryGauge
    let notices = Locked<[String]>([])
    var disk = MemoryFileSystem()
    var configuration = EngineConfiguration(path: "/db")
    var stepped: SteppedEngine
    var documents: [Int: Document] = [:]
    var dice: Dice
    private var version = 0

    /// - Parameter configure: of one shard with segments of 4 MiB, unless it says otherwise.
    init(
        seed: UInt64, indexing: VectorIndexing = .default, dimension: Int = 24,
        centres: Int = 100, clock: ManualClock, memory: any MemoryGauge = ManualGauge(),
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws {
        schema = Self.schema(indexing, dimension: dimension)
        self.dimension = dimension
        self.centres = centres
        self.clock = clock
        self.memory = memory
        dice = Dice(seed: seed)
        configuration.shardCount = 1
        configuration.logSegmentBytes = 4 << 20
        configure(&configuration)
        stepped = try Self.engine(seed, disk, configuration, clock, memory, notices)
    }

    private static func engine(
        _ seed: UInt64, _ disk: MemoryFileSystem, _ configuration: EngineConfiguration,
        _ clock: ManualClock, _ memory: any MemoryGauge, _ notices: Locked<[String]>
    ) throws -> SteppedEngine {
        try SteppedEngine(
            seed: seed, disk, configuration, clock: clock, memory: memory,
            notice: { text in notices.withLock { $0 = $0 + [text] } })
    }

    static func schema(_ indexing: VectorIndexing, dimension: Int = 24) -> Schema {
        var schema = Schema()
        schema.vectors["v"] = VectorField(
            dimension: dimension, metric: .cosine, indexing: indexing)
        return schema
    }

    mutating func open() throws {
        stepped = try Self.engine(dice.next(), disk, configuration, clock, memory, notices)
    }

    mutating func restart() throws {
        stepped.engine.close()
        try open()
    }

    var shard: ShardStatus { stepped.status.shards[0] }

    /// Around one of the centres.
    static func document(
        _ id: Int, version: Int, dimension: Int = 24, centres: Int = 100
    ) -> Document {
        var centre = Dice(seed: UInt64(id &* 7 % centres))
        var dice = Dice(seed: UInt64(id) << 20 | UInt64(version))
        var document = Document(id: .number(UInt64(id)))
        document.vectors["v"] = (0..<dimension).map { _ in
            Float(centre.fraction() - 0.5) + Float(dice.fraction() - 0.5) * 0.6
        }
        return document
    }

    /// In one group.
    mutating func write(_ ids: some Swift.Sequence<Int>) throws {
        version += 1
        var mutations: [Mutation] = []
        for id in ids {
            let document = Self.document(
                id, version: version, dimension: dimension, centres: centres)
            documents[id] = document
            mutations.append(.upsert(document))
        }
        try stepped.write(mutations, to: Self.scope, creating: schema)
    }

    mutating func remove(_ ids: [Int]) throws {
        for id in ids { documents[id] = nil }
        try stepped.write(ids.map { .remove(.number(UInt64($0))) }, to: Self.scope)
    }

    mutating func change() throws {
        for _ in 0..<dice.below(3) { stepped.scheduler.step() }
        switch dice.below(10) {
        case ..<4:
            let first = dice.below(6_000)
            try write(first..<(first + 1 + dice.below(4)))
        case ..<6:
            let ids = (0..<3).map { _ in dice.below(5_000) }.filter { documents[$0] != nil }
            if !ids.isEmpty { try remove(Array(Set(ids)).sorted()) }
        case 6: try stepped.snapshot()
        default: break
        }
    }

    /// Flips a bit of the latest snapshot of the first shard.
    ///
    /// - Parameter place: of the byte.
    func damageLatestSnapshot(at place: ([UInt8]) throws -> Int) throws {
        let folder = "/db/shard-0000"
        let name = try #require(SnapshotFiles.list(directory: folder, fileSystem: disk).last)
        let file = try disk.open("\(folder)/\(name)", .readWrite)
        var bytes = try file.readAll()
        bytes[try place(bytes)] ^= 4
        try file.write(bytes, at: 0)
        try file.sync()
    }

    // MARK: Questions

    func request(_ query: Int) -> SearchRequest {
        let document = Self.document(
            query * 37, version: 1_000, dimension: dimension, centres: centres)
        var request = SearchRequest(scope: Self.scope)
        request.limit = 10
        request.candidates = 10
        request.vector = VectorQuery(field: "v", vector: document.vectors["v"] ?? [])
        return request
    }

    /// The best ten by brute force over what must be there, best first.
    private func best(_ query: [Float]) -> [(id: DocumentID, score: Double)] {
        let square = Self.dot(query, query)
        var best: [(id: Int, score: Double)] = []
        for (id, document) in documents {
            let row = document.vectors["v"] ?? []
            let score = Self.dot(query, row) / (square * Self.dot(row, row)).squareRoot()
            if best.count == 10, score <= best[9].score { continue }
            best.insert((id, score), at: best.firstIndex { $0.score < score } ?? best.count)
            if best.count > 10 { best.removeLast() }
        }
        return best.map { (.number(UInt64($0.id)), $0.score) }
    }

    private static func dot(_ a: [Float], _ b: [Float]) -> Double {
        var sum = 0.0
        for i in 0..<min(a.count, b.count) { sum += Double(a[i]) * Double(b[i]) }
        return sum
    }

    /// Exact answers are those of brute force; equals may come in any order.
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
    }

    /// Against brute force, of a hundred questions.
    func recall(efSearch: UInt32 = 0) throws -> Double {
        var found = 0
        for query in 0..<100 {
            var request = request(query)
            request.vector?.efSearch = efSearch
            let best = best(request.vector?.vector ?? []).map(\.id)
            found += try stepped.search(request).hits.count { best.contains($0.id) }
        }
        return Double(found) / 1_000
    }

    func strategy() throws -> VectorStrategy? {
        var request = request(1)
        request.explain = true
        return try stepped.search(request).explain?.shards.first?.vectorStrategy
    }
}
