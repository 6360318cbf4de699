// Backups when the disk is full, the power goes, and files rot.
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct BackupFaultTests {
    static func open(_ disk: any FileSystem) throws -> BackupRepository {
        try BackupRepository.open(BackupLife.repository, fileSystem: disk)
    }

    @Test(
        "A backup that finds no room is refused with the cause, takes back what it wrote, and the server goes on"
    )
    func fullDisk() throws {
        let disk = MemoryFileSystem()
        let isFull = Locked(false)
        let files = FaultyFileSystem(disk) { event, _ in
            guard event.path.hasPrefix("/repo/snapshot"), event.operation == .write,
                (event.offset ?? 0) > 200, isFull.withLock({ $0 })
            else { return nil }
            return .fail(.noSpace)
        }
        var life = try BackupLife(
            seed: 61, shardCount: 2, isArchiving: false, disk: disk, files: files)
        for _ in 0..<10 { try life.write() }
        isFull.withLock { $0 = true }
        let error = #expect(throws: KyroError.self) { try life.test.backup() }
        #expect(error?.code == .resourceExhausted)
        #expect(try Self.open(disk).backups.isEmpty)
        let left = try disk.list(BackupLife.repository)
        #expect(left == ["LOCK", "REPOSITORY"], "\(left)")
        try life.write()
        isFull.withLock { $0 = false }
        try life.test.backup()
        life.test.close()
        _ = try life.restore(nil, to: "/restored")
        try life.check("/restored", life.history.state(), life.context)
    }

    @Test("An archive on a full disk says so, keeps the log, and catches up when there is room")
    func fullArchive() throws {
        let disk = MemoryFileSystem()
        let isFull = Locked(false)
        let files = FaultyFileSystem(disk) { event, _ in
            guard event.path.hasPrefix("/repo/log"), event.operation == .write,
                isFull.withLock({ $0 })
            else { return nil }
            return .fail(.noSpace)
        }
        var life = try BackupLife(
            seed: 62, shardCount: 2, isArchiving: true, disk: disk, files: files)
        for _ in 0..<5 { try life.write() }
        let full = try life.test.backup()
        isFull.withLock { $0 = true }
        for _ in 0..<20 {
            try life.write()
            try life.test.snapshot()
        }
        #expect(throws: KyroError.self) { try life.test.backup(isIncremental: true) }
        let status = try #require(life.test.engine.status().backup)
        #expect(status.archiveLagBytes > 0)
        isFull.withLock { $0 = false }
        life.test.close()
        for seq in [
            full.seq.raw, (full.seq.raw + life.history.last.raw) / 2, life.history.last.raw,
        ] {
            let path = "/restored-\(seq)"
            _ = try life.restore(.seq(Sequence(seq)), to: path)
            try life.check(path, life.history.state(at: Sequence(seq)), life.context)
        }
    }

    @Test("An archive that falls too far behind lets the log go and begins anew with a full backup")
    func lagBound() throws {
        let disk = MemoryFileSystem()
        let isFull = Locked(false)
        let files = FaultyFileSystem(disk) { event, _ in
            guard event.path.hasPrefix("/repo/"), event.operation == .write,
                isFull.withLock({ $0 })
            else { return nil }
            return .fail(.noSpace)
        }
        var life = try BackupLife(
            seed: 63, shardCount: 1, isArchiving: true, disk: disk, files: files,
            archiveLagBytesMax: 8_192)
        try life.write()
        #expect(life.wait { $0.archivedSeq > .zero && $0.lastID == 1 })
        isFull.withLock { $0 = true }
        for _ in 0..<4 {
            for _ in 0..<30 { try life.write() }
            try life.test.snapshot()
        }
        #expect(
            life.wait { $0.problem.contains("--archive-lag-bytes") || $0.problem.contains("space") }
        )
        let told = { life.test.notices.withLock { $0 } }
        #expect(life.wait { _ in told().contains { $0.contains("--archive-lag-bytes") } })
        for _ in 0..<2 {
            for _ in 0..<10 { try life.write() }
            try life.test.snapshot()
        }
        isFull.withLock { $0 = false }
        #expect(life.wait { $0.lastID == 2 && $0.problem.isEmpty })
        try life.write()
        life.test.close()
        _ = try life.restore(nil, to: "/restored")
        try life.check("/restored", life.history.state(), life.context)
        #expect(try Self.open(disk).verify().findings.isEmpty)
    }

    @Test(
        "A power cut while a backup is made leaves it whole or unlisted", arguments: 0..<scaled(12))
    func powerCut(number: Int) throws {
        let seed = UInt64(700 + number)
        let disk = MemoryFileSystem()
        let random = SeededRandomSource(seed: seed)
        let left = Locked<MemoryFileSystem?>(nil)
        let countdown = Locked(Int.max)
        let files = FaultyFileSystem(disk) { event, _ in
            guard event.isMutation, event.path.hasPrefix("/repo/") else { return nil }
            let isNow = countdown.withLock { count in
                count -= 1
                return count == 0
            }
            if isNow { left.withLock { $0 = disk.afterPowerCut(random) } }
            return nil
        }
        var life = try BackupLife(
            seed: seed, shardCount: 2, isArchiving: false, disk: disk, files: files)
        for _ in 0..<6 { try life.write() }
        let first = try life.test.backup()
        for _ in 0..<3 { try life.write() }
        countdown.withLock { $0 = 1 + life.world.dice.below(18) }
        let second = try life.test.backup(isIncremental: number % 2 == 0)
        life.test.close()
        let after = left.withLock { $0 } ?? disk
        let repository = try Self.open(after)
        let ids = repository.backups.map(\.id)
        #expect(ids == [first.id] || ids == [first.id, second.id], "seed \(seed): \(ids)")
        #expect(repository.unreadable.isEmpty, "seed \(seed)")
        let findings = try repository.verify().findings
        #expect(findings.isEmpty, "seed \(seed): \(findings)")
        try repository.remove(repository.leftovers)
        #expect(repository.leftovers.isEmpty, "seed \(seed)")
    }

    @Test(
        "A flipped bit in any file of a backup is named by verify, and refused or harmless in a restore"
    )
    func bitRot() throws {
        var life = try BackupLife(seed: 81, shardCount: 2, isArchiving: true)
        for _ in 0..<20 { try life.write() }
        life.backups.append(try life.test.backup())
        for _ in 0..<20 { try life.write() }
        life.test.close()
        #expect(try Self.open(life.disk).verify().findings.isEmpty)
        var dice = Dice(seed: 82)
        for name in try life.disk.list(BackupLife.repository) where name != "LOCK" {
            let path = "\(BackupLife.repository)/\(name)"
            let disk = life.disk.copy()
            let file = try disk.open(path, .readWrite)
            var bytes = try file.readAll()
            let bit = dice.below(bytes.count * 8)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            try file.write(bytes, at: 0)
            let context: Comment = "bit \(bit) of \(name)"
            guard let repository = try? Self.open(disk) else {
                #expect(name == "REPOSITORY", context)
                continue
            }
            #expect(!(try repository.verify().findings.isEmpty), context)
            var request = RestoreRequest(to: "/rot")
            request.logSegmentBytes = 4_096
            do {
                let report = try BackupRestore(repository, request).run()
                // The file was not needed for the newest state.
                #expect(report.seq == life.history.last, context)
            } catch let error {
                #expect(!"\(error)".isEmpty, context)
                #expect((try? disk.list("/rot"))?.contains("MANIFEST") != true, context)
            }
        }
    }

    @Test("A range of the log that is missing is named, and nothing is restored")
    func missingRange() throws {
        var life = try BackupLife(seed: 91, shardCount: 1, isArchiving: false)
        for _ in 0..<5 { try life.write() }
        try life.test.backup()
        for _ in 0..<5 { try life.write() }
        try life.test.backup(isIncremental: true)
        for _ in 0..<5 { try life.write() }
        try life.test.backup(isIncremental: true)
        life.test.close()
        let names = try life.disk.list(BackupLife.repository).filter { $0.hasPrefix("log-") }
        try #require(names.count >= 2)
        let middle = names[names.count - 2]
        try life.disk.unlink("\(BackupLife.repository)/\(middle)")
        let error = #expect(throws: BackupError.self) { try life.restore(nil, to: "/gone") }
        #expect("\(try #require(error))".contains("shard 0"))
        #expect(!(try Self.open(life.disk).verify().findings.isEmpty))
        #expect((try? life.disk.list("/gone"))?.contains("MANIFEST") != true)
    }

    @Test("An increment is refused when the log was given up, and a full backup mends it")
    func gapRefused() throws {
        var life = try BackupLife(seed: 101, shardCount: 1, isArchiving: false)
        for _ in 0..<5 { try life.write() }
        let refused = #expect(throws: KyroError.self) { try life.test.backup(isIncremental: true) }
        #expect(refused?.code == .failedPrecondition)
        try life.test.backup()
        for _ in 0..<4 {
            for _ in 0..<30 { try life.write() }
            try life.test.snapshot()
        }
        let error = #expect(throws: KyroError.self) { try life.test.backup(isIncremental: true) }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.message.contains("full") == true, "\(String(describing: error))")
        try life.test.backup()
        for _ in 0..<3 { try life.write() }
        try life.test.backup(isIncremental: true)
        life.test.close()
        _ = try life.restore(nil, to: "/restored")
        try life.check("/restored", life.history.state(), life.context)
    }

    @Test("Pruning keeps whole chains, and everything that they restore")
    func prune() throws {
        var life = try BackupLife(seed: 111, shardCount: 2, isArchiving: true)
        for _ in 0..<4 {
            for _ in 0..<8 { try life.write() }
            life.backups.append(try life.test.backup())
            for _ in 0..<8 { try life.write() }
            life.backups.append(try life.test.backup(isIncremental: true))
        }
        life.test.close()
        let repository = try Self.open(life.disk)
        let fulls = repository.backups.filter { $0.kind == .full }
        let plan = try repository.prunePlan(keep: 2)
        #expect(!plan.backups.isEmpty)
        try repository.prune(plan)
        let kept = try Self.open(life.disk)
        #expect(kept.backups.filter { $0.kind == .full } == fulls.suffix(2))
        #expect(try kept.verify().findings.isEmpty)
        #expect(try kept.prunePlan(keep: 2).files.isEmpty)
        let oldest = fulls[fulls.count - 2]
        for seq in Set([oldest.baseSeq, oldest.seq, life.history.last]) {
            let path = "/restored-\(seq.raw)"
            _ = try life.restore(.seq(seq), to: path)
            try life.check(path, life.history.state(at: seq), life.context)
        }
        let before = Sequence(oldest.baseSeq.raw - 1)
        #expect(throws: BackupError.self) { try life.restore(.seq(before), to: "/before") }
    }

    @Test(
        "A directory that holds something is left alone without force, and a stranger's with it too"
    )
    func targets() throws {
        var life = try BackupLife(seed: 121, shardCount: 1, isArchiving: false)
        try life.write()
        try life.test.backup()
        life.test.close()
        _ = try life.restore(nil, to: "/once")
        #expect(throws: BackupError.self) { try life.restore(nil, to: "/once") }
        var request = RestoreRequest(to: "/once")
        request.force = true
        request.logSegmentBytes = 4_096
        let repository = try Self.open(life.disk)
        _ = try BackupRestore(repository, request).run()
        try life.check("/once", life.history.state(), life.context)
        _ = try life.disk.open("/once/photo.jpg", .createEmpty)
        #expect(throws: BackupError.self) { try BackupRestore(repository, request).run() }
        try life.check("/once", life.history.state(), life.context)
    }

    @Test("Many small ranges of the archive become few files")
    func consolidation() throws {
        var life = try BackupLife(seed: 131, shardCount: 1, isArchiving: true)
        for _ in 0..<20 { try life.write() }
        try life.test.backup()
        for _ in 0..<150 {
            try life.write()
            try life.test.backup(isIncremental: true)
        }
        life.clock.advance(millis: 100)
        life.test.close()
        let names = try life.disk.list(BackupLife.repository).filter { $0.hasPrefix("log-") }
        #expect(names.count <= BackupRepository.smallFilesMax + 1)
        #expect(try Self.open(life.disk).verify().findings.isEmpty)
        _ = try life.restore(nil, to: "/restored")
        try life.check("/restored", life.history.state(), life.context)
    }
}
