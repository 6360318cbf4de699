// Snapshots cut at every byte and flipped at every bit, through the engine: the same answers, or a
// refusal that names the files. `KYRODB_ALL_FLIPS=1` tries all of them, otherwise a sample.
import Foundation
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct SnapshotDamageTests {
    private static let triesAll = ProcessInfo.processInfo.environment["KYRODB_ALL_FLIPS"] != nil
    private static let sample = scaled(400)

    @Test("whatever a flipped bit hits in the latest snapshot, every answer stays the same")
    func flips() throws {
        let life = try SnapshotLife(seed: 71)
        let bytes = try life.bytes(life.latest)
        var told: [String] = []
        for bit in Self.chosen(of: bytes.count * 8, seed: 72) {
            let disk = life.disk.copy()
            try disk.damage(life.path(life.latest)) { $0[bit / 8] ^= 1 << UInt8(bit % 8) }
            told += try life.expectSame(disk, "bit \(bit)")
        }
        // Each kind of section was met, and each was told; a smaller sample may miss one.
        guard Self.triesAll || Self.sample >= 400 else { return }
        for words in [
            "the one before it", "section metadata-", "section sparse-", "section text-",
            "section graph-",
        ] {
            #expect(told.contains { $0.contains(words) }, "\(words)")
        }
    }

    @Test("a latest snapshot that was cut anywhere costs nothing but the way back")
    func cuts() throws {
        let life = try SnapshotLife(seed: 73)
        for count in Self.chosen(of: try life.bytes(life.latest).count, seed: 74) {
            let disk = life.disk.copy()
            try disk.damage(life.path(life.latest)) { $0.removeSubrange(count...) }
            let told = try life.expectSame(disk, "\(count) bytes")
            #expect(told.contains { $0.contains("the one before it") }, "\(count) bytes")
        }
    }

    @Test("with both snapshots damaged the shard answers the same or stops and names both")
    func bothDamaged() throws {
        let life = try SnapshotLife(seed: 75)
        let count = min(try life.bytes(life.latest).count, try life.bytes(life.previous).count)
        var stops = 0
        for bit in Self.chosen(of: count * 8, seed: 76) {
            let disk = life.disk.copy()
            for name in [life.latest, life.previous] {
                try disk.damage(life.path(name)) { $0[bit / 8] ^= 1 << UInt8(bit % 8) }
            }
            let test = try TestEngine(disk, life.settings)
            defer { test.close() }
            let shard = test.engine.status().shards[0]
            if shard.state == .stopped {
                stops += 1
                #expect(shard.problem.contains(life.latest), "bit \(bit): \(shard.problem)")
                #expect(shard.problem.contains(life.previous), "bit \(bit): \(shard.problem)")
                #expect(throws: KyroError.self) { try test.scan(SnapshotLife.scope) }
            } else {
                try life.compare(test, "bit \(bit)")
            }
        }
        #expect(stops > 0)
    }

    @Test("a damaged snapshot without one before it is made up for by the log")
    func onlySnapshot() throws {
        let life = try SnapshotLife(seed: 77, snapshots: 1)
        for bit in Self.chosen(of: try life.bytes(life.latest).count * 8, seed: 78).prefix(60) {
            let disk = life.disk.copy()
            try disk.damage(life.path(life.latest)) { $0[bit / 8] ^= 1 << UInt8(bit % 8) }
            _ = try life.expectSame(disk, "bit \(bit)")
        }
    }

    @Test("after a way back the next snapshot keeps the good one and drops the damaged one")
    func nextSnapshot() throws {
        let life = try SnapshotLife(seed: 79)
        let disk = life.disk.copy()
        try disk.damage(life.path(life.latest)) { $0[70] ^= 1 }
        let test = try TestEngine(disk, life.settings)
        try test.snapshot()
        test.close()
        let names = try SnapshotFiles.list(directory: SnapshotLife.folder, fileSystem: disk)
        #expect(names.count == 2 && names.contains(life.previous), "\(names)")
        // The new one is used without a word, and with it damaged the old one still is.
        #expect(try life.expectSame(disk.copy(), "the new snapshot") == [])
        let newest = try #require(names.last)
        try disk.damage(life.path(newest)) { $0[70] ^= 1 }
        _ = try life.expectSame(disk, "the old snapshot")
    }

    @Test("damage to the log below a snapshot that cannot be used is not passed over")
    func damagedLogBehind() throws {
        let life = try SnapshotLife(seed: 81)
        let disk = life.disk.copy()
        try disk.damage(life.path(life.latest)) { $0[70] ^= 1 }
        // Everything of the log is lost but its first segment's beginning.
        for name in try disk.list(SnapshotLife.folder) where name.hasPrefix("log-") {
            try disk.damage("\(SnapshotLife.folder)/\(name)") { bytes in
                for i in 4_000..<bytes.count { bytes[i] = 0 }
            }
        }
        let test = try TestEngine(disk, life.settings)
        defer { test.close() }
        #expect(test.engine.status().shards[0].state == .stopped)
    }

    @Test("a damaged graph is scanned around, grown anew while serving, and written down again")
    func damagedGraph() throws {
        let disk = MemoryFileSystem()
        let settings = EngineSettings(logSegmentBytes: 1 << 20)
        let count = 4_400
        var dice = Dice(seed: 83)
        let vectors = (0..<count).map { _ in (0..<4).map { _ in Float(dice.fraction() - 0.5) } }
        let scope = SnapshotLife.scope
        func answers(_ test: TestEngine) throws -> [[DocumentID]] {
            try vectors.prefix(40).map { vector in
                var request = SearchRequest(scope: scope)
                request.vector = VectorQuery(vector: vector)
                request.exact = true
                return try test.search(request).hits.map(\.id)
            }
        }
        let first = try TestEngine(disk, settings)
        for start in stride(from: 0, to: count, by: 200) {
            let mutations = (start..<(start + 200)).map { number in
                var document = Document(id: .number(UInt64(number)))
                document.vectors["v"] = vectors[number]
                return Mutation.upsert(document)
            }
            try first.write(mutations, to: scope, creating: Schema())
        }
        try waitUntilFolded(first, count)
        let expected = try answers(first)
        try first.snapshot()
        first.close()
        let name = try #require(
            SnapshotFiles.list(directory: SnapshotLife.folder, fileSystem: disk).last)
        let path = "\(SnapshotLife.folder)/\(name)"
        // The graph is written last but for the metadata, and is the larger half.
        try disk.damage(path) { $0[$0.count / 2] ^= 4 }

        let damaged = try TestEngine(disk, settings)
        #expect(damaged.notices.withLock { $0 }.contains { $0.contains("section graph-") })
        #expect(try answers(damaged) == expected)
        try waitUntilFolded(damaged, count)
        try damaged.snapshot()
        damaged.close()

        let mended = try TestEngine(disk, settings)
        defer { mended.close() }
        #expect(mended.notices.withLock { $0 } == [])
        let shard = mended.engine.status().shards[0]
        #expect(shard.graphRows == UInt64(count) && shard.graphRowsInserted == 0)
        #expect(try answers(mended) == expected)
    }

    private func waitUntilFolded(_ test: TestEngine, _ count: Int) throws {
        let isFolded = eventually {
            test.engine.status().shards[0].graphRows == UInt64(count)
        }
        #expect(isFolded, "the graph is not complete: \(test.engine.status().shards[0])")
    }

    /// Ascending; all of them, or a sample.
    private static func chosen(of count: Int, seed: UInt64) -> [Int] {
        if triesAll { return Array(0..<count) }
        var dice = Dice(seed: seed)
        return (0..<sample).map { _ in dice.below(count) }.sorted()
    }
}

/// A shard with two snapshots and a tail, closed, and what it answered.
private struct SnapshotLife {
    static let scope = Scope(namespace: "damage")
    static let folder = "\(TestEngine.path)/shard-0000"

    let disk = MemoryFileSystem()
    let settings: EngineSettings
    let latest: String
    private(set) var previous = ""
    private let documents: [Document]
    private let questions: [SearchRequest]
    private let answers: [[Hit]]

    init(seed: UInt64, snapshots: Int = 2) throws {
        var settings = EngineSettings()
        settings.logSegmentBytes = 16_384
        self.settings = settings
        var world = World(seed: seed)
        world.idsMax = 30
        for _ in 0..<3 { world.learnField() }
        let test = try TestEngine(disk, settings)
        for _ in 0..<snapshots {
            try test.write(
                (0..<25).map { _ in world.mutation().0 }, to: Self.scope, creating: World.schema)
            try test.snapshot()
        }
        try test.write((0..<10).map { _ in world.mutation().0 }, to: Self.scope)
        var questions: [SearchRequest] = []
        for _ in 0..<12 { questions.append(world.question(Self.scope)) }
        self.questions = questions
        documents = try test.scan(Self.scope)
        answers = try questions.map { try test.search($0).hits }
        test.close()
        let names = try SnapshotFiles.list(directory: Self.folder, fileSystem: disk)
        latest = try #require(names.last)
        if snapshots > 1 { previous = try #require(names.first) }
    }

    func path(_ name: String) -> String { "\(Self.folder)/\(name)" }
    func bytes(_ name: String) throws -> [UInt8] { try disk.open(path(name), .read).readAll() }

    /// - Returns: what the operator was told.
    func expectSame(_ disk: MemoryFileSystem, _ what: String) throws -> [String] {
        let test = try TestEngine(disk, settings)
        defer { test.close() }
        let shard = test.engine.status().shards[0]
        try #require(shard.state == .serving, "\(what): \(shard.problem)")
        try compare(test, what)
        return test.notices.withLock { $0 }
    }

    func compare(_ test: TestEngine, _ what: String) throws {
        let isSame =
            try test.scan(Self.scope) == documents
            && (try questions.map { try answer(test, $0) }) == answers
        try #require(isSame, "\(what): other answers")
    }

    /// What needs an index that is being made again is refused until it is there.
    private func answer(_ test: TestEngine, _ question: SearchRequest) throws -> [Hit] {
        var hits: [Hit]?
        _ = try eventually {
            do {
                hits = try test.search(question).hits
            } catch let error as KyroError
                where error.reason == KyroError.Reason.rebuilding.rawValue
            {
                return false
            }
            return true
        }
        return try #require(hits, "the index is still being made")
    }
}

extension MemoryFileSystem {
    fileprivate func damage(_ path: String, _ change: (inout [UInt8]) -> Void) throws {
        let file = try open(path, .readWrite)
        var bytes = try file.readAll()
        change(&bytes)
        try file.truncate(to: UInt64(bytes.count))
        try file.write(bytes, at: 0)
        try file.sync()
    }
}
