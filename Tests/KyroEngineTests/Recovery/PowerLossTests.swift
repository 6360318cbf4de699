// Power that goes while callers are writing, and what weaker sync policies keep.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct PowerLossTests {
    static let scope = Scope(namespace: "power")

    /// Document i of batch b has the id 3b + i: whole batches are there or are not.
    private func batch(_ number: UInt64) -> [DecodedMutation] {
        (0..<3 as Range<UInt64>).map { part in
            var document = Document(id: .number(3 * number + part))
            document.texts["t"] = "batch\(number) part\(part)"
            document.metadata["batch"] = .int64(Int64(number))
            return .success(.upsert(document))
        }
    }

    /// Four callers write without pause; the power is cut again and again behind their backs.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func cutsAmidWritesLoseNothingAcknowledgedAndSplitNoBatch(seed: UInt64) throws {
        let disk = MemoryFileSystem()
        let test = try TestEngine(disk, EngineSettings(logSegmentBytes: 4_096))
        try test.create(Self.scope)
        let ledger = Locked<Set<UInt64>>([])
        let stop = Cancellation()
        let progress = Gate()
        let callers = (0..<4 as Range<UInt64>).map { caller in
            KyroThread(name: "caller-\(caller)") { [self] in
                var number = caller
                while !stop.isCancelled {
                    let current = number
                    let result = awaited { done in
                        test.engine.write(
                            WriteRequest(scope: Self.scope, mutations: batch(current)),
                            byteCount: 300, completion: done)
                    }
                    if case .success(let response) = result,
                        !response.outcomes.contains(where: { !$0.isApplied })
                    {
                        ledger.withLock { _ = $0.insert(current) }
                    }
                    progress.open()
                    number += 4
                }
            }
        }
        var images: [(Set<UInt64>, MemoryFileSystem)] = []
        let random = SeededRandomSource(seed: seed)
        for index in 0..<12 {
            for _ in 0..<(20 + index) { progress.wait() }
            if index == 5 { try test.snapshot() }
            // The ledger first: what is in it was acknowledged before the cut.
            let acknowledged = ledger.withLock { $0 }
            images.append((acknowledged, index % 3 == 2 ? disk.copy() : disk.afterPowerCut(random)))
        }
        stop.cancel()
        callers.forEach { $0.join() }
        test.close()
        for (index, (acknowledged, image)) in images.enumerated() {
            let after = try TestEngine(image, EngineSettings(logSegmentBytes: 4_096))
            defer { after.close() }
            let status = after.engine.status().shards[0]
            try #require(status.state == .serving, "\(status.problem), seed \(seed), cut \(index)")
            var parts: [UInt64: Int] = [:]
            for document in try after.scan(Self.scope) {
                guard case .number(let id) = document.id else { continue }
                parts[id / 3, default: 0] += 1
            }
            #expect(parts.values.allSatisfy { $0 == 3 }, "seed \(seed), cut \(index)")
            let lost = acknowledged.subtracting(parts.keys)
            #expect(lost.isEmpty, "\(lost), seed \(seed), cut \(index)")
        }
    }

    /// Without a sync a kill loses nothing, and power loss loses the end and not the middle.
    @Test(arguments: [Durability.never, .interval(millis: 1_000)])
    func weakerPoliciesLoseTheEndAlone(policy: Durability) throws {
        let disk = MemoryFileSystem()
        let settings = EngineSettings(fsync: policy, logSegmentBytes: 4_096)
        let test = try TestEngine(disk, settings)
        try test.create(Self.scope)
        let count = 60 as UInt64
        for number in 0..<count {
            let mutations = try batch(number).map { try $0.get() }
            try test.write(mutations, to: Self.scope)
            if number == 20 {
                _ = try awaited { done in test.engine.flush(completion: done) }.get()
            }
        }
        let (killed, cut) = (disk.copy(), disk.afterPowerCut(SeededRandomSource(seed: 9)))
        test.close()
        for (image, atLeast) in [(killed, count), (cut, 21), (disk, count)] {
            let after = try TestEngine(image, settings)
            defer { after.close() }
            #expect(after.engine.status().shards[0].state == .serving)
            let ids = try after.scan(Self.scope).map(\.id)
            #expect(ids == (0..<UInt64(ids.count)).map { .number($0) })
            #expect(ids.count % 3 == 0 && ids.count >= 3 * Int(atLeast), "\(ids.count)")
        }
    }

    /// A clean stop leaves nothing to replay behind a snapshot, and no graph row to insert.
    @Test func aRestartBehindASnapshotReplaysTheTailAlone() throws {
        let disk = MemoryFileSystem()
        let test = try TestEngine(disk)
        try test.create(Self.scope)
        for number in 0..<10 as Range<UInt64> {
            try test.write(try batch(number).map { try $0.get() }, to: Self.scope)
        }
        try test.snapshot()
        try test.write(try batch(10).map { try $0.get() }, to: Self.scope)
        let seq = test.engine.status().seq
        test.close()
        let after = try TestEngine(disk)
        defer { after.close() }
        let shard = after.engine.status().shards[0]
        #expect(shard.replayedRecords == 3)
        #expect(shard.documents == 33)
        #expect(after.engine.status().seq == seq)
    }
}
