// A memory limit: who is refused above it, who goes on, and that it passes.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct MemoryBudgetTests {
    static let scope = Scope(namespace: "memory")
    private static let limit: UInt64 = 100 << 20

    private let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
    private let memory = ManualGauge()

    private func settings() -> EngineSettings {
        var settings = EngineSettings(clock: clock)
        settings.memory = memory
        settings.memoryLimitBytes = Self.limit
        return settings
    }

    private func document(_ id: UInt64) -> Mutation {
        var document = Document(id: .number(id))
        document.texts["t"] = "stone word\(id)"
        return .upsert(document)
    }

    /// Moves past the moment of the last sample.
    private func use(_ mebibytes: UInt64, addressBytesLeft: UInt64? = nil) {
        memory.set(mebibytes << 20, addressBytesLeft: addressBytesLeft)
        clock.advance(millis: 21)
    }

    @Test func documentsAreRefusedAboveTheSoftMarkAndTakenAgainBelow() throws {
        let test = try TestEngine(MemoryFileSystem(), settings())
        defer { test.close() }
        try test.write((1...3).map { document($0) }, to: Self.scope, creating: Schema())
        use(89)
        #expect(test.engine.admission == .open)
        use(90)
        #expect(test.engine.status().admission == .throttled)
        #expect(test.engine.status().memoryLimitBytes == Self.limit)
        let error = #expect(throws: KyroError.self) {
            try test.write([document(4)], to: Self.scope)
        }
        #expect(error?.reason == "OUT_OF_MEMORY" && error?.code == .resourceExhausted)
        #expect(error?.retryAfterMillis != nil)
        #expect(error?.message.contains("90 MiB") == true)
        #expect(error?.message.contains("--memory-limit is 100 MiB") == true)
        #expect(throws: KyroError.self) { try test.create(Scope(namespace: "another")) }
        // Deletes go on, alone and beside what is refused.
        #expect(try test.write([.remove(.number(1))], to: Self.scope).outcomes[0].isApplied)
        let mixed = try test.write([document(5), .remove(.number(2))], to: Self.scope)
        #expect(mixed.outcomes[0].error?.reason == "OUT_OF_MEMORY")
        #expect(mixed.outcomes[1].isApplied)
        #expect(try test.scan(Self.scope).map(\.id) == [.number(3)])
        use(50)
        #expect(try test.write([document(6)], to: Self.scope).outcomes[0].isApplied)
    }

    /// A stream's batches within its credit are taken until the limit is reached; then a refused
    /// batch counts as not sent.
    @Test func streamsAreRefusedAtTheLimitAsAWhole() throws {
        let test = try TestEngine(MemoryFileSystem(), settings())
        defer { test.close() }
        try test.create(Self.scope)
        func send(_ sequence: UInt64, _ mutations: [Mutation]) throws -> WriteResponse {
            let mark = ProducerMark(id: "p", clientSequence: sequence)
            return try test.write(mutations, to: Self.scope, producer: mark)
        }
        use(95)
        #expect(try send(1, [document(1), document(2)]).outcomes[0].isApplied)
        use(100)
        #expect(test.engine.admission == .closed)
        #expect(throws: KyroError.self) { try send(2, [document(3), .remove(.number(1))]) }
        #expect(try send(2, [.remove(.number(1))]).outcomes[0].isApplied)
        use(10)
        #expect(try send(3, [document(3)]).outcomes[0].isApplied)
        #expect(try test.openStream(Self.scope, producer: "p") == 3)
        #expect(try test.scan(Self.scope).map(\.id) == [.number(2), .number(3)])
    }

    @Test func theAddressesLeftCountToo() throws {
        let test = try TestEngine(MemoryFileSystem(), settings())
        defer { test.close() }
        use(10, addressBytesLeft: 1 << 30)
        #expect(test.engine.admission == .open)
        use(10, addressBytesLeft: 90 << 20)
        #expect(test.engine.admission == .throttled)
        use(10, addressBytesLeft: 40 << 20)
        #expect(test.engine.admission == .closed)
        let error = #expect(throws: KyroError.self) { try test.create(Self.scope) }
        #expect(error?.message.contains("ulimit -v") == true)
    }

    @Test func aShardThatDoesNotFitStopsAndSaysWhatItNeeds() throws {
        let disk = MemoryFileSystem()
        let test = try TestEngine(disk, settings())
        try test.write((1...500).map { document($0) }, to: Self.scope, creating: Schema())
        try test.snapshot()
        try test.write([document(1_000)], to: Self.scope)
        test.close()
        memory.set(Self.limit)
        let full = try TestEngine(disk.copy(), settings())
        let status = full.engine.status().shards[0]
        #expect(status.state == .stopped)
        #expect(status.problem.hasPrefix("OUT_OF_MEMORY"), "\(status.problem)")
        #expect(status.problem.contains("--memory-limit is 100 MiB"), "\(status.problem)")
        #expect(throws: KyroError.self) { try full.scan(Self.scope) }
        full.close()
        // Nothing was changed: with memory everything is there.
        memory.set(1 << 20)
        let after = try TestEngine(disk.copy(), settings())
        defer { after.close() }
        #expect(try after.scan(Self.scope).count == 501)
    }
}
