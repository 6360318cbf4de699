// HTTP/1.1 by libmicrohttpd, on a thread and a socket of its own: small answers to GET and HEAD.
import CMicroHTTPD
import KyroPlatform

struct HTTPAnswer {
    var status: UInt32
    var contentType: String
    var body: [UInt8]

    init(_ status: UInt32, _ contentType: String, _ body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }
}

/// libmicrohttpd's own.
///
/// `@unchecked Sendable`: handed out once, under a lock; the library lets any thread stop it.
@safe private struct DaemonHandle: @unchecked Sendable {
    @unsafe let pointer: OpaquePointer
}

/// Serves from its construction until `stop`.
final class HTTPDaemon: Sendable {
    /// What answers a path, on the daemon's thread; nil for a path that there is not.
    typealias Handler = @Sendable (_ path: String) -> HTTPAnswer?

    let port: UInt16
    private let handler: Handler
    private let daemon = Locked<DaemonHandle?>(nil)

    /// A scraper needs one or two; more are taken when others have gone.
    static let connectionsMax: UInt32 = 32
    /// A connection that is silent for so long is closed.
    static let timeoutSeconds: UInt32 = 10
    /// For a request's header; a longer one is refused (413, 414 or 431).
    static let requestBytesMax = 16 << 10

    init(host: String, port: UInt16, _ handler: @escaping Handler) throws(SocketError) {
        self.handler = handler
        let (listener, port) = try Socket.listen(host: host, port: port, backlog: 64)
        self.port = port
        // The daemon ends before this object does: `stop` waits for its thread.
        let made = unsafe kyro_mhd_start(
            listener, Self.connectionsMax, Self.timeoutSeconds, Self.requestBytesMax, answerRequest,
            Unmanaged.passUnretained(self).toOpaque())
        guard let made = unsafe made else {
            Socket.close(listener)
            throw SocketError(operation: "start the operations plane on \(host):\(port)", errno: 12)
        }
        let handle = unsafe DaemonHandle(pointer: made)
        daemon.withLock { $0 = handle }
    }

    deinit { stop() }

    /// Closes the socket and all connections, and waits for the thread to end.
    func stop() {
        let running = daemon.withLock { $0.take() }
        if let running { unsafe MHD_stop_daemon(running.pointer) }
    }

    fileprivate func answer(_ method: String, _ path: String) -> HTTPAnswer {
        guard method == "GET" || method == "HEAD" else {
            return HTTPAnswer(405, "text/plain", Array("only GET and HEAD\n".utf8))
        }
        return handler(path)
            ?? HTTPAnswer(
                404, "text/plain",
                Array("there are /metrics, /health, /ready and /version\n".utf8))
    }
}

private let answerRequest: MHD_AccessHandlerCallback = {
    user, connection, url, method, _, _, _, _ in
    guard let user = unsafe user, let url = unsafe url, let method = unsafe method else {
        return kyro_mhd_no
    }
    let daemon = unsafe Unmanaged<HTTPDaemon>.fromOpaque(user).takeUnretainedValue()
    // libmicrohttpd has unescaped the path; a repaired one matches nothing.
    let answer = daemon.answer(
        unsafe String(cString: method), unsafe String(cString: url))
    let response = unsafe answer.body.withUnsafeBytes { body in
        unsafe MHD_create_response_from_buffer(
            body.count, UnsafeMutableRawPointer(mutating: body.baseAddress), kyro_mhd_copies)
    }
    guard let response = unsafe response else { return kyro_mhd_no }
    defer { unsafe MHD_destroy_response(response) }
    unsafe MHD_add_response_header(response, "Content-Type", answer.contentType)
    unsafe MHD_add_response_header(response, "Cache-Control", "no-store")
    if answer.status == 405 { unsafe MHD_add_response_header(response, "Allow", "GET, HEAD") }
    // A body that comes with the request is not read: the connection ends behind the answer.
    return unsafe MHD_queue_response(connection, answer.status, response)
}
