// Why TLS cannot be, or cannot go on.

/// The reasons are OpenSSL's own words.
public enum TLSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A certificate, key or authority file is missing, damaged, encrypted, or does not fit its
    /// counterpart: the operator's to mend.
    case unusable(file: String, reason: String)
    /// The server's certificate is not to be believed: another authority, another host, out of date.
    case untrusted(reason: String)
    /// The peer sent an alert or what is not TLS, or the two have no version, cipher or protocol in
    /// common. The stream's last `ciphertext` tells the peer; then close.
    case broken(reason: String)

    public var description: String {
        switch self {
        case .unusable(let file, let reason): "\(file): \(reason)"
        case .untrusted(let reason): "the server's certificate is not trusted: \(reason)"
        case .broken(let reason): reason
        }
    }
}
