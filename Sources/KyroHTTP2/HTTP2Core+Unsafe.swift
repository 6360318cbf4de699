// The binding to libnghttp2 1.52: one connection, either end, without I/O.
//
// Bytes go in through `receive`; C callbacks only change streams and append to `events`; frames come
// out through `produce`, on demand. Nothing is received or produced inside a callback.
import CNGHTTP2

/// What happened on the wire; the sessions make their public events of it.
enum WireEvent {
    /// A header block is complete: request at a server, response or trailers at a client.
    case head(HTTP2Stream)
    /// Messages or the end of input wait in the stream.
    case readable(HTTP2Stream)
    case drained(HTTP2Stream)
    case closed(HTTP2Stream)
    case goAway(code: UInt32)
    case pong([UInt8])
}

/// Thread-bound: one thread at a time, and never from within its own callbacks.
@safe final class HTTP2Core {
    let isServer: Bool
    let configuration: HTTP2Configuration
    private let session: OpaquePointer

    var events = FIFO<WireEvent>()
    /// Serialised frames; `[outputOffset, count)` waits for the socket.
    private(set) var output: [UInt8] = []
    private(set) var outputOffset = 0
    var paths = PathTable()

    /// Keeps streams alive while nghttp2 holds their address.
    private(set) var live: [HTTP2Stream?] = []
    private var freeSlots: [Int] = []
    private(set) var streamCount = 0

    /// DATA bytes on all streams that were not taken.
    private(set) var heldBytes = 0
    /// DATA bytes whose connection window was not given back.
    private var connectionUnacknowledgedBytes = 0
    /// Server: bytes of messages that have begun, and of those that handlers keep.
    private(set) var unfinishedBytes = 0
    private var failure: HTTP2Error?

    /// Streams of which a part of a message is there.
    var unfinishedStreams = 0
    /// A monotonic clock, set by the owner before each use; the session has none of its own.
    var nowNanos: UInt64 = 0
    /// Server: what comes in, counted.
    var scanner: FrameScanner
    /// Server: why the connection ends, when the client floods it.
    private(set) var abuse: HTTP2Abuse?
    /// Of the GOAWAY that was sent.
    var goAwayCode: UInt32 = 0

    /// Requests and messages received and not yet reported.
    var pendingCount = 0
    /// Bytes accepted by `send` on all streams that are not yet in `output`.
    private(set) var queuedBytes = 0

    init(isServer: Bool, configuration: HTTP2Configuration) {
        self.isServer = isServer
        self.configuration = configuration
        scanner = FrameScanner(configuration)
        var option: OpaquePointer?
        unsafe nghttp2_option_new(&option)
        unsafe nghttp2_option_set_no_auto_window_update(option, 1)
        unsafe nghttp2_option_set_no_closed_streams(option, 1)
        unsafe nghttp2_option_set_max_outbound_ack(option, configuration.queuedAcksMax)
        unsafe nghttp2_option_set_max_settings(option, 32)
        // The scanner comes first at a server; its clock is finer.
        unsafe nghttp2_option_set_stream_reset_rate_limit(
            option, 2 * configuration.resetBurst, 2 * configuration.resetsPerSecond)
        unsafe nghttp2_option_set_max_continuations(option, configuration.continuationsMax)
        var made: OpaquePointer?
        let callbacks = unsafe NGHTTP2Callbacks.shared.pointer
        if isServer {
            unsafe nghttp2_session_server_new2(&made, callbacks, nil, option)
        } else {
            unsafe nghttp2_session_client_new2(&made, callbacks, nil, option)
        }
        unsafe nghttp2_option_del(option)
        guard let made = unsafe made else { preconditionFailure("out of memory for a session") }
        unsafe session = made
        unsafe nghttp2_session_set_user_data(
            session, Unmanaged.passUnretained(self).toOpaque())
        submitSettings()
    }

    deinit { unsafe nghttp2_session_del(session) }

    private func submitSettings() {
        var entries = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: UInt32(configuration.streamWindowBytes)),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: configuration.headerListBytesMax),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                value: isServer ? configuration.concurrentStreamsMax : 0),
        ]
        if !isServer {
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
        }
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        unsafe nghttp2_submit_settings(session, flags, entries, entries.count)
        unsafe nghttp2_session_set_local_window_size(
            session, flags, 0, configuration.connectionWindowBytes)
    }

    // MARK: bytes

    /// Bytes from the peer.
    func receive(_ bytes: [UInt8], count: Int) throws(HTTP2Error) {
        precondition(count >= 0 && count <= bytes.count, "\(count) of \(bytes.count) bytes")
        if let failure { throw failure }
        if abuse != nil { return }
        if isServer, let finding = scanner.scan(bytes, count: count, nowNanos: nowNanos) {
            switch finding {
            case .abuse(let found): endForAbuse(found)
            case .streamClosed: terminate(code: NGHTTP2_STREAM_CLOSED.rawValue)
            }
            return
        }
        let taken = unsafe bytes.withUnsafeBufferPointer {
            unsafe nghttp2_session_mem_recv(session, $0.baseAddress, count)
        }
        settleConnectionWindow()
        if taken < 0 { throw fail(Int32(taken)) }
    }

    /// The client is told to calm down, and not listened to any more.
    func endForAbuse(_ found: HTTP2Abuse) {
        guard abuse == nil else { return }
        abuse = found
        terminate(code: NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
    }

    /// The buffer of an idle connection, if nothing of it waits.
    func releaseOutput() {
        guard outputOffset == output.count else { return }
        output = []
        outputOffset = 0
    }

    /// Serialises frames into `output` until it is full or nothing is left to send.
    func produce() throws(HTTP2Error) {
        if let failure { throw failure }
        if outputOffset == output.count, outputOffset > 0 {
            output.removeAll(keepingCapacity: true)
            outputOffset = 0
        } else if outputOffset >= configuration.outputBytesMax {
            // A socket that never takes all of it would keep what was written for ever. What is
            // moved is about as long as what was written.
            output.removeFirst(outputOffset)
            outputOffset = 0
        }
        while !isOutputFull {
            var data: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(session, &data)
            if count < 0 { throw fail(Int32(count)) }
            guard count > 0 else { return }
            unsafe output.append(contentsOf: UnsafeBufferPointer(start: data, count: count))
        }
    }

    var isOutputFull: Bool { output.count - outputOffset >= configuration.outputBytesMax }

    func outputWritten(_ count: Int) {
        outputOffset += count
        precondition(outputOffset <= output.count, "\(outputOffset) of \(output.count) bytes")
    }

    /// Frames other than DATA that wait inside nghttp2.
    var queuedFrames: Int { unsafe nghttp2_session_get_outbound_queue_size(session) }

    var wantsRead: Bool { unsafe nghttp2_session_want_read(session) != 0 }
    var wantsWrite: Bool {
        if outputOffset < output.count { return true }
        return unsafe nghttp2_session_want_write(session) != 0
    }

    private func fail(_ code: Int32) -> HTTP2Error {
        let reason = unsafe String(cString: nghttp2_strerror(code))
        let error = HTTP2Error.connection(code: code, reason: reason)
        failure = error
        return error
    }

    /// For `send_data_callback`: a frame header and the next `count` bytes of the stream.
    func appendData(
        of stream: HTTP2Stream, frameHeader: UnsafePointer<UInt8>, count: Int
    ) {
        unsafe output.append(contentsOf: UnsafeBufferPointer(start: frameHeader, count: 9))
        var left = count
        while left > 0, let message = stream.outbox.first {
            let prefix = WireMessage.prefixBytes
            while stream.outboxOffset < prefix, left > 0 {
                let i = stream.outboxOffset
                let byte =
                    i == 0
                    ? (message.isCompressed ? 1 : 0)
                    : UInt8(truncatingIfNeeded: message.bytes.count >> (8 * (4 - i)))
                output.append(byte)
                stream.outboxOffset += 1
                left -= 1
            }
            let from = stream.outboxOffset - prefix
            let take = min(left, message.bytes.count - from)
            if take > 0 {
                output.append(contentsOf: message.bytes[from..<(from + take)])
                stream.outboxOffset += take
                left -= take
            }
            if stream.outboxOffset == message.wireBytes {
                _ = stream.outbox.popFirst()
                stream.outboxOffset = 0
            }
        }
        precondition(left == 0, "\(left) of \(count) bytes promised and not there")
        stream.queuedBytes -= count
        stream.takenNanos = nowNanos
        queuedBytes -= count
        if stream.isAboveLowWater, stream.queuedBytes <= configuration.lowWaterBytes {
            stream.isAboveLowWater = false
            events.append(.drained(stream))
        }
    }

    // MARK: streams

    func register(_ stream: HTTP2Stream) {
        if let slot = freeSlots.popLast() {
            stream.slot = slot
            live[slot] = stream
        } else {
            stream.slot = live.count
            live.append(stream)
        }
        streamCount += 1
    }

    /// What nghttp2 keeps of a stream: its address, as `live` holds it.
    @unsafe func streamPointer(_ id: Int32) -> UnsafeMutableRawPointer? {
        unsafe nghttp2_session_get_stream_user_data(session, id)
    }

    @inline(__always)
    func stream(_ id: Int32) -> HTTP2Stream? {
        guard let pointer = unsafe streamPointer(id) else { return nil }
        return unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// For a request that nghttp2 gave up before its stream was open.
    func findUnopened(_ id: Int32) -> HTTP2Stream? {
        live.lazy.compactMap { $0 }.first { $0.id == id }
    }

    func attach(_ stream: HTTP2Stream) {
        unsafe nghttp2_session_set_stream_user_data(
            session, stream.id, Unmanaged.passUnretained(stream).toOpaque())
    }

    func close(_ stream: HTTP2Stream, code: UInt32) {
        guard !stream.isClosed else { return }
        stream.isClosed = true
        stream.closeCode = code
        stream.outbox.removeAll()
        queuedBytes -= stream.queuedBytes
        stream.queuedBytes = 0
        pendingCount -= isServer ? stream.inbox.count : 0
        if isServer { stream.inbox.removeAll() }
        heldBytes -= stream.unacknowledgedBytes
        stream.unacknowledgedBytes = 0
        releaseKept(stream)
        dropUnfinished(stream)
        live[stream.slot] = nil
        freeSlots.append(stream.slot)
        streamCount -= 1
        events.append(.closed(stream))
    }

    /// Every stream ends: the connection is gone.
    func closeAll(code: UInt32) {
        for stream in live { if let stream { close(stream, code: code) } }
    }

    func popMessage(_ stream: HTTP2Stream) -> WireMessage? {
        guard let message = stream.inbox.popFirst() else { return nil }
        pendingCount -= 1
        stream.inboxBytes -= message.wireBytes
        acknowledge(stream)
        queueReadable(stream)
        return message
    }

    func dropInbox(_ stream: HTTP2Stream) {
        pendingCount -= stream.inbox.count
        stream.inbox.removeAll()
        stream.inboxBytes = 0
    }

    /// What comes from here on is acknowledged and dropped, and what has begun too.
    func discardInput(_ stream: HTTP2Stream) {
        stream.discardsInput = true
        dropUnfinished(stream)
    }

    private func dropUnfinished(_ stream: HTTP2Stream) {
        unfinishedBytes -= stream.assembler.bodyBytes
        stream.assembler = MessageAssembler()
        noteUnfinished(stream)
    }

    /// Counts a message that a handler keeps; false when it is too much.
    func keep(_ byteCount: Int, of stream: HTTP2Stream) -> Bool {
        if stream.isClosed { return true }
        guard byteCount <= configuration.unfinishedBytesMax - unfinishedBytes else { return false }
        stream.keptBytes += byteCount
        unfinishedBytes += byteCount
        return true
    }

    func releaseKept(_ stream: HTTP2Stream) {
        unfinishedBytes -= stream.keptBytes
        stream.keptBytes = 0
    }

    func queueReadable(_ stream: HTTP2Stream) {
        guard !stream.isReadableQueued else { return }
        stream.isReadableQueued = true
        events.append(.readable(stream))
    }

    // MARK: receiving

    func received(_ bytes: UnsafeBufferPointer<UInt8>, on stream: HTTP2Stream) {
        connectionUnacknowledgedBytes += bytes.count
        stream.unacknowledgedBytes += bytes.count
        heldBytes += bytes.count
        queueReadable(stream)
        var offset = 0
        var anew = false
        defer { noteUnfinished(stream, anew: anew) }
        while !stream.discardsInput, offset < bytes.count {
            do {
                let begun = stream.assembler.bodyBytes
                let message = unsafe try stream.assembler.next(
                    in: bytes, from: &offset, bytesMax: configuration.messageBytesMax)
                unfinishedBytes += stream.assembler.bodyBytes - begun
                guard let message else { return refuseAboveBudget(stream) }
                anew = true
                stream.inboxBytes += message.wireBytes
                stream.inbox.append(message)
                pendingCount += 1
            } catch {
                stream.discardsInput = true
                stream.inputFailure = GRPCStatus(
                    code: GRPCCode.resourceExhausted,
                    message: "message of \(error.announcedBytes) bytes is larger than the limit of "
                        + "\(configuration.messageBytesMax)")
            }
        }
    }

    private func refuseAboveBudget(_ stream: HTTP2Stream) {
        guard isServer, unfinishedBytes > configuration.unfinishedBytesMax else { return }
        discardInput(stream)
        stream.inputFailure = GRPCStatus(
            code: GRPCCode.resourceExhausted,
            message: "unfinished messages of this connection are more than the limit of "
                + "\(configuration.unfinishedBytesMax) bytes: send fewer at once")
    }

    /// Gives the windows back for everything received but the messages still in the inbox.
    func acknowledge(_ stream: HTTP2Stream) {
        let count = stream.unacknowledgedBytes - stream.inboxBytes
        guard count > 0 else { return }
        stream.unacknowledgedBytes -= count
        heldBytes -= count
        if !stream.isClosed {
            unsafe nghttp2_session_consume_stream(session, stream.id, count)
        }
        settleConnectionWindow()
    }

    private func settleConnectionWindow() {
        guard connectionUnacknowledgedBytes > 0, heldBytes <= configuration.heldBytesMax else {
            return
        }
        unsafe nghttp2_session_consume_connection(session, connectionUnacknowledgedBytes)
        connectionUnacknowledgedBytes = 0
    }

    // MARK: sending

    private func provider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
        var provider = unsafe nghttp2_data_provider()
        unsafe provider.source.ptr = Unmanaged.passUnretained(stream).toOpaque()
        unsafe provider.read_callback = NGHTTP2Callbacks.readData
        return unsafe provider
    }

    /// Opens a stream; its messages follow from the outbox.
    func submitRequest(_ block: HeaderBlock, _ stream: HTTP2Stream) throws(HTTP2Error) {
        if let failure { throw failure }
        var provider = unsafe provider(stream)
        let id = unsafe block.withFields { fields, count in
            unsafe nghttp2_submit_request(
                session, nil, fields, count, &provider,
                Unmanaged.passUnretained(stream).toOpaque())
        }
        guard id > 0 else { throw .noMoreStreams }
        stream.id = id
        stream.headersSubmitted = true
        register(stream)
    }

    /// The response's header; messages follow from the outbox, trailers behind them.
    /// - Parameter block: nil for the constant one.
    func submitResponse(_ block: HeaderBlock?, _ stream: HTTP2Stream) {
        stream.headersSubmitted = true
        var provider = unsafe provider(stream)
        if let block {
            unsafe block.withFields { fields, count in
                _ = unsafe nghttp2_submit_response(session, stream.id, fields, count, &provider)
            }
        } else {
            let head = StaticHeaders.response
            unsafe nghttp2_submit_response(session, stream.id, head.fields, head.count, &provider)
        }
    }

    /// A response of nothing but a header, which ends the stream.
    func submitHeaderOnly(_ block: HeaderBlock, _ stream: HTTP2Stream) {
        stream.headersSubmitted = true
        unsafe block.withFields { fields, count in
            _ = unsafe nghttp2_submit_response(session, stream.id, fields, count, nil)
        }
    }

    /// Behind the last message; called while nghttp2 asks for data, which it allows.
    func submitTrailers(_ stream: HTTP2Stream) {
        let status = stream.finalStatus ?? .success
        if status == .success, stream.finalTrailers.isEmpty {
            let success = StaticHeaders.success
            unsafe nghttp2_submit_trailer(session, stream.id, success.fields, success.count)
            return
        }
        var block = HeaderBlock()
        block.add(status)
        block.add(stream.finalTrailers)
        unsafe block.withFields { fields, count in
            _ = unsafe nghttp2_submit_trailer(session, stream.id, fields, count)
        }
    }

    func enqueue(_ message: WireMessage, on stream: HTTP2Stream) {
        if stream.queuedBytes == 0 { stream.takenNanos = nowNanos }
        stream.queuedBytes += message.wireBytes
        queuedBytes += message.wireBytes
        stream.outbox.append(message)
        if stream.queuedBytes > configuration.lowWaterBytes { stream.isAboveLowWater = true }
        resume(stream)
    }

    func resume(_ stream: HTTP2Stream) {
        guard stream.isDeferred else { return }
        stream.isDeferred = false
        unsafe nghttp2_session_resume_data(session, stream.id)
    }

    func reset(_ stream: HTTP2Stream, code: UInt32) {
        guard !stream.isClosed else { return }
        unsafe nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code)
    }

    // MARK: connection

    /// First GOAWAY of a drain: "open no more", with the last id there could be (RFC 9113 §6.8).
    func submitShutdownNotice() { unsafe nghttp2_submit_shutdown_notice(session) }

    /// GOAWAY with the last stream that was taken.
    func submitGoAway(code: UInt32) {
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        unsafe nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code, nil, 0)
    }

    /// GOAWAY, and nothing is read any more.
    func terminate(code: UInt32) { unsafe nghttp2_session_terminate_session(session, code) }

    /// - Parameter opaque: eight bytes that come back in `pong`.
    func submitPing(_ opaque: [UInt8]) {
        precondition(opaque.count == 8, "a ping carries 8 bytes, not \(opaque.count)")
        unsafe nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), opaque)
    }
}
