// Tokens of scans: their bytes, and what is refused.
import KyroBytes
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

@Suite struct ScanTokenTests {
    static let scope = Scope(namespace: "tokens")

    private func engine(_ disk: MemoryFileSystem) throws -> TestEngine {
        let test = try TestEngine(disk, EngineSettings(shardCount: 2))
        try test.write(
            [7, 8, 9].map { .upsert(Document(id: .number($0))) }
                + ["a", "b", "é"].map { .upsert(Document(id: .text($0))) },
            to: Self.scope, creating: Schema())
        return test
    }

    private func firstToken(_ test: TestEngine, limit: UInt64) throws -> [UInt8] {
        var request = ScanRequest(scope: Self.scope)
        request.limit = limit
        let cursor = try test.engine.scan(request, cancellation: Cancellation())
        return try #require(try cursor.next(bytesMax: 1 << 20)).resumeToken
    }

    private func resumed(_ test: TestEngine, _ token: [UInt8]) throws -> [DocumentID] {
        var request = ScanRequest(scope: Self.scope)
        request.resumeToken = token
        return try test.scan(request).map(\.id)
    }

    private func withChecksum(_ content: [UInt8]) -> [UInt8] {
        let crc = crc32c(content)
        return content + (0..<4).map { UInt8(truncatingIfNeeded: crc >> (8 * UInt32($0))) }
    }

    @Test func bytesAreThoseOfTheDrawing() throws {
        let test = try engine(MemoryFileSystem())
        defer { test.close() }
        let seq: [UInt8] = [7, 0, 0, 0, 0, 0, 0, 0]
        #expect(
            try firstToken(test, limit: 2)
                == withChecksum([1] + seq + [0, 8, 0, 0, 0, 0, 0, 0, 0]))
        #expect(try firstToken(test, limit: 6) == withChecksum([1] + seq + [1, 0xC3, 0xA9]))
    }

    @Test func aScanGoesOnBehindItsTokenAtItsSequenceAlsoAfterARestart() throws {
        let disk = MemoryFileSystem()
        let test = try engine(disk)
        let token = try firstToken(test, limit: 4)
        #expect(try resumed(test, token) == [.text("b"), .text("é")])
        try test.write(
            [
                .remove(.text("b")), .upsert(Document(id: .text("c"))),
                .upsert(Document(id: .text("é"))),
            ], to: Self.scope)
        #expect(try resumed(test, token) == [.text("b"), .text("é")])
        try test.snapshot()
        test.close()
        let after = try TestEngine(disk, EngineSettings(shardCount: 2))
        defer { after.close() }
        #expect(try resumed(after, token) == [.text("b"), .text("é")])
        #expect(try resumed(after, try firstToken(after, limit: 4)) == [.text("c"), .text("é")])
        #expect(try resumed(after, try firstToken(after, limit: 6)) == [])
    }

    @Test func everyDamagedOrCutTokenIsRefused() throws {
        let test = try engine(MemoryFileSystem())
        defer { test.close() }
        let token = try firstToken(test, limit: 5)
        var wrong = (1..<token.count).map { Array(token.prefix($0)) } + [token + [0]]
        for byte in token.indices {
            var damaged = token
            damaged[byte] ^= 0x10
            wrong.append(damaged)
        }
        let seq: [UInt8] = [7, 0, 0, 0, 0, 0, 0, 0]
        // Sound checksums over what makes no sense: version, kind, short number, bad UTF-8.
        wrong += [
            [2] + seq + [0] + seq, [1] + seq + [2] + seq, [1] + seq + [0, 1, 2],
            [1] + seq + [1, 0xFF], [1] + seq,
        ].map(withChecksum)
        for bytes in wrong {
            let error = #expect(throws: KyroError.self, "\(bytes)") { try resumed(test, bytes) }
            #expect(error?.reason == KyroError.Reason.tokenInvalid.rawValue)
            #expect(error?.field == "resume_token")
        }
    }

    @Test func aTokenOfTheFutureIsRefused() throws {
        let test = try engine(MemoryFileSystem())
        defer { test.close() }
        let token = withChecksum([1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        let error = #expect(throws: KyroError.self) { try resumed(test, token) }
        #expect(error?.message.contains("sequence 8") == true)
    }
}
