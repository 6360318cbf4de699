// Compression per message, both ways: who asks for it, what is answered, and what is refused.
import KyroHTTP2
import Testing

@Suite struct CompressionTests {
    private let long = Array(repeatElement(Array("kyro".utf8), count: 1_000).joined())
    private struct Compressed: Equatable {
        var request: Bool
        var answer: Bool
    }

    private let short = Array("kyro".utf8)

    /// A server that answers every message with itself, compressed as `compressed` says.
    private func echo(offering: Bool = false, compressed: Bool? = nil) -> Wire {
        let wire = Wire()
        wire.serve = { server, event in
            switch event {
            case .request(let stream): if offering { server.offerCompression(on: stream) }
            case .message(let stream, let bytes):
                server.send(bytes, on: stream, compressed: compressed)
            case .halfClosed(let stream): server.finish(stream, .success)
            default: break
            }
        }
        return wire
    }

    private func call(
        _ wire: Wire, _ message: [UInt8], encoding: MessageEncoding
    ) throws -> Compressed {
        let stream = try wire.client.open(path: "/a.B/C", encoding: encoding)
        wire.client.send(message, on: stream)
        wire.client.halfClose(stream)
        try wire.pump()
        #expect(wire.atServer[stream.id]?.messages == [message])
        #expect(wire.atClient[stream.id]?.messages == [message])
        #expect(wire.atClient[stream.id]?.status == .success)
        let server = try #require(wire.serverStreams.last)
        return Compressed(request: server.wasCompressed, answer: stream.wasCompressed)
    }

    @Test(arguments: [MessageEncoding.gzip, .deflate])
    func clientThatCompressesIsAnsweredAlike(encoding: MessageEncoding) throws {
        let seen = try call(echo(), long, encoding: encoding)
        #expect(seen == Compressed(request: true, answer: true))
    }

    @Test func acceptingCompressionAloneAsksForNone() throws {
        let seen = try call(echo(), long, encoding: .identity)
        #expect(seen == Compressed(request: false, answer: false))
    }

    @Test func shortMessagesStayAsTheyAre() throws {
        let seen = try call(echo(), short, encoding: .gzip)
        #expect(seen == Compressed(request: false, answer: false))
    }

    @Test func handlerDecidesPerMessageWhereItOffersCompression() throws {
        #expect(try call(echo(offering: true), long, encoding: .identity).answer)
        #expect(
            try call(echo(offering: true, compressed: true), short, encoding: .identity).answer)
        let refused = try call(echo(offering: true, compressed: false), long, encoding: .gzip)
        #expect(refused == Compressed(request: true, answer: false))
        // Without an encoding in the header nothing can be compressed.
        #expect(try !call(echo(compressed: true), long, encoding: .identity).answer)
    }

    /// What a client accepts, and what it is answered with when it sends `gzip` or `deflate`.
    @Test(arguments: [
        ("gzip", "identity", MessageEncoding.identity), ("gzip", "gzip", .gzip),
        ("gzip", "identity,deflate", .deflate), ("deflate", "identity, gzip", .gzip),
        ("deflate", "gzip, deflate", .deflate), ("gzip", "zstd,br", .identity),
        ("gzip", "notgzip", .identity), ("gzip", "", .identity),
    ])
    func answersUseWhatTheClientAccepts(
        sent: String, accepted: String, answered: MessageEncoding
    ) throws {
        var raw = try RawClient()
        let id = try raw.open(
            RawClient.request([("grpc-encoding", sent), ("grpc-accept-encoding", accepted)]))
        guard case .request(let stream)? = raw.events.last else {
            Issue.record("no request came of \(sent), \(accepted)")
            return
        }
        raw.server.send(long, on: stream)
        raw.server.finish(stream, .success)
        try raw.turn()
        #expect(raw.seen[id]?.status == .success)
        #expect(raw.encodings[id] == answered)
        #expect(raw.seen[id]?.messages == [long])
    }

    @Test func messageAboveTheClientsOwnLimitIsNotSent() throws {
        var configuration = HTTP2Configuration()
        configuration.sentMessageBytesMax = 1_000
        let wire = Wire(clientConfiguration: configuration)
        let stream = try wire.client.open(path: "/a.B/C")
        wire.client.send(long, on: stream)
        try wire.pump()
        #expect(wire.atServer[stream.id]?.messages ?? [] == [])
        #expect(wire.atClient[stream.id]?.status?.code == GRPCCode.resourceExhausted)
    }
}
