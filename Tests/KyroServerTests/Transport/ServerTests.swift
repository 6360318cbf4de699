// The server over real sockets: connections, deadlines, back-pressure, drain.
import KyroHTTP2
import KyroPlatform
import KyroServer
import Synchronization
import TestSupport
import Testing

/// What the handlers of a test saw.
final class Witness: Sendable {
    struct State {
        var closed = 0
        var cancelled = 0
        var deadline = 0
        var queuedMax = 0
        var received = 0
    }
    let state = Mutex(State())
    var now: State { state.withLock { $0 } }
}

/// `/t/Echo` answers each message; `/t/Pool` answers from another thread; `/t/Hang` never answers;
/// `/t/Flood` keeps 64 MiB ready, sending while less than 256 KiB is queued; `/t/Sink` counts.
struct TestDispatcher: CallDispatcher {
    let witness = Witness()
    let pool = WorkerPool(name: "test-pool", threadCount: 2, jobsMax: 1000)

    func handler(for call: ServerCall) -> CallHandler? {
        switch call.path {
        case "/t/Echo", "/t/Pool", "/t/Hang", "/t/Flood", "/t/Sink":
            return TestHandler(self, method: String(call.path.dropFirst(3)))
        default: return nil
        }
    }
}

final class TestHandler: CallHandler {
    let dispatcher: TestDispatcher
    let method: String
    var leftToSend = 64 << 20

    init(_ dispatcher: TestDispatcher, method: String) {
        self.dispatcher = dispatcher
        self.method = method
    }

    func receive(_ message: [UInt8], call: ServerCall) {
        dispatcher.witness.state.withLock { $0.received += 1 }
        switch method {
        case "Echo": call.send(message)
        case "Pool":
            let accepted = dispatcher.pool.submit {
                call.loop.execute { call.send(message) }
            }
            if !accepted { call.finish(GRPCStatus(code: GRPCCode.resourceExhausted)) }
        case "Flood": flood(call)
        default: break
        }
    }

    private func flood(_ call: ServerCall) {
        while leftToSend > 0, call.queuedBytes < 256 << 10, !call.isFinished {
            call.send([UInt8](repeating: 7, count: 32 << 10))
            leftToSend -= 32 << 10
            let queued = call.queuedBytes
            dispatcher.witness.state.withLock { $0.queuedMax = max($0.queuedMax, queued) }
        }
        if leftToSend <= 0 { call.finish(.success) }
    }

    func halfClosed(call: ServerCall) {
        switch method {
        case "Echo", "Sink": call.finish(.success)
        case "Pool":
            // Behind the answers: the pool's jobs come back in the order they end.
            _ = dispatcher.pool.submit { call.loop.execute { call.finish(.success) } }
        default: break
        }
    }

    func writable(call: ServerCall) { if method == "Flood" { flood(call) } }

    func closed(call: ServerCall) {
        let cause = call.cancellation.cause
        dispatcher.witness.state.withLock {
            $0.closed += 1
            if cause == .cancelled { $0.cancelled += 1 }
            if cause == .deadlineExceeded { $0.deadline += 1 }
        }
    }
}

/// A blocking client of one connection.
final class TestClient {
    let session: ClientSession
    let fd: Int32
    var seen: [Int32: Seen] = [:]
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    struct Seen {
        var messages: [[UInt8]] = []
        var status: GRPCStatus?
    }

    init(port: UInt16, _ configuration: HTTP2Configuration = HTTP2Configuration()) throws {
        session = ClientSession(authority: "test", configuration: configuration)
        fd = try Socket.connect(host: "127.0.0.1", port: port)
        Socket.setReadTimeout(fd, millis: 20_000)
    }

    init(path: String) throws {
        session = ClientSession(authority: "test")
        fd = try Socket.connect(path: path)
        Socket.setReadTimeout(fd, millis: 20_000)
    }

    deinit { Socket.close(fd) }

    func write() throws {
        while true {
            try session.produce()
            guard session.outputOffset < session.output.count else { return }
            guard
                case .bytes(let count) = Socket.write(
                    fd, session.output, from: session.outputOffset)
            else { throw HTTP2Error.connection(code: -1, reason: "write failed") }
            session.outputWritten(count)
        }
    }

    /// False when the server closed the connection.
    func readOnce() throws -> Bool {
        switch Socket.read(fd, into: &buffer) {
        case .bytes(let count): try session.receive(buffer, count: count)
        case .endOfStream, .failed: session.connectionLost()
        case .wouldBlock: throw HTTP2Error.connection(code: -2, reason: "the server is silent")
        }
        while let event = session.nextEvent() {
            switch event {
            case .message(let stream, let bytes):
                seen[stream.id, default: Seen()].messages.append(bytes)
            case .finished(let stream, let status, _):
                seen[stream.id, default: Seen()].status = status
            default: break
            }
        }
        return !session.isGoingAway || session.streamCount > 0
    }

    func finish(_ call: HTTP2Stream) throws -> Seen {
        while seen[call.id]?.status == nil {
            try write()
            _ = try readOnce()
        }
        // A server that has refused the connection takes nothing any more.
        try? write()
        return seen[call.id] ?? Seen()
    }

    func unary(_ path: String, _ message: [UInt8], timeoutNanos: UInt64? = nil) throws -> Seen {
        let call = try session.open(path: path, timeoutNanos: timeoutNanos)
        session.send(message, on: call)
        session.halfClose(call)
        return try finish(call)
    }
}

@Suite struct ServerTests {
    private func serve(
        _ change: (inout ServerTransportConfiguration) -> Void = { _ in },
        _ body: (UInt16, TestDispatcher, Server) throws -> Void
    ) throws {
        var configuration = ServerTransportConfiguration()
        configuration.port = 0
        configuration.loopCount = 2
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

    @Test func manyPipelinedCallsAreAnswered() throws {
        try serve { port, dispatcher, _ in
            let client = try TestClient(port: port)
            let calls = try (0..<500).map { i in
                let call = try client.session.open(path: i % 2 == 0 ? "/t/Echo" : "/t/Pool")
                client.session.send([UInt8](repeating: UInt8(i & 255), count: i), on: call)
                client.session.halfClose(call)
                return call
            }
            for (i, call) in calls.enumerated() {
                let seen = try client.finish(call)
                #expect(seen.status == .success)
                // The pool's two threads may end a call before they answer it.
                if i % 2 == 0 {
                    #expect(seen.messages == [[UInt8](repeating: UInt8(i & 255), count: i)])
                }
            }
            #expect(eventually { dispatcher.witness.now.closed == 500 })
            #expect(dispatcher.witness.now.cancelled == 0)
        }
    }

    @Test func connectionsAreSpreadOverTheLoops() throws {
        try serve({ $0.connectionsMax = 8 }) { port, _, server in
            let clients = try (0..<8).map { _ in try TestClient(port: port) }
            for client in clients { #expect(try client.unary("/t/Echo", [1]).status == .success) }
            #expect(server.connectionCount == 8)
            let extra = try TestClient(port: port)
            #expect(try extra.unary("/t/Echo", [1]).status?.code == GRPCCode.unavailable)
            #expect(try clients[3].unary("/t/Echo", [2]).messages == [[2]])
        }
    }

    @Test func bigMessagesPass() throws {
        try serve { port, _, _ in
            let client = try TestClient(port: port)
            let big = (0..<(20 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) }
            let seen = try client.unary("/t/Echo", big)
            #expect(seen.messages == [big])
            #expect(seen.status == .success)
        }
    }

    @Test func unknownMethodIsNamed() throws {
        try serve { port, _, _ in
            let client = try TestClient(port: port)
            let status = try client.unary("/t/Nothing", [1]).status
            #expect(status?.code == GRPCCode.unimplemented)
            #expect(status?.message.contains("/t/Nothing") == true)
        }
    }

    @Test func deadlineEndsTheCallAndCancelsItsWork() throws {
        try serve { port, dispatcher, _ in
            let client = try TestClient(port: port)
            let status = try client.unary("/t/Hang", [1], timeoutNanos: 20_000_000).status
            #expect(status?.code == GRPCCode.deadlineExceeded)
            #expect(eventually { dispatcher.witness.now.deadline == 1 })
            #expect(dispatcher.witness.now.closed == 1)
            #expect(
                try client.unary("/t/Echo", [1], timeoutNanos: 0).status?.code
                    == GRPCCode.deadlineExceeded)
            #expect(
                try client.unary("/t/Echo", [1], timeoutNanos: 60_000_000_000).status == .success)
        }
    }

    @Test func cancelAndDisconnectReachTheHandler() throws {
        try serve { port, dispatcher, server in
            var client: TestClient? = try TestClient(port: port)
            let calls = try (0..<3).map { _ in try client?.session.open(path: "/t/Hang") }
            for call in calls { if let call { client?.session.send([1], on: call) } }
            try client?.write()
            #expect(eventually { dispatcher.witness.now.received == 3 })
            if let call = calls[0] { client?.session.cancel(call) }
            try client?.write()
            #expect(eventually { dispatcher.witness.now.cancelled == 1 })
            client = nil
            #expect(eventually { dispatcher.witness.now.cancelled == 3 })
            #expect(dispatcher.witness.now.closed == 3)
            #expect(eventually { server.connectionCount == 0 })
        }
    }

    @Test func stalledReaderCostsBoundedMemory() throws {
        try serve { port, dispatcher, _ in
            let client = try TestClient(port: port)
            let call = try client.session.open(path: "/t/Flood")
            client.session.send([1], on: call)
            client.session.pauseReading(call)
            try client.write()
            // Reads what comes until the window is shut, without taking a message.
            let other = try client.unary("/t/Echo", [5])
            #expect(other.messages == [[5]])
            #expect(eventually { dispatcher.witness.now.queuedMax > 0 })
            #expect(dispatcher.witness.now.queuedMax < (256 << 10) + (33 << 10))
            client.session.resumeReading(call)
            while let event = client.session.nextEvent() {
                if case .message(let stream, let bytes) = event {
                    client.seen[stream.id, default: .init()].messages.append(bytes)
                }
            }
            let seen = try client.finish(call)
            #expect(seen.messages.reduce(0) { $0 + $1.count } == 64 << 20)
            #expect(seen.status == .success)
        }
    }

    @Test func answersThatNobodyReadsAreBoundedOverAllCalls() throws {
        try serve({ $0.unsentBytesMax = 1 << 20 }) { port, _, _ in
            var small = HTTP2Configuration()
            small.streamWindowBytes = 0
            let client = try TestClient(port: port, small)
            let calls = try (0..<8).map { _ in
                let call = try client.session.open(path: "/t/Echo")
                client.session.send([UInt8](repeating: 1, count: 300_000), on: call)
                client.session.halfClose(call)
                return call
            }
            // Four answers are above the bound; the other calls end with an error alone.
            var statuses: [GRPCStatus] = []
            while statuses.count < 4 {
                try client.write()
                _ = try client.readOnce()
                statuses = calls.compactMap { client.seen[$0.id]?.status }
            }
            #expect(statuses.allSatisfy { $0.code == GRPCCode.resourceExhausted })
            #expect(statuses.count == 4)
            for call in calls { client.session.cancel(call) }
            try client.write()
        }
    }

    @Test func slowReaderIsNotTakenForDeadWhileNothingIsReadFromIt() throws {
        try serve({
            $0.keepaliveMillis = 1_000
            $0.queuedBytesMax = 1
            $0.http2.outputBytesMax = 16 << 10
        }) { port, _, _ in
            var open = HTTP2Configuration()
            open.streamWindowBytes = 64 << 20
            open.connectionWindowBytes = 64 << 20
            let client = try TestClient(port: port, open)
            // 64 MiB: more than the client's kernel takes in for it.
            let call = try client.session.open(path: "/t/Flood")
            client.session.send([1], on: call)
            try client.write()
            // Some of it now and then, for longer than a silent client is waited for.
            let end = EventLoop.monotonicNanos() + 3_300_000_000
            var next = EventLoop.monotonicNanos()
            #expect(
                eventually {
                    let now = EventLoop.monotonicNanos()
                    if now >= next {
                        next = now + 15_000_000
                        _ = try? client.readOnce()
                    }
                    return now > end
                })
            let status = try client.finish(call).status
            #expect(status == .success, "\(status as Any)")
        }
    }

    @Test func drainFinishesRunningCallsAndClosesIdleConnections() throws {
        var configuration = ServerTransportConfiguration()
        configuration.port = 0
        let dispatcher = TestDispatcher()
        let server = Server(configuration: configuration, dispatcher: dispatcher)
        let port = try server.start()
        let idle = try TestClient(port: port)
        #expect(try idle.unary("/t/Echo", [1]).status == .success)
        let busy = try TestClient(port: port)
        let call = try busy.session.open(path: "/t/Echo")
        busy.session.send([1], on: call)
        try busy.write()
        #expect(eventually { dispatcher.witness.now.received == 2 })
        server.drain(timeoutMillis: 20_000)
        // The idle one: GOAWAY, a ping to answer, GOAWAY, end.
        while try idle.readOnce() { try idle.write() }
        while !busy.session.isGoingAway {
            _ = try busy.readOnce()
            try busy.write()
        }
        busy.session.send([2], on: call)
        busy.session.halfClose(call)
        let seen = try busy.finish(call)
        #expect(seen.messages == [[1], [2]])
        #expect(seen.status == .success)
        server.join()
        #expect(server.connectionCount == 0)
        #expect(throws: SocketError.self) { _ = try Socket.connect(host: "127.0.0.1", port: port) }
        dispatcher.pool.stop()
    }

    @Test func drainCutsOffWhatIsLeftAtItsDeadline() throws {
        var configuration = ServerTransportConfiguration()
        configuration.port = 0
        let dispatcher = TestDispatcher()
        let server = Server(configuration: configuration, dispatcher: dispatcher)
        let port = try server.start()
        let client = try TestClient(port: port)
        let call = try client.session.open(path: "/t/Hang")
        client.session.send([1], on: call)
        try client.write()
        #expect(eventually { dispatcher.witness.now.received == 1 })
        server.drain(timeoutMillis: 50)
        server.join()
        #expect(dispatcher.witness.now.cancelled == 1)
        #expect(try client.finish(call).status?.code == GRPCCode.unavailable)
        dispatcher.pool.stop()
    }

    @Test func silentConnectionIsClosedAfterTheHandshakeTimeout() throws {
        try serve({ $0.handshakeTimeoutMillis = 30 }) { port, _, server in
            let fd = try Socket.connect(host: "127.0.0.1", port: port)
            defer { Socket.close(fd) }
            var buffer = [UInt8](repeating: 0, count: 1024)
            var ended = false
            while !ended {
                switch Socket.read(fd, into: &buffer) {
                case .bytes: continue
                default: ended = true
                }
            }
            #expect(eventually { server.connectionCount == 0 })
        }
    }

    @Test func serverListensOnAPathToo() throws {
        let path = "/tmp/kyro-test-\(EventLoop.monotonicNanos()).sock"
        try serve({ $0.unixPath = path }) { _, _, _ in
            let client = try TestClient(path: path)
            #expect(try client.unary("/t/Echo", [1, 2]).messages == [[1, 2]])
        }
        #expect(throws: SocketError.self) { try Socket.connect(path: path) }
    }

    @Test func occupiedPortIsAnError() throws {
        try serve { port, dispatcher, _ in
            var configuration = ServerTransportConfiguration()
            configuration.port = port
            let second = Server(configuration: configuration, dispatcher: dispatcher)
            #expect(throws: SocketError.self) { try second.start() }
        }
    }
}
