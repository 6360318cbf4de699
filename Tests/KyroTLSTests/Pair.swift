// A client and a server that talk through memory, in pieces of odd sizes.
import KyroTLS

struct Pair {
    let client: TLSStream
    let server: TLSStream

    init(
        host: String = "db.example", authorities: String = "server.pem"
    ) throws {
        let certificates = try Certificates.shared.get()
        let context = try TLSContext.server(
            certificateFile: certificates.path("server.pem"),
            privateKeyFile: certificates.path("server.key"))
        server = TLSStream(serverOf: context)
        client = try TLSStream(
            clientOf: try TLSContext.client(authoritiesFile: certificates.path(authorities)),
            host: host)
    }

    /// A server that asks for certificates of `clientAuthorities`, and a client that shows one.
    init(
        client name: String?, clientAuthorities: String = "server.pem", isRequired: Bool = false
    ) throws {
        let certificates = try Certificates.shared.get()
        var options = TLSServerOptions(
            certificateFile: certificates.path("server.pem"),
            privateKeyFile: certificates.path("server.key"))
        options.clientAuthoritiesFile = certificates.path(clientAuthorities)
        options.requiresClientCertificate = isRequired
        server = TLSStream(serverOf: try TLSContext.server(options))
        client = try TLSStream(
            clientOf: try TLSContext.client(
                authoritiesFile: certificates.path("server.pem"),
                certificate: name.map {
                    (certificates.path("\($0).pem"), certificates.path("\($0).key"))
                }), host: "db.example")
    }

    /// Moves bytes both ways, at most `pieceBytes` at a time, until nobody has any.
    /// - Returns: what either end threw first.
    func settle(pieceBytes: Int) -> (client: TLSError?, server: TLSError?) {
        var clientError: TLSError?
        var serverError: TLSError?
        while client.ciphertextWaiting + server.ciphertextWaiting > 0 {
            do {
                try Self.move(pieceBytes, from: client, to: server)
            } catch {
                serverError = serverError ?? error
            }
            do {
                try Self.move(pieceBytes, from: server, to: client)
            } catch {
                clientError = clientError ?? error
            }
        }
        return (clientError, serverError)
    }

    /// A pair whose handshake is over.
    static func established(pieceBytes: Int = 1 << 16) throws -> Pair {
        let pair = try Pair()
        let errors = pair.settle(pieceBytes: pieceBytes)
        if let error = errors.client ?? errors.server { throw error }
        return pair
    }

    private static func move(
        _ pieceBytes: Int, from: TLSStream, to: TLSStream
    ) throws(TLSError) {
        let count = min(pieceBytes, from.ciphertextWaiting)
        let start = from.ciphertextOffset
        let piece = Array(from.ciphertext[start..<start + count])
        from.ciphertextWritten(count)
        try to.receive(piece)
    }
}
