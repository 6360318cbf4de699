// The boundary between the transport and the services: one call.
import KyroHTTP2
import KyroModel
import KyroPlatform

/// What a service method sees of a call. Lives on its loop and is touched only there; from other
/// threads come back with `call.loop.execute { … }`.
///
/// `@unchecked Sendable`: only so that closures may carry it back to its loop.
public final class ServerCall: @unchecked Sendable {
    /// `/kyrodb.v2.Search/Search`
    public let path: String
    /// The request's, in wire order; `-bin` values are decoded.
    public let metadata: GRPCMetadata
    /// Set when the client resets the call or disconnects, and when its time is up.
    public let cancellation = Cancellation()
    /// From `grpc-timeout`, on the clock of `EventLoop.monotonicNanos`. The transport ends the call
    /// with DEADLINE_EXCEEDED by itself.
    public let deadlineNanos: UInt64?
    public let loop: EventLoop

    /// Names the call within the process; for logs.
    var number: UInt64 = 0
    /// Of `CallLayout`.
    var method = CallLayout.unknownMethod
    var begunNanos: UInt64 = 0

    let stream: HTTP2Stream
    /// nil once the stream is gone. Strong on purpose: a weak reference would make every retain of
    /// the connection slow.
    var connection: Connection?
    var handler: CallHandler?
    var deadlineTimer: LoopTimer?
    public private(set) var isFinished = false
    /// What `finish` was told; nil for a call that went without.
    public private(set) var status: GRPCStatus?
    /// Set where callers must say who they are.
    var access: CallAccess?
    /// Whose turn its work takes on the pool.
    var lane: UInt64 = 0
    /// The client's address, where its connection is still there.
    var peer: String { connection?.peer ?? "" }

    init(stream: HTTP2Stream, connection: Connection, loop: EventLoop) {
        path = stream.path
        metadata = stream.metadata
        deadlineNanos = stream.timeoutNanos.map { nanos in
            let (sum, overflow) = EventLoop.monotonicNanos().addingReportingOverflow(nanos)
            return overflow ? .max : sum
        }
        self.stream = stream
        self.connection = connection
        self.loop = loop
    }

    /// Optional, before the first message.
    public func sendInitialMetadata(_ metadata: GRPCMetadata) {
        guard !isFinished, let connection else { return }
        connection.session.sendInitialMetadata(metadata, on: stream)
        connection.scheduleFlush()
    }

    /// Queues one message. Dropped after `finish` and after the call was cancelled; ends the call
    /// with RESOURCE_EXHAUSTED where the client leaves too many answers unread.
    public func send(_ message: [UInt8]) {
        guard !isFinished, let connection else { return }
        guard connection.takesAnswers else {
            return finish(
                GRPCStatus(
                    code: GRPCCode.resourceExhausted,
                    message: "too many answers of this connection wait to be read"))
        }
        connection.session.send(message, on: stream)
        connection.scheduleFlush()
    }

    /// Ends the call behind the messages queued. The first one counts.
    public func finish(_ status: GRPCStatus, trailers: GRPCMetadata = []) {
        guard !isFinished, let connection else { return }
        isFinished = true
        self.status = status
        #if !KYRODB_WITHOUT_METRICS
            if let calls = connection.calls {
                calls.end(self, code: status.code)
                if !status.isOK || !metadata.isEmpty {
                    connection.session.finish(
                        stream, status, trailers: trailers + calls.names(for: self, status))
                    return connection.scheduleFlush()
                }
            }
        #endif
        connection.session.finish(stream, status, trailers: trailers)
        connection.scheduleFlush()
    }

    /// Bytes accepted by `send` that wait for the client's window: they are not yet in the output
    /// of the connection, which holds at most `HTTP2Configuration.outputBytesMax` besides.
    public var queuedBytes: Int { stream.queuedBytes }

    /// Counts a request message that the handler keeps until the client ends its side; the count is
    /// given back then, or when the call closes.
    /// - Returns: false when the connection's calls keep too much already: end the call with
    ///   `KyroError.keepsTooMuch`.
    public func hold(_ byteCount: Int) -> Bool {
        guard !isFinished, let connection else { return true }
        return connection.session.hold(byteCount, of: stream)
    }

    /// Who wants the client to wait; it is read when nobody does.
    public struct Pauses: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let handler = Pauses(rawValue: 1)
        public static let quota = Pauses(rawValue: 2)
    }

    private var pauses: Pauses = []

    /// Stops taking request messages: the client's window is not reopened.
    public func pauseReading(by reason: Pauses = .handler) {
        guard !isFinished else { return }
        pauses.insert(reason)
        connection?.session.pauseReading(stream)
    }

    public func resumeReading(by reason: Pauses = .handler) {
        pauses.remove(reason)
        guard pauses.isEmpty, !isFinished, let connection, stream.isReadingPaused else { return }
        connection.session.resumeReading(stream)
        connection.scheduleFlush()
    }

    /// The call is over for its handler, whatever is still on its way to the client.
    /// - Parameter code: how it ended, where no `finish` has said so.
    func release(_ cause: Cancellation.Cause?, code: Int32 = GRPCCode.cancelled) {
        if let cause { cancellation.cancel(cause) }
        #if !KYRODB_WITHOUT_METRICS
            if !isFinished { connection?.calls?.end(self, code: code) }
        #endif
        isFinished = true
        if let deadlineTimer { loop.cancel(deadlineTimer) }
        deadlineTimer = nil
        guard let handler else { return }
        self.handler = nil
        handler.closed(call: self)
    }
}

/// Serves one call; called on the call's loop.
public protocol CallHandler: AnyObject {
    /// Each request message, in order.
    func receive(_ message: [UInt8], call: ServerCall)
    /// The client ended its side.
    func halfClosed(call: ServerCall)
    /// `queuedBytes` fell to the low-water mark.
    func writable(call: ServerCall)
    /// Cancelled, disconnected, failed or finished; comes exactly once. Release things.
    func closed(call: ServerCall)
}

public protocol CallDispatcher: Sendable {
    /// nil: no such method; the call ends with UNIMPLEMENTED.
    ///
    /// A handler may also `finish` the call here, and return nil.
    func handler(for call: ServerCall) -> CallHandler?
}
