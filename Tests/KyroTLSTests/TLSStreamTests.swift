// Handshakes, data and what may go wrong with both, through memory.
import KyroTLS
import Testing

@Suite struct TLSStreamTests {
    @Test(
        "The handshake ends and data arrives, however the bytes are cut",
        arguments: [1, 2, 7, 61, 1_021, 16_389, 1 << 20])
    func pieces(pieceBytes: Int) throws {
        let pair = try Pair.established(pieceBytes: pieceBytes)
        #expect(pair.client.isEstablished && pair.server.isEstablished)
        #expect(pair.client.version == "TLSv1.3")
        let question = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let answer = (0..<70_001).map { UInt8(truncatingIfNeeded: $0 &* 17) }
        for round in 0..<3 {
            try pair.client.write(question, from: round)
            try pair.server.write(answer, from: round)
            let errors = pair.settle(pieceBytes: pieceBytes)
            #expect(errors.client == nil && errors.server == nil)
            #expect(pair.server.plaintext == Array(question[round...]))
            #expect(pair.client.plaintext == Array(answer[round...]))
            pair.server.plaintextTaken()
            pair.client.plaintextTaken()
        }
    }

    @Test("Eight megabytes in one write arrive")
    func large() throws {
        let pair = try Pair.established()
        let bytes = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 11) }
        try pair.server.write(bytes)
        let errors = pair.settle(pieceBytes: 65_521)
        #expect(errors.client == nil && errors.server == nil)
        #expect(pair.client.plaintext == bytes)
    }

    @Test("An empty write says nothing")
    func empty() throws {
        let pair = try Pair.established()
        try pair.client.write([])
        try pair.client.write([1, 2], from: 2)
        #expect(pair.client.ciphertextWaiting == 0)
    }

    @Test("A numeric address is found in the certificate")
    func address() throws {
        let pair = try Pair(host: "127.0.0.1")
        let errors = pair.settle(pieceBytes: 100)
        #expect(errors.client == nil && errors.server == nil)
        #expect(pair.client.isEstablished)
    }

    @Test(
        "A certificate for other hosts is refused, and the server learns it",
        arguments: ["db.example.org", "example", "127.0.0.2", "::1"])
    func otherHost(host: String) throws {
        let pair = try Pair(host: host)
        let errors = pair.settle(pieceBytes: 1 << 16)
        guard case .untrusted(let reason) = errors.client else {
            Issue.record("the client says \(String(describing: errors.client))")
            return
        }
        #expect(reason.contains("mismatch"), "\(reason)")
        guard case .broken(let told) = errors.server else {
            Issue.record("the server says \(String(describing: errors.server))")
            return
        }
        #expect(told.contains("alert"), "\(told)")
        #expect(!pair.client.isEstablished)
    }

    @Test("A certificate of an authority that is not believed is refused")
    func otherAuthority() throws {
        let pair = try Pair(authorities: "other.pem")
        let errors = pair.settle(pieceBytes: 1 << 16)
        guard case .untrusted(let reason) = errors.client else {
            Issue.record("the client says \(String(describing: errors.client))")
            return
        }
        #expect(reason.contains("self-signed"), "\(reason)")
        #expect(!pair.client.isEstablished)
        #expect(throws: TLSError.untrusted(reason: reason)) { try pair.client.receive([0]) }
    }

    @Test("What is no host name is refused before a byte is sent", arguments: [""])
    func noHost(host: String) throws {
        #expect(throws: TLSError.broken(reason: "\"\" is no host name")) {
            try Pair(host: host)
        }
    }

    @Test("close_notify ends the stream behind the data before it")
    func finish() throws {
        let pair = try Pair.established()
        try pair.client.write([1, 2, 3])
        pair.client.finish()
        _ = pair.settle(pieceBytes: 5)
        #expect(pair.server.plaintext == [1, 2, 3])
        #expect(pair.server.isPeerClosed)
        #expect(!pair.client.isPeerClosed)
    }

    @Test("A record cut short yields nothing and no error until its last byte")
    func truncated() throws {
        let pair = try Pair.established()
        try pair.client.write([UInt8](repeating: 9, count: 300))
        let record = Array(pair.client.ciphertext[pair.client.ciphertextOffset...])
        for byte in record.dropLast() {
            try pair.server.receive([byte])
            #expect(pair.server.plaintext.isEmpty)
        }
        try pair.server.receive(Array(record.suffix(1)))
        #expect(pair.server.plaintext == [UInt8](repeating: 9, count: 300))
    }
}
