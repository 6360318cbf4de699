// grpc.channelz.v1.Channelz: the server and its sockets. There are no channels: nobody is called.
import KyroModel
import KyroPlatform
import KyroWire

struct ChannelzService: Sendable {
    private let transport: TransportObserver
    /// Unix milliseconds, by the clock that the operator is told.
    private let nowMillis: @Sendable () -> Int64
    /// Servers or sockets in an answer.
    private static let resultsMax = 1_000

    init(_ transport: TransportObserver, nowMillis: @escaping @Sendable () -> Int64) {
        self.transport = transport
        self.nowMillis = nowMillis
    }

    @Sendable func topChannels(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            _ = try ChannelzPage.decode(wire: message)
            reply.succeed(ChannelzAnswer.noChannels.encodeWire())
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func channel(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let number = try ChannelzNumber.decode(wire: message)
            throw Self.notFound("channel", number)
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func servers(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        answer(reply) { () throws(KyroError) in
            try ChannelzPage.decode(wire: message)
        } with: {
            page, reports throws(KyroError) in
            let (found, isLast) = Self.page(page, of: reports) { $0.number }
            return .servers(found.map(server), isLast: isLast)
        }
    }

    @Sendable func server(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        answer(reply) { () throws(KyroError) in
            try ChannelzNumber.decode(wire: message)
        } with: {
            number, reports throws(KyroError) in
            guard let report = reports.first(where: { $0.number == number }) else {
                throw Self.notFound("server", number)
            }
            return .server(server(report))
        }
    }

    @Sendable func sockets(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        answer(reply) { () throws(KyroError) in
            try ChannelzPage.decode(wire: message, isOfServer: true)
        } with: { page, reports throws(KyroError) in
            guard let report = reports.first(where: { $0.number == page.serverNumber }) else {
                throw Self.notFound("server", page.serverNumber)
            }
            let (found, isLast) = Self.page(page, of: report.connections) { $0.number }
            return .sockets(found.map { ($0.number, Self.name($0.peer)) }, isLast: isLast)
        }
    }

    @Sendable func socket(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        answer(reply) { () throws(KyroError) in
            try ChannelzNumber.decode(wire: message)
        } with: {
            number, reports throws(KyroError) in
            for report in reports {
                for connection in report.connections where connection.number == number {
                    return .socket(socket(connection))
                }
            }
            throw Self.notFound("socket", number)
        }
    }

    /// Decodes, asks the transport, answers.
    private func answer<Request: Sendable>(
        _ reply: Reply, _ decode: () throws(KyroError) -> Request,
        with body:
            @escaping @Sendable (Request, [ServerReport]) throws(KyroError) -> ChannelzAnswer
    ) {
        do throws(KyroError) {
            let request = try decode()
            transport.report { reports in
                do throws(KyroError) {
                    reply.succeed(try body(request, reports).encodeWire())
                } catch {
                    reply.fail(error)
                }
            }
        } catch {
            reply.fail(error)
        }
    }

    private static func page<Item>(
        _ page: ChannelzPage, of items: [Item], _ number: (Item) -> Int64
    ) -> (found: [Item], isLast: Bool) {
        let rest = items.filter { number($0) >= page.start }
        let count = page.countMax == 0 ? resultsMax : min(Int(page.countMax), resultsMax)
        return (Array(rest.prefix(count)), rest.count <= count)
    }

    private static func notFound(_ kind: String, _ number: Int64) -> KyroError {
        KyroError(
            code: .notFound, reason: "NOT_FOUND", message: "this server has no \(kind) \(number)")
    }

    private func server(_ report: ServerReport) -> ChannelzServer {
        ChannelzServer(
            number: report.number, name: "port \(report.port)",
            callsStarted: report.totals.callsStarted, callsSucceeded: report.totals.callsSucceeded,
            callsFailed: report.totals.callsFailed, lastCallMillis: millis(report.totals.callNanos))
    }

    private func socket(_ report: ConnectionReport) -> ChannelzSocket {
        let traffic = report.traffic
        var socket = ChannelzSocket(number: report.number)
        socket.name = Self.name(report.peer)
        socket.streamsStarted = traffic.callsStarted
        socket.streamsSucceeded = traffic.streamsSucceeded
        socket.streamsFailed = traffic.streamsFailed
        socket.messagesSent = traffic.messagesSent
        socket.messagesReceived = traffic.messagesReceived
        socket.keepalivesSent = traffic.pingsSent
        socket.lastStreamMillis = millis(traffic.callNanos)
        socket.lastSentMillis = millis(traffic.sentNanos)
        socket.lastReceivedMillis = millis(traffic.receivedNanos)
        socket.local = Self.address(report.local)
        socket.remote = Self.address(report.peer)
        socket.cipher = report.cipher
        return socket
    }

    /// A loop's time as Unix time; 0 stays 0.
    private func millis(_ nanos: UInt64) -> Int64 {
        guard nanos > 0 else { return 0 }
        let now = EventLoop.monotonicNanos()
        return nowMillis() - Int64((now - min(nanos, now)) / 1_000_000)
    }

    private static func address(_ address: SocketAddress) -> ChannelzSocket.Address? {
        switch address {
        case .ip(let bytes, let port): .ip(bytes, port: port)
        case .unix(let path): .unix(path: path)
        case .unknown: nil
        }
    }

    private static func name(_ address: SocketAddress) -> String {
        switch address {
        case .ip(let bytes, let port) where bytes.count == 4:
            bytes.map { String($0) }.joined(separator: ".") + ":\(port)"
        case .ip(let bytes, let port):
            "["
                + stride(from: 0, to: bytes.count - 1, by: 2).map {
                    String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16)
                }.joined(separator: ":") + "]:\(port)"
        case .unix(let path): "unix:" + path
        case .unknown: ""
        }
    }
}
