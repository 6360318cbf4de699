// What a server's end of TLS is made of.

public struct TLSServerOptions: Equatable, Sendable {
    /// PEM; the server's certificate, then the intermediate ones.
    public var certificateFile: String
    /// PEM, not encrypted.
    public var privateKeyFile: String
    /// PEM; who vouches for clients. Nil where clients need no certificate.
    public var clientAuthoritiesFile: String?
    /// Whether a client without a certificate is refused, and not merely unknown.
    public var requiresClientCertificate = false

    public init(certificateFile: String, privateKeyFile: String) {
        self.certificateFile = certificateFile
        self.privateKeyFile = privateKeyFile
    }

    /// What is to be read again when it changes.
    public var paths: [String] {
        [certificateFile, privateKeyFile] + (clientAuthoritiesFile.map { [$0] } ?? [])
    }
}
