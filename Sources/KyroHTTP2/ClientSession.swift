// A client's end of a connection: calls and messages in, bytes out, and back. No I/O, no threads.
//
// Use: `open` and `send`; `produce`; write `output[outputOffset...]` and say so with
// `outputWritten`; `receive` what the socket gave; take `nextEvent` until nil; again while
// `wantsWrite`. The connection preface is part of the output.

/// What a client learns of its calls, in order. `finished` comes exactly once for each.
public enum ClientEvent {
    case initialMetadata(HTTP2Stream, GRPCMetadata)
    case message(HTTP2Stream, [UInt8])
    /// Nothing follows for this call.
    case finished(HTTP2Stream, GRPCStatus, trailers: GRPCMetadata)
    /// `queuedBytes` has fallen to the low-water mark.
    case writable(HTTP2Stream)
    /// The server takes no more calls on this connection; those it took go on.
    case goAway(code: UInt32)
    case pong([UInt8])
}

/// One thread at a time.
public final class ClientSession {
    private let core: HTTP2Core
    public private(set) var isGoingAway = false
    /// What `:authority` says.
    public let authority: String
    private let scheme: String
    private let userAgent: String

    /// - Parameters:
    ///   - authority: host and port the server is known by.
    ///   - scheme: "https" under TLS.
    public init(
        authority: String, scheme: String = "http", userAgent: String = "kyrodb-swift",
        configuration: HTTP2Configuration = HTTP2Configuration()
    ) {
        self.authority = authority
        self.scheme = scheme
        self.userAgent = userAgent
        core = HTTP2Core(isServer: false, configuration: configuration)
    }

    // MARK: bytes

    /// After a throw the connection is of no more use: call `connectionLost` and close.
    public func receive(_ bytes: [UInt8], count: Int? = nil) throws(HTTP2Error) {
        try core.receive(bytes, count: count ?? bytes.count)
    }

    /// Fills `output` from what streams have queued, as far as windows and `outputBytesMax` allow.
    public func produce() throws(HTTP2Error) { try core.produce() }

    public var output: [UInt8] { core.output }
    public var outputOffset: Int { core.outputOffset }
    public func outputWritten(_ count: Int) { core.outputWritten(count) }
    public var wantsWrite: Bool { core.wantsWrite }
    /// Neither side has anything to say any more: close the socket.
    public var isFinished: Bool { !core.wantsRead && !core.wantsWrite }
    public var streamCount: Int { core.streamCount }
    /// Bytes accepted by `send`, over all streams, that are not yet in `output`.
    public var queuedBytes: Int { core.queuedBytes }
    /// Requests and messages received and not yet reported by `nextEvent`.
    public var pendingCount: Int { core.pendingCount }
    /// `nextEvent` may have something to say.
    public var hasEvents: Bool { !core.events.isEmpty }

    // MARK: calls

    /// Begins a call. Calls above the server's limit wait inside the session.
    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - timeoutNanos: sent as `grpc-timeout`; the caller watches its own clock besides.
    ///   - encoding: messages that gain by it are sent so.
    public func open(
        path: String, timeoutNanos: UInt64? = nil, metadata: GRPCMetadata = [],
        encoding: MessageEncoding = .identity
    ) throws(HTTP2Error) -> HTTP2Stream {
        guard !isGoingAway else { throw .noMoreStreams }
        let stream = HTTP2Stream()
        stream.sendEncoding = encoding
        var block = HeaderBlock()
        block.add(":method", "POST")
        block.add(":scheme", scheme)
        block.add(":path", path)
        block.add(":authority", authority)
        block.add("content-type", "application/grpc")
        block.add("te", "trailers")
        block.add("user-agent", userAgent)
        block.add("grpc-accept-encoding", MessageEncoding.accepted)
        if encoding != .identity { block.add("grpc-encoding", encoding.name) }
        if let timeoutNanos {
            block.add("grpc-timeout", GRPCTimeout.format(nanos: timeoutNanos), indexed: false)
        }
        block.add(metadata)
        try core.submitRequest(block, stream)
        return stream
    }

    /// Queues one message; dropped after `halfClose` or the end of the call. One above
    /// `sentMessageBytesMax` ends the call with RESOURCE_EXHAUSTED.
    public func send(_ message: [UInt8], on stream: HTTP2Stream) {
        guard !stream.localEnded, !stream.isClosed else { return }
        let limit = core.configuration.sentMessageBytesMax
        guard message.count <= limit else {
            let status = GRPCStatus(
                code: GRPCCode.resourceExhausted,
                message: "message of \(message.count) bytes is larger than the limit of \(limit)")
            return end(stream, status)
        }
        core.enqueue(core.encode(message, of: stream), on: stream)
    }

    /// No message follows the ones queued.
    public func halfClose(_ stream: HTTP2Stream) {
        guard !stream.localEnded, !stream.isClosed else { return }
        stream.localEnded = true
        core.resume(stream)
    }

    /// Ends the call: `finished` with CANCELLED follows. `produce` tells the server.
    public func cancel(_ stream: HTTP2Stream) {
        end(stream, GRPCStatus(code: GRPCCode.cancelled, message: "the call was cancelled"))
    }

    /// Resets the call; `finished` with `status` follows.
    private func end(_ stream: HTTP2Stream, _ status: GRPCStatus) {
        guard !stream.endReported, !stream.isClosed else { return }
        stream.discardsInput = true
        core.dropInbox(stream)
        stream.isReadingPaused = false
        stream.inputFailure = status
        core.reset(stream, code: 8)
        core.queueReadable(stream)
    }

    // MARK: flow control

    /// No more messages of this call are reported and its window is not reopened: the server stops
    /// after `streamWindowBytes`.
    public func pauseReading(_ stream: HTTP2Stream) { stream.isReadingPaused = true }

    /// What waits is reported by `nextEvent`: go on taking events.
    public func resumeReading(_ stream: HTTP2Stream) {
        guard stream.isReadingPaused else { return }
        stream.isReadingPaused = false
        core.queueReadable(stream)
    }

    // MARK: events

    public func nextEvent() -> ClientEvent? {
        while let event = core.events.popFirst() {
            switch event {
            case .head(let stream):
                core.pendingCount -= 1
                // A header that ends the stream is the trailer of a call without messages.
                if stream.remoteEnded, stream.inbox.isEmpty, stream.trailers.isEmpty,
                    stream.head.status != nil
                {
                    stream.trailers = stream.metadata
                    continue
                }
                return .initialMetadata(stream, stream.metadata)
            case .readable(let stream):
                stream.isReadableQueued = false
                if let event = read(stream) { return event }
            case .drained(let stream):
                if !stream.isClosed { return .writable(stream) }
            case .closed(let stream):
                core.queueReadable(stream)
            case .goAway(let code):
                isGoingAway = true
                return .goAway(code: code)
            case .pong(let opaque):
                return .pong(opaque)
            }
        }
        return nil
    }

    private func read(_ stream: HTTP2Stream) -> ClientEvent? {
        if stream.endReported {
            core.acknowledge(stream)
            return nil
        }
        if stream.isReadingPaused { return nil }
        if let message = core.popMessage(stream) {
            switch core.decode(message, of: stream) {
            case .success(let bytes):
                stream.wasCompressed = message.isCompressed
                return .message(stream, bytes)
            case .failure(let status):
                core.reset(stream, code: 8)
                return finish(stream, status)
            }
        }
        core.acknowledge(stream)
        if let status = stream.inputFailure {
            core.reset(stream, code: 8)
            return finish(stream, status)
        }
        guard stream.remoteEnded || stream.isClosed else { return nil }
        return finish(stream, status(of: stream))
    }

    private func finish(_ stream: HTTP2Stream, _ status: GRPCStatus) -> ClientEvent {
        stream.endReported = true
        stream.discardsInput = true
        core.dropInbox(stream)
        // The server has said everything: what is still queued here would reach nobody.
        if !stream.localEnded { core.reset(stream, code: 8) }
        return .finished(stream, status, trailers: stream.trailers)
    }

    private func status(of stream: HTTP2Stream) -> GRPCStatus {
        if let code = stream.head.status {
            return GRPCStatus(
                code: code, message: PercentEncoding.decode(stream.head.message),
                details: stream.head.details)
        }
        if isLost {
            return GRPCStatus(code: GRPCCode.unavailable, message: "the connection was lost")
        }
        if stream.isClosed, stream.closeCode != 0 {
            return GRPCStatus(
                code: GRPCCode.from(resetCode: stream.closeCode),
                message: "the stream was reset with HTTP/2 error \(stream.closeCode)")
        }
        let http = stream.head.httpStatus
        guard http == 200 else {
            return GRPCStatus(
                code: GRPCCode.from(httpStatus: http), message: "the server said HTTP \(http)")
        }
        return GRPCStatus(
            code: GRPCCode.internal, message: "the response ended without grpc-status")
    }

    // MARK: connection

    private var isLost = false

    /// The socket is gone: every call ends with UNAVAILABLE; take the events.
    public func connectionLost() {
        isLost = true
        isGoingAway = true
        core.closeAll(code: 2)
    }

    /// - Parameter opaque: eight bytes that come back in `pong`.
    public func ping(_ opaque: [UInt8]) { core.submitPing(opaque) }

    /// GOAWAY, and the end.
    public func terminate() { core.terminate(code: 0) }
}
