// What a client's certificate says of its bearer, and which certificates say anything.
import KyroTLS
import Testing

@Suite struct PeerNamesTests {
    private func names(of pair: Pair) throws -> [String] {
        let errors = pair.settle(pieceBytes: 1 << 16)
        if let error = errors.client ?? errors.server { throw error }
        return pair.server.peerNames
    }

    @Test("Alternative names in their order, then the subject's common name")
    func ofACertificate() throws {
        #expect(
            try names(of: Pair(client: "client")) == [
                "DNS:a.example", "DNS:b.example", "URI:spiffe://acme/a", "EMAIL:a@acme.example",
                "CN:client of acme",
            ])
        #expect(try names(of: Pair(client: "plain")) == ["CN:plain of acme"])
    }

    @Test("A client without a certificate has no names, and is refused where it needs one")
    func without() throws {
        #expect(try names(of: Pair(client: nil)) == [])
        #expect(throws: TLSError.self) { try names(of: Pair(client: nil, isRequired: true)) }
        #expect(try names(of: Pair(client: "client", isRequired: true)).count == 5)
    }

    @Test("A certificate of another authority ends the handshake")
    func stranger() {
        #expect(throws: TLSError.self) {
            try names(of: Pair(client: "client", clientAuthorities: "other.pem"))
        }
    }

    @Test("A server that asks for none sees none")
    func notAsked() throws {
        let pair = try Pair.established()
        #expect(pair.server.peerNames == [] && pair.client.peerNames != [])
    }
}
