// What verify says of a directory, what repair saves of it, and what is never to happen: a document
// that never was, a loss that is not told, a changed original.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct RepairTests {
    static let target = "/saved"

    private func repair(_ disk: MemoryFileSystem) throws(KyroError) -> RepairReport {
        try DirectoryRepair.run(
            TestEngine.path, to: Self.target, fileSystem: disk,
            random: SeededRandomSource(seed: 3))
    }

    /// The repaired directory, served.
    private func serve(_ disk: MemoryFileSystem, _ bed: DamagedBed) throws -> TestEngine {
        try TestEngine(disk, bed.settings, path: Self.target)
    }

    @Test("a whole directory is whole, and its repair loses nothing", arguments: [0, 1, 3])
    func whole(snapshots: Int) throws {
        let bed = try DamagedBed(seed: 11, snapshots: snapshots, batches: 15)
        let report = try DirectoryVerification.run(TestEngine.path, fileSystem: bed.disk)
        #expect(report.findings == [])
        #expect(report.recordCount > 0 && report.byteCount > 1_000)
        let saved = try repair(bed.disk)
        #expect(saved.isComplete, "\(saved.losses) \(saved.doubts)")
        #expect(saved.seq >= bed.lastSeq)
        let test = try serve(bed.disk, bed)
        defer { test.close() }
        try bed.expectAll(test, "\(snapshots) snapshots")
        for scope in DamagedBed.scopes {
            #expect(
                try test.openStream(scope, producer: DamagedBed.producer) > 0,
                "resends are still known")
        }
        let response = try test.write(
            [.remove(.number(1)), .remove(.number(2))], to: DamagedBed.scopes[0])
        _ = response
        let written = try test.write(
            [.upsert(Document(id: .text("new")))], to: DamagedBed.scopes[0])
        #expect(written.seq > bed.lastSeq, "no sequence is given out twice")
    }

    @Test("a directory that is served is not touched")
    func locked() throws {
        let disk = MemoryFileSystem()
        let test = try TestEngine(disk)
        defer { test.close() }
        #expect(throws: StoreError.locked(path: TestEngine.path)) {
            try DirectoryVerification.run(TestEngine.path, fileSystem: disk)
        }
        #expect(throws: KyroError.self) { try repair(disk) }
    }

    @Test("damage in the latest snapshot is survivable, and repair loses nothing")
    func latestSnapshot() throws {
        let bed = try DamagedBed(seed: 12, shardCount: 1, snapshots: 2, batches: 15)
        let paths = try bed.paths().filter { $0.contains("/snapshot-") }
        #expect(paths.count == 2)
        let latest = try #require(paths.last)
        let random = SeededRandomSource(seed: 12)
        for _ in 0..<60 {
            let harmed = bed.disk.copy()
            let byte = Int(random.next() % UInt64(try harmed.size(latest)))
            try harmed.flipBit(latest, byte: byte, bit: Int(random.next() % 8))
            let report = try DirectoryVerification.run(TestEngine.path, fileSystem: harmed)
            #expect(report.worst == .survivable, "byte \(byte): \(report.findings)")
            #expect(report.findings.first?.path == latest)
            let saved = try repair(harmed)
            #expect(saved.isComplete, "byte \(byte): \(saved.losses) \(saved.doubts)")
            let test = try serve(harmed, bed)
            defer { test.close() }
            try bed.expectAll(test, "byte \(byte)")
        }
    }

    @Test("a damaged batch stops its shard; what lies behind it is saved, and the hole is told")
    func logHole() throws {
        let bed = try DamagedBed(seed: 13, shardCount: 1, snapshots: 1, batches: 20)
        let path = try #require(
            try bed.paths().last { $0.contains("/log-") && $0.hasSuffix("3") })
        try bed.disk.flipBit(path, byte: 1_500, bit: 3)
        let report = try DirectoryVerification.run(TestEngine.path, fileSystem: bed.disk)
        #expect(report.worst == .stopsShard)
        let finding = try #require(report.findings.first { $0.severity == .stopsShard })
        #expect(finding.path == path && finding.offset <= 1_500 && finding.offset > 64)
        #expect(finding.advice.contains("kyrodb repair"))

        let harmed = bed.disk.copy()
        let stopped = try TestEngine(harmed, bed.settings)
        let status = stopped.engine.status().shards[0]
        #expect(status.state == .stopped)
        #expect(
            status.problem.contains(path) && status.problem.contains("offset \(finding.offset)"))
        #expect(status.problem.contains("kyrodb verify"))
        #expect(status.problem.contains("kyrodb repair"))
        #expect(throws: KyroError.self) { try stopped.scan(DamagedBed.scopes[0]) }
        stopped.close()

        let saved = try repair(bed.disk)
        #expect(saved.losses.count == 1, "\(saved.losses)")
        let test = try serve(bed.disk, bed)
        defer { test.close() }
        let outdated = try bed.expectHistory(test, "a hole")
        #expect(outdated <= 20, "one batch of at most two collections' writes is missing")
    }

    @Test("with one shard stopped, lookups on the others are answered and nothing else is")
    func healthyShards() throws {
        let bed = try DamagedBed(seed: 14, shardCount: 2, snapshots: 0, batches: 10)
        let path = try #require(try bed.paths().first { $0.contains("shard-0001/log-") })
        try bed.disk.flipBit(path, byte: 200, bit: 0)
        let test = try TestEngine(bed.disk, bed.settings)
        defer { test.close() }
        #expect(test.engine.status().shards.map(\.state) == [.serving, .stopped])
        let scope = DamagedBed.scopes[0]
        var served = 0
        for document in (bed.models[scope] ?? Model()).visible(nowMillis: 1_000_000) {
            do throws(KyroError) {
                let request = LookupRequest(scope: scope, ids: [document.id])
                let found = try test.engine.lookup(request, cancellation: Cancellation())
                #expect(found.results[0].document == document)
                served += 1
            } catch {
                #expect(error.reason == KyroError.Reason.shardStopped.rawValue)
            }
        }
        #expect(served > 0 && served < bed.models[scope]?.documents.count ?? 0)
        #expect(throws: KyroError.self) { try test.scan(scope) }
        #expect(throws: KyroError.self) {
            try test.write([.remove(.number(1))], to: scope)
        }
    }

    @Test(
        "whatever is flipped, verify and repair answer, and never with a document that never was",
        arguments: 0..<UInt64(scaled(60)))
    func anything(seed: UInt64) throws {
        var bed = try DamagedBed(
            seed: 100 + seed % 4, shardCount: 1 + Int(seed % 2), snapshots: Int(seed % 3),
            batches: 10)
        let random = SeededRandomSource(seed: seed)
        let paths = try bed.paths()
        let flips = 1 + Int(random.next() % (seed % 3 == 0 ? 1 : 12))
        for _ in 0..<flips {
            let path = paths[Int(random.next() % UInt64(paths.count))]
            let size = try bed.disk.size(path)
            if size == 0 { continue }
            if random.next() % 8 == 0 {
                bed.hasCuts = true
                try bed.disk.open(path, .readWrite).truncate(to: random.next() % UInt64(size))
            } else {
                try bed.disk.flipBit(
                    path, byte: Int(random.next() % UInt64(size)), bit: Int(random.next() % 8))
            }
        }
        let what: Comment = "seed \(seed), \(flips) harms"
        let report: VerifyReport
        let saved: RepairReport
        do {
            report = try DirectoryVerification.run(TestEngine.path, fileSystem: bed.disk)
            saved = try repair(bed.disk)
        } catch {
            // A typed refusal: nothing could be said of the directory.
            return
        }
        #expect(saved.isComplete || !report.isWhole, what)
        if report.worst ?? .leftover <= .survivable,
            report.findings.allSatisfy({ $0.severity != .tear })
        {
            // The server gets over it, and repair as well.
            #expect(saved.isComplete, "\(saved.losses) \(saved.doubts), \(what)")
            let served = try TestEngine(bed.disk.copy(), bed.settings)
            defer { served.close() }
            for shard in served.engine.status().shards { #expect(shard.state == .serving, what) }
            if !bed.hasCuts { try bed.expectAll(served, what) }
        } else if report.worst ?? .leftover >= .stopsShard {
            let states = try? TestEngine(bed.disk.copy(), bed.settings)
            defer { states?.close() }
            let shards = states?.engine.status().shards ?? []
            #expect(states == nil || shards.contains { $0.state == .stopped }, what)
        }
        let test = try serve(bed.disk, bed)
        defer { test.close() }
        for shard in test.engine.status().shards { #expect(shard.state == .serving, what) }
        // A lost catalog gives names of its own, and a cut one may lack its last collections.
        let isCatalogCut = report.findings.contains {
            $0.severity == .tear && $0.path.hasSuffix("catalog.log")
        }
        guard !isCatalogCut,
            !saved.losses.contains(where: { $0.path.hasSuffix("catalog.log") })
        else { return }
        let outdated = try bed.expectHistory(test, what)
        if saved.isComplete, report.findings.allSatisfy({ $0.severity != .tear }),
            !bed.hasCuts
        {
            #expect(outdated == 0, what)
        }
    }
}
