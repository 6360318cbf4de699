// What a client may do for how long, over real sockets, and the counters of what was refused.
import KyroHTTP2
import KyroPlatform
import KyroServer
import TestSupport
import Testing

@Suite struct TransportLimitTests {
    private func serve(
        _ change: (inout ServerTransportConfiguration) -> Void = { _ in },
        _ body: (UInt16, TestDispatcher, Server) throws -> Void
    ) throws {
        var configuration = ServerTransportConfiguration()
        configuration.port = 0
        change(&configuration)
        let dispatcher = TestDispatcher()
        let server = Server(configuration: configuration, dispatcher: dispatcher)
        let port = try server.start()
        defer {
            server.drain(timeoutMillis: 0)
            server.join()
            dispatcher.pool.stop()
        }
        try body(port, dispatcher, server)
    }

    private static let preface: [UInt8] =
        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
    private static let ping: [UInt8] =
        [0, 0, 8, 6, 0, 0, 0, 0, 0] + [UInt8](repeating: 1, count: 8)

    /// Sends, then reads to the end of the connection.
    private func exchange(_ port: UInt16, _ bytes: [UInt8]) throws -> [UInt8] {
        let fd = try Socket.connect(host: "127.0.0.1", port: port)
        defer { Socket.close(fd) }
        Socket.setReadTimeout(fd, millis: 20_000)
        if !bytes.isEmpty { _ = Socket.write(fd, bytes, from: 0) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var answer: [UInt8] = []
        while case .bytes(let count) = Socket.read(fd, into: &buffer) {
            answer += buffer[..<count]
        }
        return answer
    }

    @Test func aConnectionTooManyIsToldSo() throws {
        try serve({ $0.connectionsMax = 1 }) { port, _, server in
            let client = try TestClient(port: port)
            #expect(try client.unary("/t/Echo", [1]).messages == [[1]])
            let answer = try exchange(port, [])
            #expect(String(decoding: answer, as: UTF8.self).contains("too many connections"))
            #expect(server.counters.count(of: .connectionLimit) == 1)
            #expect(server.counters.connectionsAccepted == 1)
            #expect(server.counters.callsBegun == 1)
        }
    }

    @Test func aFloodIsCountedOnceAndOthersAreServed() throws {
        try serve { port, _, server in
            let client = try TestClient(port: port)
            let flood = Self.preface + Array(repeating: Self.ping, count: 2_000).flatMap { $0 }
            let answer = try exchange(port, flood)
            // The last frame is GOAWAY with ENHANCE_YOUR_CALM.
            #expect(answer.count < 400)
            #expect(answer.suffix(4) == [0, 0, 0, 11])
            #expect(eventually { server.counters.count(of: .pingFlood) == 1 })
            #expect(try client.unary("/t/Echo", [1]).messages == [[1]])
        }
    }

    @Test func bytesThatAreNoHTTP2AreCounted() throws {
        try serve { port, _, server in
            _ = try exchange(port, Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
            #expect(eventually { server.counters.count(of: .notHTTP2) == 1 })
        }
    }

    @Test func aConnectionThatAsksNothingStaysWhenItsPrefaceCame() throws {
        try serve({ $0.handshakeTimeoutMillis = 50 }) { port, _, server in
            let silent = try exchange(port, [])
            #expect(!silent.isEmpty)
            #expect(eventually { server.counters.count(of: .handshakeTimeout) == 1 })
            let client = try TestClient(port: port)
            try client.write()
            // The server's own clock has gone on by more than the limit when another one is closed.
            _ = try exchange(port, [])
            #expect(server.counters.count(of: .handshakeTimeout) == 2)
            #expect(try client.unary("/t/Echo", [1]).messages == [[1]])
        }
    }

    @Test func aMessageThatStaysUnfinishedEndsItsCall() throws {
        try serve({ $0.messageTimeoutMillis = 50 }) { port, dispatcher, server in
            let raw = try exchange(
                port,
                Self.preface
                    + [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0])  // WINDOW_UPDATE of nothing
            #expect(!raw.isEmpty)
            #expect(eventually { server.counters.count(of: .protocolError) == 1 })
            let client = try TestClient(port: port)
            let call = try client.session.open(path: "/t/Echo")
            client.session.send([UInt8](repeating: 1, count: 100_000), on: call)
            // A part of it: what the first window takes.
            try client.write()
            while client.seen[call.id]?.status == nil { _ = try client.readOnce() }
            #expect(client.seen[call.id]?.status?.code == GRPCCode.deadlineExceeded)
            #expect(server.counters.count(of: .messageTimeout) == 1)
            #expect(eventually { dispatcher.witness.now.closed == 1 })
        }
    }

    @Test func idleConnectionsAreAskedToGo() throws {
        try serve({ $0.idleTimeoutMillis = 50 }) { port, _, server in
            let client = try TestClient(port: port)
            #expect(try client.unary("/t/Echo", [1]).status == .success)
            while try client.readOnce() { try client.write() }
            #expect(eventually { server.connectionCount == 0 })
            #expect(server.counters.count(of: .idle) == 1)
        }
    }

    @Test func anOldConnectionFinishesItsCallsOrIsClosed() throws {
        try serve({
            $0.ageMaxMillis = 50
            $0.leaveGraceMillis = 100
        }) { port, dispatcher, server in
            let client = try TestClient(port: port)
            let call = try client.session.open(path: "/t/Hang")
            client.session.send([1], on: call)
            try client.write()
            #expect(eventually { server.counters.count(of: .graceExpired) == 1 })
            #expect(server.counters.count(of: .age) == 1)
            #expect(try client.finish(call).status?.code == GRPCCode.unavailable)
            #expect(eventually { dispatcher.witness.now.cancelled == 1 })
        }
    }
}
