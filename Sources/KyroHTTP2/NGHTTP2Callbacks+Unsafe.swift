// The C callbacks of a connection. Each finds its HTTP2Core in the user data.
import CNGHTTP2

@safe struct NGHTTP2Callbacks: @unchecked Sendable {
    /// Never changed and never freed after it was made.
    @unsafe let pointer: OpaquePointer?

    static let shared = NGHTTP2Callbacks()

    private init() {
        var made: OpaquePointer?
        unsafe nghttp2_session_callbacks_new(&made)
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(made, beginHeaders)
        unsafe nghttp2_session_callbacks_set_on_header_callback(made, readHeader)
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(made, frameReceived)
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, dataReceived)
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(made, streamClosed)
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(made, frameSent)
        unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(made, frameNotSent)
        unsafe nghttp2_session_callbacks_set_send_data_callback(made, sendData)
        unsafe pointer = unsafe made
    }

    /// nghttp2 asks how much DATA of a stream it may send, and is told a count; the bytes follow in
    /// `sendData`, straight from the message into the output.
    @unsafe static let readData: nghttp2_data_source_read_callback = {
        _, _, _, length, flags, source, user in
        guard let source = unsafe source, let flags = unsafe flags,
            let pointer = unsafe source.pointee.ptr, let core = unsafe core(user)
        else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
        let stream = unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
        let count = min(length, stream.queuedBytes)
        let isLast = stream.localEnded && count == stream.queuedBytes
        guard count > 0 || isLast else {
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        var bits = UInt32(NGHTTP2_DATA_FLAG_NO_COPY.rawValue)
        if isLast {
            bits |= UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue)
            if core.isServer {
                bits |= UInt32(NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue)
                core.submitTrailers(stream)
            }
        }
        unsafe flags.pointee |= bits
        return count
    }
}

/// Runs `body` with a connection that its caller keeps alive: nothing is retained for it. Callbacks come
/// some twenty times a request.
@inline(__always)
private func withCore<Result>(
    _ user: UnsafeMutableRawPointer?, else none: Result, _ body: (HTTP2Core) -> Result
) -> Result {
    guard let user = unsafe user else { return none }
    return unsafe Unmanaged<HTTP2Core>.fromOpaque(user)._withUnsafeGuaranteedRef { body($0) }
}

/// The same with one of its streams, which `live` keeps; `none` where there is none.
@inline(__always)
private func withStream<Result>(
    _ user: UnsafeMutableRawPointer?, _ id: Int32, else none: Result,
    _ body: (HTTP2Core, HTTP2Stream) -> Result
) -> Result {
    unsafe withCore(user, else: none) { core in
        guard let pointer = unsafe core.streamPointer(id) else { return none }
        return unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
            body(core, $0)
        }
    }
}

@inline(__always)
private func core(_ user: UnsafeMutableRawPointer?) -> HTTP2Core? {
    guard let user = unsafe user else { return nil }
    return unsafe Unmanaged<HTTP2Core>.fromOpaque(user).takeUnretainedValue()
}

private func isEndOfStream(_ frame: UnsafePointer<nghttp2_frame>) -> Bool {
    unsafe frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
}

private func type(_ frame: UnsafePointer<nghttp2_frame>) -> UInt32 {
    unsafe UInt32(frame.pointee.hd.type)
}

private let beginHeaders: nghttp2_on_begin_headers_callback = { _, frame, user in
    guard let core = unsafe core(user), let frame = unsafe frame, core.isServer else { return 0 }
    let isRequest = unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
    guard unsafe type(frame) == NGHTTP2_HEADERS.rawValue, isRequest else { return 0 }
    let stream = HTTP2Stream()
    stream.id = unsafe frame.pointee.hd.stream_id
    core.register(stream)
    core.attach(stream)
    return 0
}

/// A header list so many times the limit is no mistake: nine bytes of a frame may stand for 4 KiB each.
private let bombFactor = 16

private let readHeader: nghttp2_on_header_callback = {
    _, frame, name, nameCount, value, valueCount, _, user in
    guard let frame = unsafe frame else { return 0 }
    return unsafe withStream(user, frame.pointee.hd.stream_id, else: 0) { core, stream in
        let limit = Int(core.configuration.headerListBytesMax)
        unsafe stream.readField(
            name: UnsafeBufferPointer(start: name, count: nameCount),
            value: UnsafeBufferPointer(start: value, count: valueCount),
            inTrailers: frame.pointee.headers.cat == NGHTTP2_HCAT_HEADERS,
            listBytesMax: limit, paths: &core.paths)
        guard core.isServer, stream.head.listBytes / bombFactor > limit else { return 0 }
        core.endForAbuse(.headerBomb)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
    }
}

private let frameReceived: nghttp2_on_frame_recv_callback = { _, frame, user in
    guard let core = unsafe core(user), let frame = unsafe frame else { return 0 }
    switch unsafe type(frame) {
    case NGHTTP2_HEADERS.rawValue:
        guard let stream = unsafe core.stream(frame.pointee.hd.stream_id) else { return 0 }
        if unsafe isEndOfStream(frame) { stream.remoteEnded = true }
        let isTrailer = unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_HEADERS
        if !isTrailer {
            core.events.append(.head(stream))
            core.pendingCount += 1
        }
        if stream.remoteEnded { core.queueReadable(stream) }
    case NGHTTP2_DATA.rawValue:
        guard unsafe isEndOfStream(frame) else { return 0 }
        guard let stream = unsafe core.stream(frame.pointee.hd.stream_id) else { return 0 }
        stream.remoteEnded = true
        core.queueReadable(stream)
    case NGHTTP2_GOAWAY.rawValue:
        unsafe core.events.append(.goAway(code: frame.pointee.goaway.error_code))
    case NGHTTP2_PING.rawValue:
        guard unsafe frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 else {
            return 0
        }
        let opaque = unsafe withUnsafeBytes(of: frame.pointee.ping.opaque_data) {
            unsafe Array($0)
        }
        core.events.append(.pong(opaque))
    default:
        break
    }
    return 0
}

private let dataReceived: nghttp2_on_data_chunk_recv_callback = {
    _, _, id, bytes, count, user in
    unsafe withStream(user, id, else: 0) { core, stream in
        unsafe core.received(UnsafeBufferPointer(start: bytes, count: count), on: stream)
        return 0
    }
}

private let streamClosed: nghttp2_on_stream_close_callback = { _, id, code, user in
    guard let core = unsafe core(user), let stream = core.stream(id) else { return 0 }
    core.close(stream, code: code)
    return 0
}

private let frameSent: nghttp2_on_frame_send_callback = { _, frame, user in
    guard let core = unsafe core(user), let frame = unsafe frame, core.isServer else { return 0 }
    switch unsafe type(frame) {
    case NGHTTP2_HEADERS.rawValue:
        core.scanner.answered()
        // A server that has answered before the request was complete tells the client to stop
        // sending (RFC 9113 §8.1).
        guard unsafe isEndOfStream(frame),
            let stream = unsafe core.stream(frame.pointee.hd.stream_id), !stream.remoteEnded
        else { return 0 }
        core.reset(stream, code: NGHTTP2_NO_ERROR.rawValue)
    case NGHTTP2_DATA.rawValue:
        core.scanner.answered()
    case NGHTTP2_RST_STREAM.rawValue:
        let code = unsafe frame.pointee.rst_stream.error_code
        guard code != NGHTTP2_NO_ERROR.rawValue, code != NGHTTP2_CANCEL.rawValue else { return 0 }
        if !core.scanner.provokedReset(nowNanos: core.nowNanos) { core.endForAbuse(.resets) }
    case NGHTTP2_GOAWAY.rawValue:
        core.goAwayCode = unsafe frame.pointee.goaway.error_code
    default:
        break
    }
    return 0
}

/// A header block that nghttp2 refuses, such as one above its 64 KiB: the call would wait for ever.
private let frameNotSent: nghttp2_on_frame_not_send_callback = { _, frame, _, user in
    guard let core = unsafe core(user), let frame = unsafe frame,
        unsafe type(frame) == NGHTTP2_HEADERS.rawValue
    else { return 0 }
    let id = unsafe frame.pointee.hd.stream_id
    if core.isServer {
        guard let stream = core.stream(id) else { return 0 }
        core.reset(stream, code: NGHTTP2_INTERNAL_ERROR.rawValue)
    } else if let stream = core.findUnopened(id) {
        core.close(stream, code: NGHTTP2_REFUSED_STREAM.rawValue)
    }
    return 0
}

private let sendData: nghttp2_send_data_callback = { _, _, header, count, source, user in
    guard let header = unsafe header, let pointer = unsafe source?.pointee.ptr else {
        return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
    }
    return unsafe withCore(user, else: NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) { core in
        // Full: nghttp2 keeps the frame and asks again at the next `produce`.
        guard !core.isOutputFull else { return NGHTTP2_ERR_WOULDBLOCK.rawValue }
        return unsafe Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
            unsafe core.appendData(of: $0, frameHeader: header, count: count)
            return 0
        }
    }
}
