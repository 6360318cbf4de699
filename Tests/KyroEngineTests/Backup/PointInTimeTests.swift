// Any moment can be restored, exactly.
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct PointInTimeTests {
    /// The lives together restore this many moments.
    static let momentsPerLife = scaled(25)

    @Test(
        "A random sequence restores to exactly the acknowledged state at it",
        arguments: [(11, 1), (12, 3), (13, 2), (14, 5)] as [(UInt64, Int)])
    func everySequence(seed: UInt64, shardCount: Int) throws {
        var life = try BackupLife(seed: seed, shardCount: shardCount, isArchiving: true)
        try life.test.backup()
        for _ in 0..<max(30, scaled(120)) { try life.step() }
        life.test.close()
        let first = try #require(
            try BackupRepository.open(BackupLife.repository, fileSystem: life.disk).backups.first)
        let last = life.history.last
        try #require(last > first.baseSeq, life.context)
        for number in 0..<Self.momentsPerLife {
            let span = Int(last.raw - first.baseSeq.raw) + 1
            let seq = Sequence(first.baseSeq.raw + UInt64(life.world.dice.below(span)))
            let path = "/restored-\(number)"
            let context: Comment = "seed \(seed), restored to \(seq.raw) of \(last.raw)"
            let report = try life.restore(.seq(seq), to: path)
            try #require(report.seq == seq, context)
            try life.check(path, life.history.state(at: seq), context)
        }
    }

    @Test("A time restores what was logged by then", arguments: [21, 22] as [UInt64])
    func everyTime(seed: UInt64) throws {
        var life = try BackupLife(seed: seed, shardCount: 2, isArchiving: true)
        try life.test.backup()
        for _ in 0..<max(30, scaled(60)) { try life.step() }
        life.test.close()
        let first = try #require(
            try BackupRepository.open(BackupLife.repository, fileSystem: life.disk).backups.first)
        for number in 0..<scaled(10) {
            let span = Int(life.clock.wallMillis() - first.wallMillis)
            let millis = first.wallMillis + Int64(life.world.dice.below(span))
            let context: Comment = "seed \(seed), restored to \(millis) ms"
            let path = "/restored-\(number)"
            _ = try life.restore(.time(millis), to: path)
            try life.check(path, life.history.state(millis: millis), context)
        }
    }

    @Test("Without an archive, backups and the surviving log restore up to the last write")
    func survivingLog() throws {
        var life = try BackupLife(seed: 31, shardCount: 3, isArchiving: false)
        for _ in 0..<10 { try life.write() }
        life.backups.append(try life.test.backup())
        let covered = life.backups[0].seq
        for _ in 0..<10 { try life.write() }
        life.test.close()
        let beyond = Sequence(covered.raw + 2)
        let error = #expect(throws: BackupError.self) {
            try life.restore(.seq(beyond), to: "/no")
        }
        #expect(error?.kyroError.code == .failedPrecondition)
        let whole = try life.restore(nil, to: "/whole", logFrom: TestEngine.path)
        #expect(whole.seq == life.history.last)
        try life.check("/whole", life.history.state(), life.context)
        _ = try life.restore(.seq(beyond), to: "/part", logFrom: TestEngine.path)
        try life.check("/part", life.history.state(at: beyond), life.context)
        _ = try life.restore(nil, to: "/backup")
        try life.check("/backup", life.history.state(at: covered), life.context)
    }

    @Test("A restored directory goes on with higher sequences, and its files are its own")
    func lifeAfterwards() throws {
        var life = try BackupLife(seed: 41, shardCount: 2, isArchiving: true)
        try life.test.backup()
        for _ in 0..<30 { try life.write() }
        life.test.close()
        let seq = Sequence(life.history.last.raw / 2)
        let repository = try BackupRepository.open(BackupLife.repository, fileSystem: life.disk)
        let target = max(seq, try #require(repository.backups.first).baseSeq)
        _ = try life.restore(.seq(target), to: "/again")
        var settings = life.settings
        settings.path = "/again"
        // The old repository is that of another directory.
        #expect(throws: KyroError.self) { try TestEngine(life.disk, settings) }
        settings.backupsPath = "/repo-again"
        let again = try TestEngine(life.disk, settings)
        let scope = try #require(life.history.state(at: target).keys.first)
        let written = try again.write([.upsert(Document(id: .number(999)))], to: scope)
        #expect(written.seq > target)
        again.close()
    }

    @Test("A producer's batch that the moment cuts in two is taken again as a whole")
    func cutBatch() throws {
        let life = try BackupLife(seed: 51, shardCount: 1, isArchiving: true)
        let scope = BackupLife.scopes[0]
        try life.test.create(scope, World.schema)
        _ = try life.test.openStream(scope, producer: "p")
        let documents = (0..<4).map { Mutation.upsert(Document(id: .number(UInt64($0)))) }
        let base = try life.test.backup()
        let answer = try life.test.write(
            documents, to: scope, producer: ProducerMark(id: "p", clientSequence: 1))
        life.test.close()
        #expect(answer.seq.raw >= base.seq.raw + 4)
        _ = try life.restore(.seq(Sequence(answer.seq.raw - 2)), to: "/cut")
        var settings = life.settings
        settings.path = "/cut"
        settings.backupsPath = nil
        settings.isArchiving = false
        let restored = try TestEngine(life.disk, settings)
        #expect(try restored.scan(scope).count == 2)
        #expect(try restored.openStream(scope, producer: "p") == 0)
        try restored.write(
            documents, to: scope, producer: ProducerMark(id: "p", clientSequence: 1))
        #expect(try restored.scan(scope).count == 4)
        restored.close()
    }
}
