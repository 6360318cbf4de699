// What an ingest producer may rely on when a disk fills, a server restarts, or a batch is too much.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct ProducerTests {
    private static let scope = Scope(namespace: "producers")

    private func mark(_ sequence: UInt64) -> ProducerMark {
        ProducerMark(id: "p", clientSequence: sequence)
    }

    private func upsert(_ id: UInt64, text: String = "stone") -> Mutation {
        var document = Document(id: .number(id))
        document.texts["t"] = text
        return .upsert(document)
    }

    /// Log segments take nothing while `isFull` says so.
    private func logOnDisk(thatIs isFull: Locked<Bool>) -> FaultyFileSystem {
        FaultyFileSystem(MemoryFileSystem()) { event, _ in
            let isLog = event.operation == .write && SyncOrder.isSegment(event.path)
            return isLog && isFull.withLock { $0 }
                ? .shortWrite(byteCount: 0, .noSpace) : nil
        }
    }

    /// A batch that found no room is sent again behind one that did: it must not pass for applied.
    @Test func aBatchThatFoundNoRoomKeepsItsPlace() throws {
        let isFull = Locked(false)
        let test = try TestEngine(logOnDisk(thatIs: isFull))
        defer { test.close() }
        try test.write([upsert(0)], to: Self.scope, creating: Schema(), producer: mark(1))
        isFull.withLock { $0 = true }
        let refused = try test.write([upsert(1)], to: Self.scope, producer: mark(2))
        #expect(refused.outcomes[0].error?.code == .resourceExhausted)
        isFull.withLock { $0 = false }
        let overtaking = try test.write([upsert(2)], to: Self.scope, producer: mark(3))
        #expect(overtaking.outcomes[0].error?.message.contains("batch 2") == true)
        let again = try test.write([upsert(1)], to: Self.scope, producer: mark(2))
        #expect(again.outcomes[0].isApplied)
        let next = try test.write([upsert(2)], to: Self.scope, producer: mark(3))
        #expect(next.outcomes[0].isApplied)
        #expect(try test.scan(Self.scope).map(\.id) == [.number(0), .number(1), .number(2)])
    }

    /// A producer that goes on without the batch that failed says so by opening a new stream.
    @Test func aNewStreamMayLeaveAGap() throws {
        let isFull = Locked(false)
        let test = try TestEngine(logOnDisk(thatIs: isFull))
        defer { test.close() }
        try test.write([upsert(0)], to: Self.scope, creating: Schema(), producer: mark(1))
        isFull.withLock { $0 = true }
        try test.write([upsert(1)], to: Self.scope, producer: mark(2))
        isFull.withLock { $0 = false }
        #expect(try test.openStream(Self.scope, producer: "p") == 1)
        let next = try test.write([upsert(2)], to: Self.scope, producer: mark(3))
        #expect(next.outcomes[0].isApplied)
    }

    /// Batches that touched one shard of two count in both, after a kill too.
    @Test func everyShardKnowsHowFarAProducerIsAfterARestart() throws {
        let disk = MemoryFileSystem()
        let settings = EngineSettings(shardCount: 2)
        let test = try TestEngine(disk, settings)
        for sequence in 1...9 as ClosedRange<UInt64> {
            try test.write(
                [upsert(7)], to: Self.scope, creating: Schema(), producer: mark(sequence))
        }
        let after = try TestEngine(disk.copy(), settings)
        #expect(try after.openStream(Self.scope, producer: "p") == 9)
        after.close()
        test.close()
    }

    /// Each update logs its document whole: a small batch must not become a write of gigabytes.
    @Test func updatesThatRewriteTooMuchAreRefusedOneByOne() throws {
        let test = try TestEngine(
            MemoryFileSystem(), EngineSettings(logSegmentBytes: 1 << 20))
        defer { test.close() }
        var document = Document(id: .number(1))
        // Metadata, since an index of text would read all of it again for every update.
        for field in 0..<48 {
            document.metadata["s\(field)"] = .string(
                String(repeating: "a", count: Limits.metadataStringBytesMax - 64))
        }
        try test.write([.upsert(document)], to: Self.scope, creating: Schema())
        var touch = PartialUpdate(set: Document(id: .number(1)))
        touch.set.metadata["n"] = .int64(1)
        let response = try test.write(
            Array(repeating: .update(touch), count: 60), to: Self.scope)
        let refused = response.outcomes.compactMap(\.error)
        #expect(response.outcomes[0].isApplied)
        #expect(!refused.isEmpty && refused.count < 60)
        #expect(refused.allSatisfy { $0.reason == KyroError.Reason.limitExceeded.rawValue })
        #expect(refused[0].message.contains("\(Limits.updatedBytesMax)"))
    }

    /// An answer is bounded by its bytes, not by the number of its ids.
    @Test func aLookupOfTooManyBytesIsRefused() throws {
        let test = try TestEngine(
            MemoryFileSystem(), EngineSettings(logSegmentBytes: 1 << 20))
        defer { test.close() }
        var document = Document(id: .number(1))
        document.texts["t"] = String(repeating: "a", count: Limits.textBytesMax - 64)
        try test.write([.upsert(document)], to: Self.scope, creating: Schema())
        let ids = Array(repeating: DocumentID.number(1), count: 100)
        let refusal = #expect(throws: KyroError.self) { try test.lookup(ids, in: Self.scope) }
        #expect(refusal?.reason == KyroError.Reason.messageTooLarge.rawValue)
        #expect(try test.lookup(Array(ids.prefix(3)), in: Self.scope).count == 3)
    }

    /// Folding triples this character; the term is larger than the text it came from.
    @Test func aWordThatGrowsByFoldingSurvivesASnapshot() throws {
        let disk = MemoryFileSystem()
        let settings = EngineSettings(logSegmentBytes: 1 << 20)
        let test = try TestEngine(disk, settings)
        let word = String(repeating: "\u{390}", count: 200_000)
        try test.write([upsert(1, text: word)], to: Self.scope, creating: Schema())
        try test.snapshot()
        test.close()
        let after = try TestEngine(disk, settings)
        defer { after.close() }
        #expect(after.engine.status().shards[0].state == .serving)
        #expect(try after.lookup([.number(1)], in: Self.scope)[0]?.texts["t"] == word)
    }
}
