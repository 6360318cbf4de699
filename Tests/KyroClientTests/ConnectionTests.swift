// Calls over a real socket: answers, errors, deadlines, streams, lost connections.
import KyroClient
import KyroHTTP2
import KyroModel
import KyroWire
import Testing

@Suite struct ConnectionTests {
    private func connect(_ server: TestServer) throws(KyroError) -> Connection {
        try Connection(host: "127.0.0.1", port: server.port)
    }

    @Test("Unary calls one after another get their answers")
    func unary() throws {
        let server = TestServer { event, peer in
            if case .message(let stream, let bytes) = event {
                peer.session.send(bytes.reversed(), on: stream)
                peer.session.finish(stream, .success)
            }
        }
        defer { server.stop() }
        let connection = try connect(server)
        for i in 0..<200 {
            let message = (0..<i * 37).map { UInt8(truncatingIfNeeded: $0) }
            #expect(try connection.unary("/a/b", message) == message.reversed())
        }
        let large = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try connection.unary("/a/b", large) == large.reversed())
    }

    @Test("The server's error arrives with reason, field and delay")
    func details() throws {
        let told = KyroError(
            .dimensionMismatch, "vector has 3 components, 4 belong", field: "vector.values",
            retryAfterMillis: 250)
        let server = TestServer { event, peer in
            if case .halfClosed(let stream) = event {
                let status = GRPCStatus(
                    code: told.code.rawValue, message: told.message,
                    details: encodeStatusDetails(for: told))
                peer.session.finish(stream, status)
            }
        }
        defer { server.stop() }
        let connection = try connect(server)
        #expect(throws: told) { try connection.unary("/a/b", [1]) }
        #expect(throws: told) { try connection.unary("/a/b", []) }
    }

    @Test("A call without an answer ends at its deadline, and the connection goes on")
    func deadline() throws {
        let server = TestServer { event, peer in
            if case .message(let stream, let bytes) = event, bytes == [1] {
                peer.session.finish(stream, .success)
            }
        }
        defer { server.stop() }
        let connection = try connect(server)
        do {
            _ = try connection.unary("/a/b", [0], timeoutMillis: 30)
            Issue.record("answered")
        } catch {
            #expect(error.code == .deadlineExceeded)
        }
        #expect(throws: KyroError.self) { try connection.unary("/a/b", [1]) }
    }

    @Test("A stream carries messages in both directions beyond the windows")
    func streams() throws {
        let server = TestServer { event, peer in
            switch event {
            case .message(let stream, let bytes): peer.session.send(bytes, on: stream)
            case .halfClosed(let stream): peer.session.finish(stream, .success)
            default: break
            }
        }
        defer { server.stop() }
        let call = try connect(server).open("/a/b")
        for i in 0..<40 { try call.send([UInt8](repeating: UInt8(i), count: 300_000)) }
        call.halfClose()
        for i in 0..<40 {
            let message = try call.receive()
            #expect(message?.count == 300_000 && message?.first == UInt8(i))
        }
        #expect(try call.receive() == nil)
    }

    @Test("A lost connection is UNAVAILABLE, and the next call connects anew")
    func lost() throws {
        let server = TestServer { event, peer in
            if case .message(let stream, let bytes) = event {
                if bytes == [0] {
                    peer.hangsUp = true
                } else {
                    peer.session.send(bytes, on: stream)
                    peer.session.finish(stream, .success)
                }
            }
        }
        defer { server.stop() }
        let connection = try connect(server)
        do {
            _ = try connection.unary("/a/b", [0])
            Issue.record("answered")
        } catch {
            #expect(error.code == .unavailable, "\(error)")
            #expect(error.message.contains("127.0.0.1:\(server.port)"), "\(error)")
        }
        #expect(try connection.unary("/a/b", [1]) == [1])
    }

    @Test("When a server goes away the next call connects anew, and ends those before it")
    func goingAway() throws {
        let server = TestServer { event, peer in
            guard case .message(let stream, let bytes) = event else { return }
            peer.session.send(bytes, on: stream)
            if bytes == [0] {
                peer.session.finishDrain()
            } else {
                peer.session.finish(stream, .success)
            }
        }
        defer { server.stop() }
        let connection = try connect(server)
        let old = try connection.open("/a/b")
        try old.send([0])
        // The GOAWAY comes before the message.
        #expect(try old.receive() == [0])
        #expect(try connection.unary("/a/b", [1]) == [1])
        do {
            _ = try old.receive(timeoutMillis: 60_000)
            Issue.record("received")
        } catch {
            #expect(error.code == .unavailable, "\(error)")
        }
    }

    @Test("A call that was held back gets what had arrived before its connection was given up")
    func heldBack() throws {
        let piece = [UInt8](repeating: 7, count: 100_000)
        let server = TestServer { event, peer in
            guard case .message(let stream, let bytes) = event else { return }
            if bytes == [0] {
                for _ in 0..<100 { peer.session.send(piece, on: stream) }
            } else {
                if bytes == [2] { peer.session.finishDrain() }
                peer.session.send(bytes, on: stream)
                peer.session.finish(stream, .success)
            }
        }
        defer { server.stop() }
        let connection = try connect(server)
        let old = try connection.open("/a/b")
        try old.send([0])
        // Answers to others bring pieces along until the call takes no more.
        for _ in 0..<300 { #expect(try connection.unary("/a/b", [1]) == [1]) }
        #expect(try connection.unary("/a/b", [2]) == [2])
        #expect(try connection.unary("/a/b", [1]) == [1])
        var count = 0
        do {
            while let message = try old.receive(timeoutMillis: 60_000) {
                #expect(message == piece)
                count += 1
            }
            Issue.record("ended well")
        } catch {
            #expect(error.code == .unavailable, "\(error) behind \(count) messages")
        }
        #expect(count > 40)
    }

    @Test("Where nobody listens the error names the address and what to do")
    func refused() throws {
        let server = TestServer { _, _ in }
        let connection = try connect(server)
        server.stop()
        connection.close()
        var problem: KyroError?
        // The listener closes on its own thread: the first attempts may still find it.
        for _ in 0..<10_000 where problem == nil {
            do { _ = try Connection(host: "127.0.0.1", port: server.port) } catch {
                problem = error
            }
        }
        #expect(problem?.code == .unavailable)
        #expect(problem?.message.contains("127.0.0.1:\(server.port)") == true)
        #expect(problem?.message.contains("is kyrodb running there?") == true)
    }

    static let endpoints: [(String, Endpoint?)] = [
        ("localhost", .tcp(host: "localhost", port: 50_051)),
        ("10.0.0.1:9", .tcp(host: "10.0.0.1", port: 9)),
        ("[::1]:80", .tcp(host: "::1", port: 80)), ("[::1]", .tcp(host: "::1", port: 50_051)),
        ("unix:/run/k", .unix(path: "/run/k")), ("", nil), (":80", nil), ("a:", nil),
        ("a:0", nil), ("a:65536", nil), ("::1", nil), ("[::1]x", nil), ("unix:", nil),
    ]

    @Test("Addresses", arguments: endpoints)
    func reads(_ text: String, _ endpoint: Endpoint?) {
        #expect((try? Endpoint(parsing: text)) == endpoint)
        if let endpoint { #expect((try? Endpoint(parsing: endpoint.description)) == endpoint) }
    }
}
