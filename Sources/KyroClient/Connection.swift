// A blocking connection to one server, for one thread.
import KyroHTTP2
import KyroModel
import KyroTLS
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

/// How the bytes of a connection travel.
public enum TransportSecurity: Equatable, Sendable {
    case plaintext
    /// TLS 1.2 or newer. The server's certificate must name the endpoint's host and lead to an
    /// authority in this PEM file; nil: to one the operating system trusts.
    case tls(authoritiesFile: String?, certificate: ClientCertificate? = nil)
}

/// PEM files by which a client says who it is.
public struct ClientCertificate: Equatable, Sendable {
    public var certificateFile: String
    public var privateKeyFile: String

    public init(certificateFile: String, privateKeyFile: String) {
        self.certificateFile = certificateFile
        self.privateKeyFile = privateKeyFile
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
    private let tls: TLSContext?
    private var link: Link

    public convenience init(
        host: String, port: UInt16, timeouts: Timeouts = Timeouts(),
        security: TransportSecurity = .plaintext
    ) throws(KyroError) {
        try self.init(
            to: .tcp(host: host, port: port), timeouts: timeouts, security: security)
    }

    public init(
        to endpoint: Endpoint, timeouts: Timeouts = Timeouts(),
        security: TransportSecurity = .plaintext
    ) throws(KyroError) {
        self.endpoint = endpoint
        self.timeouts = timeouts
        switch security {
        case .plaintext: tls = nil
        case .tls(let authoritiesFile, let certificate):
            do {
                tls = try TLSContext.client(
                    authoritiesFile: authoritiesFile,
                    certificate: certificate.map { ($0.certificateFile, $0.privateKeyFile) })
            } catch {
                throw .unreachable(endpoint, error)
            }
        }
        link = try Link(to: endpoint, tls: tls, timeouts: timeouts)
    }

    deinit { close() }

    /// Sends an API key or a token with every call from now on.
    /// - Parameter allowsPlaintext: also where it would cross a network that anybody may read.
    /// - Throws: INVALID_FIELD for a key that would, and for one that no header can carry.
    public func authorize(bearer key: String, allowsPlaintext: Bool = false) throws(KyroError) {
        guard tls != nil || endpoint.isLocal || allowsPlaintext else {
            throw .invalid(
                "the API key",
                "would travel to \(endpoint) in plaintext; talk TLS, or insist by --insecure")
        }
        guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .invalid("the API key", "is empty or has characters that no key has")
        }
        metadata.removeAll { $0.name == "authorization" }
        metadata.append(("authorization", Array("Bearer \(key)".utf8)))
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
            // Nobody would read the old socket any more: its calls end, and streams resume.
            lose()
            link = try Link(to: endpoint, tls: tls, timeouts: timeouts)
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
                if link.take(count) { deliver(link.session) } else { lose() }
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
            do {
                guard link.hasOutput else { return true }
                guard try link.send() else { return false }
            } catch {
                lose()
            }
        }
        return true
    }

    private func lose() {
        guard !link.isLost else { return }
        link.lose()
        deliver(link.session)
    }

    /// Hands a session's events to the calls they belong to.
    /// - Parameter session: this connection's, or the one that it had when a call was opened.
    func deliver(_ session: ClientSession) {
        while let event = session.nextEvent() {
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
