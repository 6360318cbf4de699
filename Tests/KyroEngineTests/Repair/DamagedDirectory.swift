// A directory with a life behind it, ways to harm it, and what may come back of it.
import KyroModel
import KyroPlatform
import KyroStore
import Testing

/// What was put into a directory: the last state, and every state that there ever was.
struct DamagedBed {
    static let scopes = ["a", "b"].map { Scope(tenant: "t", namespace: $0) }
    static let producer = "feed"

    let seed: UInt64
    let settings: EngineSettings
    var disk = MemoryFileSystem()
    var models: [Scope: Model] = [:]
    /// Every version of every document, by collection.
    var versions: [Scope: [DocumentID: [Document]]] = [:]
    var lastSeq = Sequence.zero
    var producerSequence: UInt64 = 0
    /// A file was cut: at the end of a log nothing tells what was there.
    var hasCuts = false

    /// - Parameters:
    ///   - snapshots: taken on the way.
    ///   - batches: written between two of them, and behind the last.
    init(
        seed: UInt64, shardCount: Int = 2, snapshots: Int, batches: Int, idsMax: Int = 60,
        logSegmentBytes: Int = 4_096, batchSize: Int = 6
    ) throws {
        self.seed = seed
        var settings = EngineSettings(shardCount: shardCount)
        settings.logSegmentBytes = logSegmentBytes
        self.settings = settings
        var world = World(seed: seed)
        world.idsMax = idsMax
        let test = try TestEngine(disk, settings)
        for scope in Self.scopes { try test.create(scope, World.schema) }
        let dropped = Scope(tenant: "t", namespace: "dropped")
        try test.write(
            [.upsert(world.document(world.id()))], to: dropped, creating: World.schema)
        for round in 0...snapshots {
            for _ in 0..<batches {
                for scope in Self.scopes { try write(&world, scope, test, size: batchSize) }
            }
            if round == 0 { try test.drop(dropped) }
            if round < snapshots { try test.snapshot() }
        }
        test.close()
    }

    private mutating func write(
        _ world: inout World, _ scope: Scope, _ test: TestEngine, size: Int
    ) throws {
        var model = models[scope] ?? Model()
        var batch: [Mutation] = []
        for _ in 0..<size {
            let (mutation, isValid) = world.mutation()
            guard isValid, model.apply(mutation) != .failed else { continue }
            batch.append(mutation)
            if let document = model.documents[mutation.id] {
                versions[scope, default: [:]][mutation.id, default: []].append(document)
            }
        }
        models[scope] = model
        producerSequence += 1
        let mark = ProducerMark(id: Self.producer, clientSequence: producerSequence)
        lastSeq = max(lastSeq, try test.write(batch, to: scope, producer: mark).seq)
    }

    /// Paths of all files but the lock.
    func paths() throws -> [String] { try Self.paths(disk, TestEngine.path) }

    private static func paths(_ disk: MemoryFileSystem, _ directory: String) throws -> [String] {
        var found: [String] = []
        for name in try disk.list(directory) where name != "LOCK" {
            let path = "\(directory)/\(name)"
            if name.hasPrefix("shard-") {
                found += try paths(disk, path)
            } else {
                found.append(path)
            }
        }
        return found
    }

    /// Compares what an engine holds with the models.
    func expectAll(_ test: TestEngine, _ what: Comment, nowMillis: Int64 = 1_000_000) throws {
        for (scope, model) in models {
            let expected = model.visible(nowMillis: nowMillis)
            let found = try test.scan(scope)
            #expect(found.count == expected.count, what)
            for (a, b) in zip(found, expected) { try #require(a == b, what) }
        }
    }

    /// Every document is one that there was, as it was at some time.
    ///
    /// - Returns: how many are not as they were last.
    func expectHistory(_ test: TestEngine, _ what: Comment) throws -> Int {
        var outdated = 0
        for scope in Self.scopes {
            let found = try test.scan(scope)
            let latest = models[scope]?.documents ?? [:]
            for document in found {
                try #require(
                    versions[scope]?[document.id]?.contains(document) == true,
                    "\(document.id) was never like this: \(what)")
                if latest[document.id] != document { outdated += 1 }
            }
            let ids = Set(found.map(\.id))
            for document in (models[scope] ?? Model()).visible(nowMillis: 1_000_000)
            where !ids.contains(document.id) {
                outdated += 1
            }
        }
        return outdated
    }
}

extension MemoryFileSystem {
    func flipBit(_ path: String, byte: Int, bit: Int) throws {
        let file = try open(path, .readWrite)
        let old = try file.read(at: UInt64(byte), count: 1)
        guard let first = old.first else { return }
        try file.write([first ^ (1 << UInt8(bit))], at: UInt64(byte))
    }

    func size(_ path: String) throws -> Int { Int(try open(path, .read).size()) }
}
