// A blocking connection to one server, for one thread.
import KyroHTTP2
import KyroModel
import KyroWire

public struct Timeouts: Sendable {
    public var connectMillis: Int64
    /// Of calls that name no other.
    public var callMillis: Int64

    public init(connectMillis: Int64 = 5_000, callMillis: Int64 = 30_000) {
        self.connectMillis = connectMillis
        self.callMillis = callMillis
    }
}

/// Carries calls to one server over one socket. Every method blocks its thread; a connection and
/// its calls belong to one thread, and threads take a connection each. A connection that was lost
/// ends its calls with UNAVAILABLE; the next call connects anew.
public final class Connection {
    public let endpoint: Endpoint
    public var timeouts: Timeouts
    /// Sent with every call, such as an authorization.
    public var metadata: GRPCMetadata = []
    private var link: Link

    /// A socket and the session over it: they live and end together.
    private struct Link {
        let socket: Socket
        let session: ClientSession
        var isLost = false
    }

    public convenience init(
        host: String, port: UInt16, timeouts: Timeouts = Timeouts()
    ) throws(KyroError) {
        try self.init(to: .tcp(host: host, port: port), timeouts: timeouts)
    }

    public init(to endpoint: Endpoint, timeouts: Timeouts = Timeouts()) throws(KyroError) {
        self.endpoint = endpoint
        self.timeouts = timeouts
        link = try Self.connect(to: endpoint, timeouts: timeouts)
    }

    deinit { close() }

    private static func connect(
        to endpoint: Endpoint, timeouts: Timeouts
    ) throws(KyroError) -> Link {
        let deadline = monotonicNanos() + timeouts.connectMillis * 1_000_000
        do {
            return Link(
                socket: try Socket.connect(to: endpoint, deadlineNanos: deadline),
                session: ClientSession(authority: endpoint.authority))
        } catch {
            throw .unreachable(endpoint, error)
        }
    }

    // MARK: calls

    /// Sends one message and waits for the one that answers it.
    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - timeoutMillis: nil for the connection's own.
    public func unary(
        _ path: String, _ message: [UInt8], timeoutMillis: Int64? = nil
    ) throws(KyroError) -> [UInt8] {
        let timeout = timeoutMillis ?? timeouts.callMillis
        let call = try open(path, timeoutMillis: timeout)
        call.holdsBack = false
        link.session.send(message, on: call.stream)
        link.session.halfClose(call.stream)
        let deadline = monotonicNanos() + timeout * 1_000_000
        while !call.isFinished {
            guard advance(deadlineNanos: deadline) else {
                call.cancel()
                throw .deadline(path, afterMillis: timeout)
            }
        }
        return try call.onlyMessage()
    }

    /// Begins a call of any kind.
    /// - Parameter timeoutMillis: of the whole call, told to the server; nil for no limit.
    public func open(_ path: String, timeoutMillis: Int64? = nil) throws(KyroError) -> Call {
        if link.isLost || link.session.isGoingAway {
            link = try Self.connect(to: endpoint, timeouts: timeouts)
        }
        do {
            let stream = try link.session.open(
                path: path, timeoutNanos: timeoutMillis.map { UInt64(max(1, $0)) * 1_000_000 },
                metadata: metadata)
            let call = Call(connection: self, session: link.session, stream: stream, path: path)
            stream.context = call
            return call
        } catch {
            lose()
            throw .broken(endpoint, error)
        }
    }

    /// Says goodbye and ends every call.
    public func close() {
        guard !link.isLost else { return }
        link.session.terminate()
        _ = flush()
        lose()
    }

    // MARK: moving bytes

    /// Sends what waits, then waits for bytes and hands out what they mean. False when the deadline
    /// passed without a byte; a lost connection is told through the calls it ends.
    func advance(deadlineNanos: Int64) -> Bool {
        guard !link.isLost else { return true }
        let isFlushed = flush()
        guard !link.isLost else { return true }
        do {
            if !isFlushed {
                // The server may be waiting for us to read: look at both directions.
                guard try link.socket.wait(for: Socket.eitherWay, deadlineNanos: deadlineNanos)
                else { return false }
            }
            let deadline = isFlushed ? deadlineNanos : 0
            switch try link.socket.receive(deadlineNanos: deadline) {
            case .bytes(let count):
                do {
                    try link.session.receive(link.socket.input, count: count)
                } catch {
                    lose()
                    return true
                }
                deliver()
                return true
            case .nothingYet: return !isFlushed
            case .closed: lose()
            }
        } catch {
            lose()
        }
        return true
    }

    /// Hands what is queued to the system; false when it cannot take all of it now.
    @discardableResult
    func flush() -> Bool {
        while !link.isLost {
            do {
                try link.session.produce()
            } catch {
                lose()
                return true
            }
            let waiting = link.session.output.count - link.session.outputOffset
            if waiting == 0 { return true }
            do {
                let sent = try link.socket.send(
                    link.session.output, from: link.session.outputOffset)
                link.session.outputWritten(sent)
                if sent < waiting { return false }
            } catch {
                lose()
            }
        }
        return true
    }

    private func lose() {
        guard !link.isLost else { return }
        link.isLost = true
        link.socket.disconnect()
        link.session.connectionLost()
        deliver()
    }

    /// Hands the session's events to the calls they belong to.
    func deliver() {
        while let event = link.session.nextEvent() {
            switch event {
            case .initialMetadata(let stream, let metadata):
                (stream.context as? Call)?.received(initialMetadata: metadata)
            case .message(let stream, let bytes):
                (stream.context as? Call)?.received(message: bytes)
            case .finished(let stream, let status, let trailers):
                (stream.context as? Call)?.received(status: status, trailers: trailers)
                stream.context = nil
            case .writable, .goAway, .pong: break
            }
        }
    }
}
