// Calls in flight on a few connections, each answer compared byte by byte.
import KyroHTTP2
import KyroPlatform

/// What is asked, one after the other from the start again, and what must come back.
struct CostRequests: Sendable {
    var path: String
    var messages: [[UInt8]]
    var replies: [[UInt8]]
}

/// A socket and its session, used by one thread at a time.
///
/// `@unchecked Sendable`: the thread of a round has it alone, and the next one after it was joined.
private final class CostConnection: @unchecked Sendable {
    private final class Mark {
        let number: Int
        let sentNanos: UInt64
        var isRight = false

        init(number: Int, sentNanos: UInt64) {
            self.number = number
            self.sentNanos = sentNanos
        }
    }

    private let fd: Int32
    private let session: ClientSession
    private let requests: CostRequests
    private var input = [UInt8](repeating: 0, count: 64 << 10)
    private var inFlight = 0
    private(set) var wrongCount = 0
    private(set) var latencies = Histogram()

    init(port: UInt16, requests: CostRequests) throws {
        fd = try Socket.connect(host: "127.0.0.1", port: port)
        session = ClientSession(authority: "127.0.0.1:\(port)")
        self.requests = requests
    }

    deinit { Socket.close(fd) }

    /// Sends `count` requests, at most `streams` at once, and takes their answers.
    func run(_ count: Int, streams: Int) throws {
        wrongCount = 0
        latencies = Histogram()
        var started = 0
        while started < count || inFlight > 0 {
            let now = clock.monotonicNanos()
            while started < count, inFlight < streams {
                let number = started % requests.messages.count
                let stream = try session.open(path: requests.path)
                stream.context = Mark(number: number, sentNanos: now)
                session.send(requests.messages[number], on: stream)
                session.halfClose(stream)
                started += 1
                inFlight += 1
            }
            try flush()
            guard case .bytes(let byteCount) = Socket.read(fd, into: &input) else {
                throw BenchError("the server closed the connection")
            }
            try session.receive(input, count: byteCount)
            take(nowNanos: clock.monotonicNanos())
        }
    }

    private func flush() throws {
        while true {
            try session.produce()
            guard session.outputOffset < session.output.count else { return }
            guard
                case .bytes(let count) = Socket.write(
                    fd, session.output, from: session.outputOffset)
            else { throw BenchError("the server takes no bytes") }
            session.outputWritten(count)
        }
    }

    private func take(nowNanos: UInt64) {
        while let event = session.nextEvent() {
            switch event {
            case .message(let stream, let bytes):
                guard let mark = stream.context as? Mark else { continue }
                mark.isRight = !mark.isRight && bytes == requests.replies[mark.number]
            case .finished(let stream, let status, _):
                guard let mark = stream.context as? Mark else { continue }
                stream.context = nil
                inFlight -= 1
                if !mark.isRight || !status.isOK { wrongCount += 1 }
                latencies.record(nowNanos - mark.sentNanos)
            case .initialMetadata, .writable, .goAway, .pong: break
            }
        }
    }
}

struct CostRound {
    /// Of the server, for a request.
    var cpuMicros: Double
    var wrongCount: Int
    var latencies: Histogram
    var perSecond: Double
}

/// Connections to one server that stay open between rounds.
final class CostLoad {
    private let connections: [CostConnection]
    private let streams: Int
    private let server: CostServer

    init(_ server: CostServer, _ requests: CostRequests, connections: Int, streams: Int) throws {
        self.server = server
        self.streams = streams
        self.connections = try (0..<connections).map { _ in
            try CostConnection(port: server.port, requests: requests)
        }
    }

    /// - Parameter count: of requests, over all connections.
    func run(_ count: Int) throws -> CostRound {
        let perConnection = max(1, count / connections.count)
        let streams = streams
        let failures = Locked<[String]>([])
        let cpuBefore = server.cpuNanos
        let start = clock.monotonicNanos()
        let threads = connections.enumerated().map { number, connection in
            KyroThread(name: "load-\(number)") {
                do {
                    try connection.run(perConnection, streams: streams)
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        let seconds = secondsSince(start)
        let cpu = server.cpuNanos - cpuBefore
        if let failure = failures.withLock({ $0.first }) { throw BenchError(failure) }
        let total = Double(perConnection * connections.count)
        var latencies = Histogram()
        for connection in connections { latencies.merge(connection.latencies) }
        return CostRound(
            cpuMicros: Double(cpu) / 1_000 / total,
            wrongCount: connections.reduce(0) { $0 + $1.wrongCount }, latencies: latencies,
            perSecond: total / seconds)
    }
}
