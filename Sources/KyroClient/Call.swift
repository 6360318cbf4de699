// One call: messages out, messages in, and how it ended.
import KyroHTTP2
import KyroModel

/// Belongs to its connection's thread.
public final class Call {
    private let connection: Connection
    private let session: ClientSession
    let stream: HTTP2Stream
    public let path: String

    private var inbox: [[UInt8]] = []
    /// First of `inbox` that was not taken.
    private var inboxStart = 0
    private var inboxBytes = 0
    private var status: GRPCStatus?
    /// False where the whole answer is awaited before any of it is taken.
    var holdsBack = true
    public private(set) var initialMetadata: GRPCMetadata = []
    public private(set) var trailers: GRPCMetadata = []

    /// Received bytes that wait here above which the server is held back.
    private static let inboxBytesMax = 4 << 20
    /// Unsent bytes above which `send` waits.
    private static let outboxBytesMax = 1 << 20

    init(connection: Connection, session: ClientSession, stream: HTTP2Stream, path: String) {
        self.connection = connection
        self.session = session
        self.stream = stream
        self.path = path
    }

    /// The server has ended the call, or the connection is gone. Messages may still wait.
    public var isFinished: Bool { status != nil }

    // MARK: sending

    /// Hands `message` over; waits while the server does not take what was sent before. Messages
    /// that arrive meanwhile are kept for `receive`.
    public func send(_ message: [UInt8], timeoutMillis: Int64? = nil) throws(KyroError) {
        try failIfFinished()
        session.send(message, on: stream)
        connection.flush()
        guard stream.queuedBytes > Self.outboxBytesMax else { return }
        let timeout = timeoutMillis ?? connection.timeouts.callMillis
        let deadline = monotonicNanos() + timeout * 1_000_000
        while stream.queuedBytes > Self.outboxBytesMax, !isFinished {
            guard connection.advance(deadlineNanos: deadline) else {
                throw .deadline(path, afterMillis: timeout)
            }
        }
    }

    /// No message follows.
    public func halfClose() {
        session.halfClose(stream)
        connection.flush()
    }

    /// Ends the call; the server stops its work. What was not received is lost.
    public func cancel() {
        guard !isFinished else { return }
        session.cancel(stream)
        connection.flush()
        connection.deliver()
    }

    // MARK: receiving

    /// The next message; nil when the server ended the call well.
    /// - Throws: what the server said; DEADLINE_EXCEEDED when nothing came in time, after which the
    ///   call goes on.
    public func receive(timeoutMillis: Int64? = nil) throws(KyroError) -> [UInt8]? {
        if let message = take() { return message }
        let timeout = timeoutMillis ?? connection.timeouts.callMillis
        let deadline = monotonicNanos() + timeout * 1_000_000
        while true {
            if let message = take() { return message }
            if let status {
                guard status.isOK else { throw KyroError(status, endpoint: connection.endpoint) }
                return nil
            }
            guard connection.advance(deadlineNanos: deadline) else {
                throw .deadline(path, afterMillis: timeout)
            }
        }
    }

    /// A message that is there already; nil where there is none. Never waits.
    public func receiveNow() -> [UInt8]? {
        if let message = take() { return message }
        _ = connection.advance(deadlineNanos: 0)
        return take()
    }

    private func take() -> [UInt8]? {
        guard inboxStart < inbox.count else { return nil }
        let message = inbox[inboxStart]
        inboxStart += 1
        inboxBytes -= message.count
        if inboxStart == inbox.count {
            inbox.removeAll(keepingCapacity: true)
            inboxStart = 0
        }
        if stream.isReadingPaused, inboxBytes <= Self.inboxBytesMax / 2 {
            session.resumeReading(stream)
            connection.deliver()
            connection.flush()
        }
        return message
    }

    /// The answer of a unary call that has finished.
    func onlyMessage() throws(KyroError) -> [UInt8] {
        try failIfFinished()
        guard inbox.count == 1 else {
            throw KyroError(
                code: .internal, reason: KyroError.Reason.malformedMessage.rawValue,
                message: "\(path) answered \(inbox.count) messages where one belongs")
        }
        return inbox[0]
    }

    private func failIfFinished() throws(KyroError) {
        guard let status, !status.isOK else { return }
        throw KyroError(status, endpoint: connection.endpoint)
    }

    // MARK: what the connection tells

    func received(initialMetadata: GRPCMetadata) { self.initialMetadata = initialMetadata }

    func received(message: [UInt8]) {
        inbox.append(message)
        inboxBytes += message.count
        if holdsBack, inboxBytes > Self.inboxBytesMax { session.pauseReading(stream) }
    }

    func received(status: GRPCStatus, trailers: GRPCMetadata) {
        self.status = status
        self.trailers = trailers
    }
}
