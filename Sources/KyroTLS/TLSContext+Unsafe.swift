// What all TLS connections of one kind share: certificates, trust, versions, ciphers, ALPN.
import COpenSSL

/// Made once, then never changed.
///
/// `@unchecked Sendable`: OpenSSL counts the references to an `SSL_CTX` atomically and only reads
/// one that is no longer configured.
@safe public final class TLSContext: @unchecked Sendable {
    let isServer: Bool
    let pointer: OpaquePointer

    /// Length and name, as ALPN lists protocols (RFC 7301 §3.1).
    private static let http2: [UInt8] = [2, UInt8(ascii: "h"), UInt8(ascii: "2")]
    /// Of the ciphers of TLS 1.2 HTTP/2 allows those with forward secrecy and authenticated
    /// encryption (RFC 9113 §9.2.2); all of TLS 1.3 are such.
    private static let ciphersOfTLS12 = "ECDHE+AESGCM:ECDHE+CHACHA20"

    /// `SSL_OP_NO_RENEGOTIATION`, a macro that does not reach Swift. HTTP/2 forbids renegotiation
    /// (RFC 9113 §9.2.1), and it costs the server more than the client.
    private static let noRenegotiation: UInt64 = 1 << 30

    public static func server(
        certificateFile: String, privateKeyFile: String
    ) throws(TLSError) -> TLSContext {
        try server(
            TLSServerOptions(certificateFile: certificateFile, privateKeyFile: privateKeyFile))
    }

    /// For a server that talks HTTP/2 only: clients that do not offer `h2` are refused with the
    /// alert `no_application_protocol`, and those that show a certificate for which none of the
    /// authorities vouches, with what is wrong with it.
    /// - Throws: `unusable`.
    public static func server(_ options: TLSServerOptions) throws(TLSError) -> TLSContext {
        let context = TLSContext(isServer: true)
        let pointer = unsafe context.pointer
        OpenSSLErrors.clear()
        try context.use(certificateFile: options.certificateFile, key: options.privateKeyFile)
        // Whose sessions a ticket resumes: OpenSSL wants it said where clients have certificates.
        let name = Array("kyrodb".utf8)
        unsafe SSL_CTX_set_session_id_context(pointer, name, UInt32(name.count))
        guard let file = options.clientAuthoritiesFile else { return context }
        guard unsafe SSL_CTX_load_verify_file(pointer, file) == 1,
            let names = unsafe SSL_load_client_CA_file(file)
        else { throw .unusable(file: file, reason: OpenSSLErrors.takeReason()) }
        // Tells clients which of their certificates fits; the context owns it.
        unsafe SSL_CTX_set_client_CA_list(pointer, names)
        var mode = SSL_VERIFY_PEER
        if options.requiresClientCertificate { mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT }
        unsafe SSL_CTX_set_verify(pointer, mode, nil)
        return context
    }

    private func use(certificateFile: String, key privateKeyFile: String) throws(TLSError) {
        guard unsafe SSL_CTX_use_certificate_chain_file(pointer, certificateFile) == 1 else {
            throw .unusable(file: certificateFile, reason: OpenSSLErrors.takeReason())
        }
        guard
            unsafe SSL_CTX_use_PrivateKey_file(pointer, privateKeyFile, SSL_FILETYPE_PEM) == 1,
            unsafe SSL_CTX_check_private_key(pointer) == 1
        else { throw .unusable(file: privateKeyFile, reason: OpenSSLErrors.takeReason()) }
    }

    /// For a client that asks for `h2` and believes only certificates that lead to an authority and
    /// name the host.
    /// - Parameters:
    ///   - authoritiesFile: PEM; nil for those of the operating system.
    ///   - certificate: the client's own, PEM, and its key, not encrypted; nil for none.
    /// - Throws: `unusable`.
    public static func client(
        authoritiesFile: String? = nil, certificate: (file: String, key: String)? = nil
    ) throws(TLSError) -> TLSContext {
        let context = TLSContext(isServer: false)
        let pointer = unsafe context.pointer
        OpenSSLErrors.clear()
        if let certificate {
            try context.use(certificateFile: certificate.file, key: certificate.key)
        }
        if let file = authoritiesFile {
            guard unsafe SSL_CTX_load_verify_file(pointer, file) == 1 else {
                throw .unusable(file: file, reason: OpenSSLErrors.takeReason())
            }
        } else if unsafe SSL_CTX_set_default_verify_paths(pointer) != 1 {
            throw .unusable(file: "the system's authorities", reason: OpenSSLErrors.takeReason())
        }
        unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        return context
    }

    private init(isServer: Bool) {
        self.isServer = isServer
        let method = unsafe isServer ? TLS_server_method() : TLS_client_method()
        guard let made = unsafe SSL_CTX_new(method) else {
            preconditionFailure("no SSL_CTX: \(OpenSSLErrors.takeReason())")
        }
        unsafe pointer = made
        let version = unsafe SSL_CTX_ctrl(
            made, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        precondition(version == 1, "TLS 1.2 as the least version: answered \(version)")
        let ciphers = unsafe SSL_CTX_set_cipher_list(made, Self.ciphersOfTLS12)
        precondition(ciphers == 1, "ciphers \(Self.ciphersOfTLS12): answered \(ciphers)")
        // Peers resume by tickets; a cache of sessions would grow with the number of clients.
        unsafe SSL_CTX_ctrl(made, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        // An idle connection keeps no record buffers.
        unsafe SSL_CTX_ctrl(made, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS), nil)
        unsafe SSL_CTX_set_options(made, Self.noRenegotiation)
        // An encrypted key is an error, not a question on the terminal.
        unsafe SSL_CTX_set_default_passwd_cb(made) { _, _, _, _ in -1 }
        if isServer {
            unsafe SSL_CTX_set_client_hello_cb(made, refuseHelloWithoutALPN, nil)
            unsafe SSL_CTX_set_alpn_select_cb(made, selectHTTP2, nil)
        } else {
            let refused = unsafe SSL_CTX_set_alpn_protos(
                made, Self.http2, UInt32(Self.http2.count))
            precondition(refused == 0, "ALPN list: answered \(refused)")
        }
    }

    deinit { unsafe SSL_CTX_free(pointer) }
}

/// OpenSSL asks for a protocol only when the client offers some: a hello without ALPN ends here.
private let refuseHelloWithoutALPN: SSL_client_hello_cb_fn = { ssl, alert, _ in
    var list: UnsafePointer<UInt8>?
    var count = 0
    let isOffered = unsafe SSL_client_hello_get0_ext(
        ssl, UInt32(TLSEXT_TYPE_application_layer_protocol_negotiation), &list, &count)
    if isOffered == 1 { return SSL_CLIENT_HELLO_SUCCESS }
    unsafe alert?.pointee = SSL_AD_NO_APPLICATION_PROTOCOL
    kyro_raise_no_application_protocol()
    return SSL_CLIENT_HELLO_ERROR
}

/// Looks for `h2` in the client's list of length-prefixed names.
private let selectHTTP2: SSL_CTX_alpn_select_cb_func = { _, chosen, chosenCount, list, count, _ in
    guard let list = unsafe list else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    let offered = unsafe UnsafeBufferPointer(start: list, count: Int(count))
    var start = 0
    while start < offered.count {
        let length = Int(unsafe offered[start])
        guard start + 1 + length <= offered.count else { break }
        let name = start + 1..<start + 1 + length
        if unsafe offered[name].elementsEqual("h2".utf8) {
            unsafe chosen?.pointee = list + start + 1
            unsafe chosenCount?.pointee = 2
            return SSL_TLSEXT_ERR_OK
        }
        start += 1 + length
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}
