// Memory that is refused at any moment: what the log has taken is applied, what it cannot take is
// refused, deletes and reads go on.
import KyroBytes
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct OutOfMemoryTests {
    static let scope = Scope(namespace: "memory")

    private var schema: Schema {
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: 700, metric: .cosine)
        schema.texts["standard"] = TextField()
        schema.texts["code"] = TextField(analyzer: .code)
        schema.texts["raw"] = TextField(analyzer: .raw)
        return schema
    }

    /// Documents that stretch the bounds: short words, folding that makes longer, parts of code,
    /// lists, sparse vectors of new indices, large ids.
    private func document(_ id: UInt64, _ dice: inout Dice) -> Document {
        let isText = dice.below(2) == 0
        var document = Document(
            id: isText
                ? .text(String(repeating: "k", count: dice.below(400)) + "\(id)") : .number(id))
        if dice.below(2) == 0 {
            document.vectors["v"] = (0..<700).map { Float($0) + Float(id) + 1 }
        }
        let words = ["a", "ΐ", "ﬃ", "aBcD9e", "漢字", "stone", "w\(id)", "x_y"]
        let text = (0..<dice.below(300)).map { _ in
            words[dice.below(words.count)] + String(dice.below(1_000))
        }.joined(separator: dice.below(2) == 0 ? " " : "")
        for name in ["standard", "code", "raw"] where dice.below(2) == 0 {
            document.texts[name] = text
        }
        let count = dice.below(200)
        document.sparseVectors["s"] = SparseVector(
            indices: (0..<count).map { UInt32($0 * 31) + UInt32(id) * 7_919 },
            values: (0..<count).map { Float($0) + 1 })
        document.metadata["list"] = .strings((0..<dice.below(40)).map { "v\(id)-\($0)" })
        document.metadata["number"] = .int64s((0..<dice.below(40)).map { Int64($0) })
        document.metadata["flag"] = .bool(true)
        return document
    }

    private func isRefused(_ error: KyroError?) -> Bool {
        error?.reason == "OUT_OF_MEMORY" && error?.code == .resourceExhausted
            && error?.retryAfterMillis != nil
    }

    @Test func memoryRefusedAtAnyChunk() throws {
        defer { AllocationLimit.remaining = nil }
        var refusals = 0
        for chunks in 0..<scaled(140) {
            AllocationLimit.remaining = nil
            var dice = Dice(seed: UInt64(chunks))
            let disk = MemoryFileSystem()
            let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
            let engine = try TurnedEngine(disk, clock: clock) { $0.logSegmentBytes = 1 << 16 }
            // Every index exists, as small as it is.
            var first = document(1, &dice)
            first.vectors["v"] = [Float](repeating: 1, count: 700)
            for name in ["standard", "code", "raw"] { first.texts[name] = "a" }
            first.sparseVectors["s"] = SparseVector(indices: [1], values: [1])
            first.metadata["list"] = .strings(["a"])
            _ = try engine.write([.upsert(first)], to: Self.scope, creating: schema)
            var expected: [DocumentID] = [first.id]
            AllocationLimit.remaining = chunks
            var refused: Document?
            for id in 2..<200 as Range<UInt64> {
                let group = (0..<(1 + UInt64(dice.below(3)))).map {
                    document(id * 10 + $0, &dice)
                }
                let outcomes = try engine.write(group.map { .upsert($0) }, to: Self.scope)
                guard outcomes[0].isApplied else {
                    #expect(outcomes.allSatisfy { isRefused($0.error) }, "\(chunks): \(outcomes)")
                    refused = group[0]
                    break
                }
                expected += group.map(\.id)
            }
            if refused != nil { refusals += 1 }
            #expect(Set(try engine.scan(Self.scope).map(\.id)) == Set(expected), "\(chunks) chunks")
            // Deletes take none.
            let removed = expected.removeFirst()
            #expect(try engine.write([.remove(removed)], to: Self.scope)[0].isApplied)
            // With memory again, and after a second in which nobody asks for it.
            AllocationLimit.remaining = nil
            clock.advance(millis: 1_001)
            if let refused {
                #expect(try engine.write([.upsert(refused)], to: Self.scope)[0].isApplied)
                expected.append(refused.id)
            }
            engine.close()
            let after = try TurnedEngine(disk.copy())
            #expect(Set(try after.scan(Self.scope).map(\.id)) == Set(expected), "\(chunks) chunks")
            after.close()
        }
        #expect(refusals > 10, "\(refusals) refusals: the limits do not bite")
    }

    /// Replay takes what memory allows and stops with the reason, rather than with the process.
    @Test func aReplayWithoutMemoryStopsTheShard() throws {
        defer { AllocationLimit.remaining = nil }
        var dice = Dice(seed: 7)
        let disk = MemoryFileSystem()
        let engine = try TurnedEngine(disk) { $0.logSegmentBytes = 1 << 16 }
        _ = try engine.write([.upsert(document(1, &dice))], to: Self.scope, creating: schema)
        for id in 2..<200 as Range<UInt64> {
            _ = try engine.write([.upsert(document(id, &dice))], to: Self.scope)
        }
        engine.close()
        AllocationLimit.remaining = 110
        let stopped = try TurnedEngine(disk.copy())
        AllocationLimit.remaining = nil
        let status = stopped.engine.status().shards[0]
        #expect(status.state == .stopped)
        #expect(status.problem.contains("OUT_OF_MEMORY"), "\(status.problem)")
        stopped.close()
        let whole = try TurnedEngine(disk.copy())
        defer { whole.close() }
        #expect(try whole.scan(Self.scope).count == 199)
    }
}
