// A volume without room: writes wait for room, and what must be finished takes the reserve.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct FullDiskTests {
    static let scope = Scope(namespace: "full")

    private func document(_ id: UInt64) -> Mutation {
        var document = Document(id: .number(id))
        document.texts["t"] = "stone word\(id)"
        return .upsert(document)
    }

    private func settings() -> EngineSettings {
        var settings = EngineSettings(logSegmentBytes: 4_096)
        settings.reserve = ReserveSize(bytes: 16_384, bytesPerShard: 0)
        return settings
    }

    /// Writes until a write is refused; returns what was acknowledged.
    private func fill(_ test: TestEngine, from first: UInt64) throws -> [DocumentID] {
        var applied: [DocumentID] = []
        for id in first..<(first + 10_000) {
            let outcome = try test.write([document(id)], to: Self.scope).outcomes[0]
            guard outcome.isApplied else {
                #expect(outcome.error?.reason == "OUT_OF_SPACE")
                #expect(outcome.error?.code == .resourceExhausted)
                #expect(outcome.error?.retryAfterMillis != nil)
                let message = outcome.error?.message ?? ""
                #expect(message.contains("bytes are free"), "\(message)")
                #expect(message.contains("/db/shard-0000/"), "\(message)")
                return applied
            }
            applied.append(.number(id))
        }
        Issue.record("never full")
        return applied
    }

    @Test func aFullVolumeRefusesWritesAndNothingElse() throws {
        let disk = MemoryFileSystem()
        let test = try TestEngine(disk, settings())
        try test.create(Self.scope)
        #expect(test.engine.status().reserve == .held)
        disk.setCapacity(disk.usedBytes + 20_000)
        var applied = try fill(test, from: 1)
        #expect(!applied.isEmpty)
        let status = test.engine.status()
        #expect(status.shards[0].state == .serving)
        #expect(status.shards[0].problem.contains("refused for now"))
        #expect(status.diskFreeBytes.map { $0 < 4_096 } == true)
        #expect(status.reserve == .held, "writes do not touch the reserve")
        #expect(try test.scan(Self.scope).map(\.id) == applied)
        #expect(throws: KyroError.self) { try test.snapshot() }
        // Room comes back, and with it writing.
        disk.setCapacity(disk.usedBytes + 10_000)
        applied += try fill(test, from: 20_000)
        #expect(try test.scan(Self.scope).map(\.id) == applied)
        // A clean stop is one all the same.
        disk.setCapacity(disk.usedBytes)
        test.close()
        let after = try TestEngine(disk.copy(), settings())
        defer { after.close() }
        #expect(try after.scan(Self.scope).map(\.id) == applied)
        #expect(after.notices.withLock { $0 }.isEmpty, "a seal, hence no torn tail")
    }

    @Test func aSealThatNeedsAFileOfItsOwnTakesTheReserve() throws {
        for bytes in 0..<40 {
            let disk = MemoryFileSystem()
            let test = try TestEngine(disk, settings())
            try test.create(Self.scope)
            // The end of the segment falls here and there, sometimes where a seal does not fit.
            var document = Document(id: .number(1))
            document.texts["t"] = String(repeating: "x", count: 3_850 + 8 * (bytes % 40))
            disk.setCapacity(disk.usedBytes + 3 * 4_096)
            _ = try test.write([.upsert(document)], to: Self.scope)
            disk.setCapacity(disk.usedBytes)
            test.close()
            let again = disk.copy()
            again.setCapacity(nil)
            let after = try TestEngine(again, settings())
            #expect(after.engine.status().shards[0].state == .serving)
            #expect(after.notices.withLock { $0 }.isEmpty, "\(bytes)")
            after.close()
        }
    }

    @Test func aCollectionCanBeDroppedOnAFullVolume() throws {
        let disk = MemoryFileSystem()
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        var settings = settings()
        settings.clock = clock
        let test = try TestEngine(disk, settings)
        try test.write([document(1)], to: Self.scope, creating: Schema())
        disk.setCapacity(disk.usedBytes)
        #expect(throws: KyroError.self) { try test.create(Scope(namespace: "another")) }
        #expect(try test.drop(Self.scope) == 1)
        #expect(test.engine.status().reserve == .givenUp)
        #expect(throws: KyroError.self) { try test.describe(Self.scope) }
        test.close()
        let after = try TestEngine(disk.copy(), settings)
        defer { after.close() }
        #expect(throws: KyroError.self) { try after.describe(Self.scope) }
        #expect(after.engine.status().reserve == .givenUp)
    }

    @Test func theReserveIsMadeAgainAtAStartWithRoom() throws {
        let disk = MemoryFileSystem()
        var test = try TestEngine(disk, settings())
        try test.write([document(1)], to: Self.scope, creating: Schema())
        disk.setCapacity(disk.usedBytes)
        try test.drop(Self.scope)
        test.close()
        disk.setCapacity(nil)
        test = try TestEngine(disk, settings())
        defer { test.close() }
        #expect(test.engine.status().reserve == .held)
        #expect(try disk.open("/db/RESERVE", .read).size() == 16_384)
    }

    @Test func aManifestIsInstalledOnAFullVolume() throws {
        let disk = MemoryFileSystem()
        let isFull = Locked(false)
        let faulty = FaultyFileSystem(disk) { event, _ in
            guard event.path.hasSuffix("MANIFEST.new"), event.operation == .create else {
                return nil
            }
            let isDue = isFull.withLock { full in
                defer { full = false }
                return full
            }
            if isDue { disk.setCapacity(disk.usedBytes) }
            return nil
        }
        let test = try TestEngine(faulty, settings())
        try test.write((1...40).map { document($0) }, to: Self.scope, creating: Schema())
        isFull.withLock { $0 = true }
        try test.snapshot()
        #expect(test.engine.status().shards[0].snapshotSeq > .zero)
        #expect(test.engine.status().reserve == .givenUp)
        test.close()
        let after = try TestEngine(disk.copy(), settings())
        defer { after.close() }
        #expect(after.engine.status().shards[0].replayedRecords == 0)
        #expect(try after.scan(Self.scope).count == 40)
    }
}
