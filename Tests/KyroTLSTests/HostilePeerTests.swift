// Peers without HTTP/2, peers that are no TLS at all, damaged records, unusable files.
import KyroTLS
import Testing

@Suite struct HostilePeerTests {
    private func server() throws -> TLSStream {
        let certificates = try Certificates.shared.get()
        return TLSStream(
            serverOf: try TLSContext.server(
                certificateFile: certificates.path("server.pem"),
                privateKeyFile: certificates.path("server.key")))
    }

    /// A client's first flight whose ALPN list is replaced by bytes of the same length.
    private func hello(alpn: [UInt8]) throws -> [UInt8] {
        let pair = try Pair()
        var bytes = pair.client.ciphertext
        // Extension 16, its length, the list's length, then the list (RFC 7301 §3.1).
        let wanted: [UInt8] = [0, 16, 0, 5, 0, 3, 2, 0x68, 0x32]
        let start = try #require(
            bytes.indices.first { bytes[$0...].starts(with: wanted) }, "no ALPN in the hello")
        bytes.replaceSubrange(start..<start + wanted.count, with: alpn)
        return bytes
    }

    @Test(
        "A client without h2 gets the alert no_application_protocol",
        arguments: [
            [0, 16, 0, 5, 0, 3, 2, 0x68, 0x33],  // "h3"
            [0, 16, 0, 5, 0, 3, 1, 0x68, 0x00],  // "h" and an empty name: malformed
            [0x7a, 0x7a, 0, 5, 0, 3, 2, 0x68, 0x32],  // no ALPN, an unknown extension instead
        ] as [[UInt8]])
    func wrongProtocol(alpn: [UInt8]) throws {
        let stream = try server()
        let bytes = try hello(alpn: alpn)
        do {
            try stream.receive(bytes)
            Issue.record("the hello was taken")
        } catch {
            guard case .broken(let reason) = error else {
                Issue.record("\(error)")
                return
            }
            if alpn[6] == 2 { #expect(reason == "no application protocol", "\(reason)") }
        }
        // Alert record, fatal; 120 is no_application_protocol (RFC 7301 §3.2), 50 decode_error.
        let alert = alpn[6] == 2 ? UInt8(120) : 50
        #expect(Array(stream.ciphertext.prefix(1)) == [21])
        #expect(Array(stream.ciphertext.suffix(2)) == [2, alert])
        #expect(!stream.isEstablished)
    }

    @Test(
        "Plaintext HTTP/2, HTTP/1 and noise are refused with OpenSSL's words",
        arguments: [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\u{0}\u{1}noise…",
        ])
    func noTLS(text: String) throws {
        let stream = try server()
        do {
            try stream.receive(Array(text.utf8))
            Issue.record("\(text) was taken")
        } catch {
            #expect(!error.description.isEmpty && error.description != "unknown reason")
            #expect(throws: error) { try stream.receive([1]) }
        }
    }

    @Test("A client hello cut anywhere waits for the rest")
    func truncatedHello() throws {
        let hello = try Pair().client.ciphertext
        for count in 0..<hello.count {
            let stream = try server()
            try stream.receive(hello, count: count)
            #expect(!stream.isEstablished)
            #expect(stream.ciphertextWaiting == 0)
        }
    }

    @Test("A flipped bit anywhere in a record ends the stream, and no plaintext comes out")
    func flipped() throws {
        let length = try record(of: try Pair.established()).count
        for position in stride(from: 0, to: length, by: 3) {
            let pair = try Pair.established()
            var bytes = try record(of: pair)
            bytes[position] ^= 1 << UInt8(position % 8)
            do {
                try pair.server.receive(bytes)
                // A greater length in the header: the rest of the record is awaited.
                #expect(position == 3 || position == 4, "position \(position)")
            } catch {
                #expect(pair.server.ciphertextWaiting > 0, "no alert, position \(position)")
            }
            #expect(pair.server.plaintext.isEmpty, "position \(position)")
        }
    }

    private func record(of pair: Pair) throws -> [UInt8] {
        try pair.client.write([UInt8](repeating: 5, count: 40))
        return Array(pair.client.ciphertext[pair.client.ciphertextOffset...])
    }

    @Test(
        "Random bytes behind a good handshake never trap",
        arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func garbage(seed: UInt64) throws {
        let pair = try Pair.established()
        var state = seed
        let bytes = (0..<2_000).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 40)
        }
        #expect(throws: TLSError.self, "seed \(seed)") { try pair.server.receive(bytes) }
        #expect(throws: TLSError.self, "seed \(seed)") { try pair.server.write([1]) }
    }

    @Test(
        "Files that cannot be used are named, with the reason",
        arguments: [
            ("absent.pem", "server.key", "absent.pem"), ("text.pem", "server.key", "text.pem"),
            ("server.pem", "absent.key", "absent.key"), ("server.pem", "other.key", "other.key"),
            ("server.pem", "locked.key", "locked.key"), ("server.pem", "text.pem", "text.pem"),
        ])
    func files(certificate: String, key: String, named: String) throws {
        let certificates = try Certificates.shared.get()
        do {
            _ = try TLSContext.server(
                certificateFile: certificates.path(certificate),
                privateKeyFile: certificates.path(key))
            Issue.record("\(certificate) and \(key) were taken")
        } catch {
            guard case .unusable(let file, let reason) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(file == certificates.path(named))
            #expect(!reason.isEmpty && reason != "unknown reason")
        }
    }

    @Test("A client needs authorities that can be read", arguments: ["absent.pem", "text.pem"])
    func authorities(name: String) throws {
        let certificates = try Certificates.shared.get()
        #expect(throws: TLSError.self) {
            try TLSContext.client(authoritiesFile: certificates.path(name))
        }
    }
}
