// One TLS connection, either end, as a transformer of bytes: ciphertext and plaintext go in, the
// other comes out. No I/O, no threads.
//
// Use: give `receive` what the socket gave and take `plaintext`; write `ciphertext[offset...]` to the
// socket and say so; once `isEstablished`, give `write` what the peer shall read. After a throw the
// stream is of no more use, but its ciphertext (an alert for the peer) is still worth sending.
import COpenSSL

/// One thread at a time.
@safe public final class TLSStream {
    private let context: TLSContext
    private let ssl: OpaquePointer
    /// Ciphertext on its way in and out; both belong to `ssl`.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    /// The handshake is over: plaintext flows.
    public private(set) var isEstablished = false
    /// The peer has said that no more comes (close_notify).
    public private(set) var isPeerClosed = false
    /// What the peer sent, since the last `plaintextTaken`.
    public private(set) var plaintext: [UInt8] = []
    /// `[ciphertextOffset, count)` waits for the socket.
    public private(set) var ciphertext: [UInt8] = []
    public private(set) var ciphertextOffset = 0
    private var failure: TLSError?

    /// The plaintext of one record (RFC 8446 §5.1).
    private static let recordBytes = 16 << 10
    /// Emptied buffers above it are given back, so that idle connections stay small.
    private static let keptBytes = 32 << 10

    /// A server's end of a new connection.
    public convenience init(serverOf context: TLSContext) {
        precondition(context.isServer, "a client's context for a server's stream")
        self.init(context)
        unsafe SSL_set_accept_state(ssl)
    }

    /// A client's end of a new connection; the first flight is in `ciphertext` at once.
    /// - Parameter host: name or numeric address that the server's certificate must carry.
    public convenience init(clientOf context: TLSContext, host: String) throws(TLSError) {
        precondition(!context.isServer, "a server's context for a client's stream")
        self.init(context)
        unsafe SSL_set_connect_state(ssl)
        let parameters = unsafe SSL_get0_param(ssl)
        // A numeric address is compared with the certificate's addresses, and is no name for SNI.
        if unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, host) != 1 {
            unsafe SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            guard !host.isEmpty, unsafe SSL_set1_host(ssl, host) == 1, setServerName(host) else {
                throw fail(.broken(reason: "\"\(host)\" is no host name"))
            }
        }
        try handshake()
        drain()
    }

    private init(_ context: TLSContext) {
        self.context = context
        guard let ssl = unsafe SSL_new(context.pointer), let incoming = unsafe BIO_new(BIO_s_mem()),
            let outgoing = unsafe BIO_new(BIO_s_mem())
        else { preconditionFailure("out of memory for a TLS connection") }
        unsafe self.ssl = ssl
        unsafe self.incoming = incoming
        unsafe self.outgoing = outgoing
        unsafe SSL_set_bio(ssl, incoming, outgoing)
    }

    deinit { unsafe SSL_free(ssl) }

    private func setServerName(_ host: String) -> Bool {
        var name = Array(host.utf8CString)
        return unsafe name.withUnsafeMutableBytes {
            unsafe SSL_ctrl(
                ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), $0.baseAddress)
        } == 1
    }

    /// The peer's certificate where an authority vouches for it; the caller frees it.
    var verifiedPeerCertificate: OpaquePointer? {
        guard unsafe SSL_get_verify_result(ssl) == Int(X509_V_OK) else { return nil }
        return unsafe SSL_get1_peer_certificate(ssl)
    }

    /// Such as "TLSv1.3".
    public var version: String { unsafe String(cString: SSL_get_version(ssl)) }

    // MARK: bytes

    /// Bytes from the socket: goes on with the handshake, or adds to `plaintext`. Either may add to
    /// `ciphertext`.
    public func receive(_ bytes: [UInt8], count: Int? = nil) throws(TLSError) {
        let count = count ?? bytes.count
        precondition(count >= 0 && count <= bytes.count, "\(count) of \(bytes.count) bytes")
        if let failure { throw failure }
        guard count > 0 else { return }
        let stored = unsafe bytes.withUnsafeBytes {
            unsafe BIO_write(incoming, $0.baseAddress, Int32(count))
        }
        precondition(stored == count, "\(stored) of \(count) bytes were stored")
        defer { drain() }
        if !isEstablished { try handshake() }
        if isEstablished { try decrypt() }
    }

    /// `plaintext` is empty again.
    public func plaintextTaken() {
        plaintext.removeAll(keepingCapacity: plaintext.capacity <= Self.keptBytes)
    }

    /// Encrypts `bytes[from...]`, all of it, behind what `ciphertext` holds.
    public func write(_ bytes: [UInt8], from: Int = 0) throws(TLSError) {
        precondition(isEstablished, "plaintext before the end of the handshake")
        precondition(from >= 0 && from <= bytes.count, "offset \(from) of \(bytes.count) bytes")
        if let failure { throw failure }
        guard from < bytes.count else { return }
        OpenSSLErrors.clear()
        let wanted = bytes.count - from
        let taken = unsafe bytes.withUnsafeBytes { source in
            unsafe SSL_write(ssl, source.baseAddress.map { unsafe $0 + from }, Int32(wanted))
        }
        guard taken == wanted else { throw problem() }
        drain()
    }

    /// The socket took so many of `ciphertext[ciphertextOffset...]`.
    public func ciphertextWritten(_ count: Int) {
        ciphertextOffset += count
        let total = ciphertext.count
        precondition(ciphertextOffset <= total, "\(ciphertextOffset) of \(total) bytes")
        guard ciphertextOffset == total else { return }
        ciphertext.removeAll(keepingCapacity: ciphertext.capacity <= Self.keptBytes)
        ciphertextOffset = 0
    }

    /// Bytes that wait for the socket.
    public var ciphertextWaiting: Int { ciphertext.count - ciphertextOffset }

    /// Tells the peer that no more plaintext comes (close_notify). Nothing may be written after it.
    public func finish() {
        guard isEstablished, failure == nil else { return }
        OpenSSLErrors.clear()
        _ = unsafe SSL_shutdown(ssl)
        drain()
    }

    // MARK: OpenSSL

    private func handshake() throws(TLSError) {
        OpenSSLErrors.clear()
        let result = unsafe SSL_do_handshake(ssl)
        guard result == 1 else {
            if unsafe SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ { return }
            throw problem()
        }
        // The server's choice; a server that knows no ALPN has made none.
        if !context.isServer, !hasSelectedHTTP2 {
            throw fail(.broken(reason: "the server does not speak HTTP/2 (ALPN h2)"))
        }
        isEstablished = true
    }

    private var hasSelectedHTTP2: Bool {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        let chosen = unsafe UnsafeBufferPointer(start: name, count: Int(count))
        return unsafe chosen.elementsEqual("h2".utf8)
    }

    /// Reads until OpenSSL needs more from the socket.
    private func decrypt() throws(TLSError) {
        let last = unsafe withUnsafeTemporaryAllocation(
            byteCount: Self.recordBytes, alignment: 16
        ) { buffer -> Int32 in
            while true {
                OpenSSLErrors.clear()
                let got = unsafe SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
                if got <= 0 { return unsafe SSL_get_error(ssl, got) }
                unsafe plaintext.append(contentsOf: buffer[..<Int(got)])
            }
        }
        switch last {
        case SSL_ERROR_WANT_READ: return
        case SSL_ERROR_ZERO_RETURN: isPeerClosed = true
        default: throw problem()
        }
    }

    /// Moves what OpenSSL made to `ciphertext`.
    private func drain() {
        let waiting = unsafe BIO_ctrl_pending(outgoing)
        guard waiting > 0 else { return }
        let start = ciphertext.count
        ciphertext.append(contentsOf: repeatElement(0, count: waiting))
        let got = unsafe ciphertext.withUnsafeMutableBytes {
            unsafe BIO_read(outgoing, $0.baseAddress.map { unsafe $0 + start }, Int32(waiting))
        }
        precondition(got == waiting, "\(got) of \(waiting) bytes were there")
    }

    /// The failure that OpenSSL's queue tells of.
    private func problem() -> TLSError {
        guard let (code, reason) = OpenSSLErrors.takeFirst() else {
            return fail(.broken(reason: "the TLS stream broke off"))
        }
        guard OpenSSLErrors.isCertificateRefusal(code) else { return fail(.broken(reason: reason)) }
        let result = unsafe SSL_get_verify_result(ssl)
        return fail(
            .untrusted(reason: unsafe String(cString: X509_verify_cert_error_string(result))))
    }

    private func fail(_ error: TLSError) -> TLSError {
        failure = error
        drain()
        return error
    }
}
