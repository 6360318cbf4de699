// What a server makes of requests that no proper client sends.
import KyroHTTP2
import Testing

@Suite struct BadRequestTests {
    private let message: [UInt8] = [0, 0, 0, 0, 2, 7, 7]

    private func expectServes(_ raw: inout RawClient) throws {
        let before = raw.messages.count
        let id = try raw.open(RawClient.standard)
        try raw.data(id, message, endStream: true)
        #expect(raw.messages.count == before + 1)
    }

    @Test(arguments: [
        "text/plain", "application/json", "application/grpc-web", "application/grpcx",
    ])
    func wrongContentTypeIsAnsweredWith415(type: String) throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.request([("content-type", type)]))
        try raw.data(id, message, endStream: true)
        #expect(raw.requestCount == 0 && raw.messages.isEmpty)
        #expect(raw.seen[id]?.status?.message == "the server said HTTP 415")
        try expectServes(&raw)
    }

    @Test(arguments: [
        "application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8",
    ])
    func grpcContentTypesAreTaken(type: String) throws {
        var raw = try RawClient()
        _ = try raw.open(RawClient.request([("content-type", type)]))
        #expect(raw.requestCount == 1)
    }

    @Test func missingContentTypeIsAnsweredWith415() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.request([("content-type", nil)]), endStream: true)
        #expect(raw.seen[id]?.status?.message == "the server said HTTP 415")
    }

    @Test(arguments: ["GET", "PUT", "OPTIONS"])
    func methodsOtherThanPostAreAnsweredWith405(method: String) throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.request([(":method", method)]), endStream: true)
        #expect(raw.requestCount == 0)
        #expect(raw.seen[id]?.status?.message == "the server said HTTP 405")
        try expectServes(&raw)
    }

    @Test func headerListAboveTheLimitIsResourceExhausted() throws {
        var raw = try RawClient()
        let fields = (0..<500).map { ("x-\($0)", String?.some("v")) }
        let id = try raw.open(RawClient.request(fields), endStream: true)
        #expect(raw.seen[id]?.status?.code == GRPCCode.resourceExhausted)
        #expect(raw.requestCount == 0)
        try expectServes(&raw)
    }

    @Test(arguments: ["", "5", "S", "5x", "-5S", "123456789S", "1.5S", " 5S"])
    func malformedTimeoutIsInternal(text: String) throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.request([("grpc-timeout", text)]), endStream: true)
        // Leading blanks are no legal field value at all: nghttp2 resets the stream for them.
        #expect(raw.seen[id]?.status?.code == GRPCCode.internal)
        #expect(raw.requestCount == 0)
    }

    @Test(
        arguments: [
            ("0n", 0), ("7n", 7), ("7u", 7_000), ("7m", 7_000_000), ("7S", 7_000_000_000),
            ("7M", 420_000_000_000), ("7H", 25_200_000_000_000), ("99999999n", 99_999_999),
            ("99999999H", .max),
        ] as [(String, UInt64)])
    func timeoutsAreReadInEveryUnit(text: String, nanos: UInt64) throws {
        var raw = try RawClient()
        _ = try raw.open(RawClient.request([("grpc-timeout", text)]), endStream: true)
        guard case .request(let stream)? = raw.events.first else {
            Issue.record("no request")
            return
        }
        #expect(stream.timeoutNanos == nanos)
    }

    @Test func unknownEncodingIsUnimplemented() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.request([("grpc-encoding", "snappy")]), endStream: true)
        #expect(raw.seen[id]?.status?.code == GRPCCode.unimplemented)
    }

    @Test func compressedFlagWithoutEncodingIsInternal() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.standard)
        try raw.data(id, [1, 0, 0, 0, 1, 5], endStream: true)
        #expect(raw.seen[id]?.status?.code == GRPCCode.internal)
        #expect(raw.failures.count == 1)
    }

    @Test func damagedCompressionIsInternal() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.request([("grpc-encoding", "gzip")]))
        try raw.data(id, [1, 0, 0, 0, 4, 31, 139, 8, 9], endStream: true)
        #expect(raw.seen[id]?.status?.code == GRPCCode.internal)
    }

    @Test(arguments: 1...6)
    func messageCutShortByTheEndFails(count: Int) throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.standard)
        try raw.data(id, Array(message[..<count]), endStream: true)
        #expect(raw.messages.isEmpty)
        #expect(raw.failures.map { $0.code } == [GRPCCode.internal])
        #expect(raw.seen[id]?.status?.code == GRPCCode.internal)
        #expect(raw.closedCount == 1)
        try expectServes(&raw)
    }

    @Test func messagesBeforeTheCutAreStillSeen() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.standard)
        try raw.data(id, message + message + message[..<3], endStream: true)
        #expect(raw.messages == [[7, 7], [7, 7]])
        #expect(raw.failures.count == 1)
    }

    @Test func resetInTheMiddleOfAMessageClosesTheCall() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.standard)
        try raw.data(id, Array(message[..<6]))
        try raw.send(type: 3, flags: 0, id: id, [0, 0, 0, 8])
        #expect(raw.messages.isEmpty)
        #expect(raw.closedCount == 1)
        try expectServes(&raw)
    }

    @Test func badBase64InBinaryMetadataIsInternal() throws {
        var raw = try RawClient()
        let id = try raw.open(RawClient.request([("k-bin", "a!b")]), endStream: true)
        #expect(raw.seen[id]?.status?.code == GRPCCode.internal)
    }

    @Test func binaryMetadataMayShareAFieldAndBePadded() throws {
        var raw = try RawClient()
        _ = try raw.open(RawClient.request([("k-bin", "AQ==,AgM,")]), endStream: true)
        guard case .request(let stream)? = raw.events.first else {
            Issue.record("no request")
            return
        }
        #expect(stream.metadata.map { $0.value } == [[1], [2, 3], []])
    }

    @Test func resetFloodEndsTheConnection() throws {
        var configuration = HTTP2Configuration()
        configuration.resetBurst = 50
        configuration.resetsPerSecond = 1
        let raw = try RawClient(configuration: configuration)
        var sent = 0
        while !raw.server.isFinished, sent < 200 {
            let id = Int32(2 * sent + 1)
            try raw.server.receive(
                RawClient.frame(type: 1, flags: 4, id: id, RawClient.block(RawClient.standard))
                    + RawClient.frame(type: 3, flags: 0, id: id, [0, 0, 0, 8]))
            while raw.server.nextEvent() != nil {}
            try raw.server.produce()
            raw.server.outputWritten(raw.server.output.count - raw.server.outputOffset)
            sent += 1
        }
        #expect(sent > 50 && sent < 60, "\(sent) resets were taken")
    }

    @Test func bytesThatAreNoHTTP2AreRefused() throws {
        let server = ServerSession()
        #expect(throws: HTTP2Error.self) {
            try server.receive(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
        }
    }

    @Test func randomDamageNeverTraps() throws {
        for seed in 1...300 {
            var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
            func random(_ bound: Int) -> Int {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                return Int(state % UInt64(bound))
            }
            let server = ServerSession()
            var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
            bytes += RawClient.frame(type: 4, flags: 0, id: 0, [])
            for i in 0..<8 {
                let id = Int32(2 * i + 1)
                bytes += RawClient.frame(
                    type: 1, flags: 4, id: id, RawClient.block(RawClient.standard))
                bytes += RawClient.frame(type: 0, flags: UInt8(i & 1), id: id, message)
            }
            for _ in 0..<(1 + random(6)) {
                bytes[24 + random(bytes.count - 24)] = UInt8(random(256))
            }
            do {
                try server.receive(bytes)
                for _ in 0..<3 {
                    while let event = server.nextEvent() {
                        if case .message(let stream, let message) = event {
                            server.send(message, on: stream)
                            server.finish(stream, .success)
                        }
                    }
                    try server.produce()
                    server.outputWritten(server.output.count - server.outputOffset)
                }
            } catch {
                continue
            }
        }
    }
}
