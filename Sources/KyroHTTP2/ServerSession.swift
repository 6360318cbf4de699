// A server's end of a connection: bytes in, calls and messages out, and back. No I/O, no threads.
//
// Use: `receive` what the socket gave; take `nextEvent` until nil; `produce`; write
// `output[outputOffset...]` and say so with `outputWritten`; again while `wantsWrite`.

/// What a server learns of its calls, in order.
public enum ServerEvent {
    /// A well-formed gRPC request has begun; refused ones never show.
    case request(HTTP2Stream)
    case message(HTTP2Stream, [UInt8])
    /// The client sends no more messages.
    case halfClosed(HTTP2Stream)
    /// A request was answered by the session itself, and never shows otherwise.
    case refused(HTTP2Refusal)
    /// The request could not be read; the session has already answered with this status.
    case failed(HTTP2Stream, GRPCStatus)
    /// `queuedBytes` has fallen to the low-water mark.
    case writable(HTTP2Stream)
    /// The stream is gone, after a regular end or by a reset (`closeCode` is not 0). Comes once for
    /// every `request`.
    case closed(HTTP2Stream)
    case goAway(code: UInt32)
    case pong([UInt8])
}

/// Why a request never reaches a handler.
public enum HTTP2Refusal: Sendable {
    /// Another method than POST, or another content type.
    case notGRPC
    case metadataTooLarge
    /// grpc-timeout or base64 that cannot be read.
    case malformedMetadata
    case unknownEncoding
}

/// One thread at a time.
public final class ServerSession {
    let core: HTTP2Core
    private enum Drain { case none, noticed, final }
    private var drain = Drain.none
    private static let drainPing = Array("kyrodrai".utf8)

    public init(configuration: HTTP2Configuration = HTTP2Configuration()) {
        core = HTTP2Core(isServer: true, configuration: configuration)
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
    /// A monotonic clock; set it before `receive`, `produce` and `endOverdue`.
    public var nowNanos: UInt64 {
        get { core.nowNanos }
        set { core.nowNanos = newValue }
    }
    /// The client has said its preface and its first SETTINGS.
    public var isEstablished: Bool { core.scanner.hasSettings }
    /// When a header block began that is not complete.
    public var headerBlockSinceNanos: UInt64? { core.scanner.headerBlockSinceNanos }
    /// A part of a message is there on some stream.
    public var hasUnfinishedMessages: Bool { core.unfinishedStreams > 0 }
    /// The connection ends since the client floods it.
    public var abuse: HTTP2Abuse? { core.abuse }
    /// Of the GOAWAY that was sent; 0 without one, and when there was nothing wrong.
    public var goAwayCode: UInt32 { core.goAwayCode }
    /// Gives back what an idle connection does not need.
    public func releaseMemory() { core.releaseOutput() }
    /// Neither side has anything to say any more: close the socket.
    public var isFinished: Bool { !core.wantsRead && !core.wantsWrite }
    public var streamCount: Int { core.streamCount }
    /// Bytes accepted by `send`, over all streams, that are not yet in `output`.
    public var queuedBytes: Int { core.queuedBytes }
    /// Frames that wait besides: headers, resets, acknowledgements.
    public var queuedFrames: Int { core.queuedFrames }
    /// Requests and messages received and not yet reported by `nextEvent`.
    public var pendingCount: Int { core.pendingCount }
    /// `nextEvent` may have something to say.
    public var hasEvents: Bool { !core.events.isEmpty }

    // MARK: events

    public func nextEvent() -> ServerEvent? {
        while let event = core.events.popFirst() {
            switch event {
            case .head(let stream):
                core.pendingCount -= 1
                if stream.isClosed { continue }
                if let refusal = refusal(of: stream) { return .refused(refusal) }
                stream.headReported = true
                return .request(stream)
            case .readable(let stream):
                stream.isReadableQueued = false
                if let event = read(stream) { return event }
            case .drained(let stream):
                if !stream.isClosed { return .writable(stream) }
            case .closed(let stream):
                if stream.headReported { return .closed(stream) }
            case .goAway(let code):
                return .goAway(code: code)
            case .pong(let opaque):
                guard opaque == Self.drainPing, drain == .noticed else { return .pong(opaque) }
                finishDrain()
            }
        }
        return nil
    }

    /// The next thing the stream's reader is to learn, and the windows for what it has taken.
    private func read(_ stream: HTTP2Stream) -> ServerEvent? {
        if stream.isClosed { return nil }
        if stream.discardsInput, stream.inputFailure == nil || stream.endReported {
            core.dropInbox(stream)
            core.acknowledge(stream)
            return nil
        }
        if stream.isReadingPaused { return nil }
        if let message = core.popMessage(stream) {
            switch core.decode(message, of: stream) {
            case .success(let bytes):
                stream.wasCompressed = message.isCompressed
                return .message(stream, bytes)
            case .failure(let status): return fail(stream, status)
            }
        }
        core.acknowledge(stream)
        if let status = stream.inputFailure { return fail(stream, status) }
        guard stream.remoteEnded, !stream.endReported else { return nil }
        guard stream.assembler.isEmpty else {
            return fail(
                stream,
                GRPCStatus(code: GRPCCode.internal, message: "the last message was cut short"))
        }
        stream.endReported = true
        core.releaseKept(stream)
        return .halfClosed(stream)
    }

    private func fail(_ stream: HTTP2Stream, _ status: GRPCStatus) -> ServerEvent {
        stream.endReported = true
        core.discardInput(stream)
        stream.inputFailure = status
        finish(stream, status)
        return .failed(stream, status)
    }

    // MARK: requests

    /// Why the request is refused; it is answered then.
    private func refusal(of stream: HTTP2Stream) -> HTTP2Refusal? {
        if stream.head.isTooLarge {
            let limit = core.configuration.headerListBytesMax
            refuse(
                stream, GRPCCode.resourceExhausted, "request metadata exceeds \(limit) bytes")
            return .metadataTooLarge
        } else if !stream.head.isPost {
            refuse(stream, httpStatus: "405")
            return .notGRPC
        } else if !stream.head.isGRPC {
            refuse(stream, httpStatus: "415")
            return .notGRPC
        } else if stream.head.isMalformed {
            refuse(
                stream, GRPCCode.internal, "malformed grpc-timeout or binary metadata")
            return .malformedMetadata
        } else if stream.head.encoding == nil {
            refuse(
                stream, GRPCCode.unimplemented,
                "grpc-encoding is not one of \(MessageEncoding.accepted)")
            return .unknownEncoding
        }
        return nil
    }

    private func refuse(_ stream: HTTP2Stream, _ code: Int32, _ message: String) {
        core.discardInput(stream)
        finish(stream, GRPCStatus(code: code, message: message))
    }

    private func refuse(_ stream: HTTP2Stream, httpStatus: StaticString) {
        core.discardInput(stream)
        stream.localEnded = true
        var block = HeaderBlock()
        block.add(":status", httpStatus)
        if httpStatus.description == "405" { block.add("allow", "POST") }
        core.submitHeaderOnly(block, stream)
    }

    // MARK: responses

    /// Optional, and only before the first message; later ones are ignored.
    public func sendInitialMetadata(_ metadata: GRPCMetadata, on stream: HTTP2Stream) {
        guard !stream.headersSubmitted, !stream.localEnded, !stream.isClosed else { return }
        let asked = stream.head.encoding ?? .identity
        if asked != .identity || stream.offersCompression {
            stream.sendEncoding = stream.head.accepted.best(for: asked)
        }
        if metadata.isEmpty, stream.sendEncoding == .identity {
            core.submitResponse(nil, stream)
            return
        }
        var block = HeaderBlock()
        block.add(":status", "200")
        block.add("content-type", "application/grpc")
        block.add("grpc-accept-encoding", MessageEncoding.accepted)
        if stream.sendEncoding != .identity {
            block.add("grpc-encoding", stream.sendEncoding.name)
        }
        block.add(metadata)
        core.submitResponse(block, stream)
    }

    /// Names an encoding in the response's header, where the client accepts one, also if its
    /// request used none. Before the header, which the first message sends at the latest.
    ///
    /// Without it a client is answered as it asks: compressed where its requests may be. That it
    /// accepts compression is no reason; every gRPC client does, and most are near.
    public func offerCompression(on stream: HTTP2Stream) { stream.offersCompression = true }

    /// Queues one message. After `finish` or the end of the stream it is dropped.
    /// - Parameter compressed: nil where it gains by it; true and false say so, as far as the
    ///   header named an encoding.
    /// - Precondition: the message has at most `sentMessageBytesMax` bytes.
    public func send(_ message: [UInt8], on stream: HTTP2Stream, compressed: Bool? = nil) {
        guard !stream.localEnded, !stream.isClosed else { return }
        precondition(
            message.count <= sentMessageBytesMax,
            "\(message.count) bytes, \(sentMessageBytesMax) at most")
        if !stream.headersSubmitted { sendInitialMetadata([], on: stream) }
        core.enqueue(core.encode(message, of: stream, compressed: compressed), on: stream)
    }

    public var sentMessageBytesMax: Int { core.configuration.sentMessageBytesMax }

    /// Ends the call behind the messages queued; the first one counts. Input is dropped from here.
    public func finish(
        _ stream: HTTP2Stream, _ status: GRPCStatus, trailers: GRPCMetadata = []
    ) {
        guard !stream.localEnded, !stream.isClosed else { return }
        stream.localEnded = true
        core.discardInput(stream)
        if !stream.isReadableQueued, stream.unacknowledgedBytes > 0 { core.queueReadable(stream) }
        if stream.headersSubmitted {
            stream.finalStatus = status
            stream.finalTrailers = trailers
            core.resume(stream)
            return
        }
        var block = HeaderBlock()
        block.add(":status", "200")
        block.add("content-type", "application/grpc")
        if status.code == GRPCCode.unimplemented {
            block.add("grpc-accept-encoding", MessageEncoding.accepted)
        }
        block.add(status)
        block.add(trailers)
        core.submitHeaderOnly(block, stream)
    }

    /// Ends the call now and drops what is queued (RST_STREAM; 8 is CANCEL).
    public func reset(_ stream: HTTP2Stream, code: UInt32 = 8) { core.reset(stream, code: code) }

    // MARK: flow control

    /// No more messages of this stream are reported and its window is not reopened: the peer stops
    /// after `streamWindowBytes`.
    public func pauseReading(_ stream: HTTP2Stream) { stream.isReadingPaused = true }

    /// What waits is reported by `nextEvent`: go on taking events.
    public func resumeReading(_ stream: HTTP2Stream) {
        guard stream.isReadingPaused else { return }
        stream.isReadingPaused = false
        core.queueReadable(stream)
    }

    /// Counts a message that its reader keeps until the client ends its side or the stream closes.
    /// - Returns: false when the connection keeps `unfinishedBytesMax` already: refuse the call.
    public func hold(_ byteCount: Int, of stream: HTTP2Stream) -> Bool {
        core.keep(byteCount, of: stream)
    }

    // MARK: connection

    /// Asks the client to open no more calls; those that are on their way are still taken, until
    /// the answer to a ping shows that it knows, then a second GOAWAY fixes the last one.
    public func beginDrain() {
        guard drain == .none else { return }
        drain = .noticed
        core.submitShutdownNotice()
        core.submitPing(Self.drainPing)
    }

    /// The second GOAWAY at once: for a client that does not answer the ping.
    public func finishDrain() {
        guard drain != .final else { return }
        drain = .final
        core.submitGoAway(code: 0)
    }

    /// GOAWAY, and the end (2 is INTERNAL_ERROR, 11 ENHANCE_YOUR_CALM).
    public func terminate(code: UInt32 = 0) { core.terminate(code: code) }

    /// The socket is gone: every stream closes with CANCEL; take the events.
    public func connectionLost() { core.closeAll(code: 8) }

    /// - Parameter opaque: eight bytes that come back in `pong`.
    public func ping(_ opaque: [UInt8]) { core.submitPing(opaque) }
}
