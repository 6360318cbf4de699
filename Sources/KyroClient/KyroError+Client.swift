// What a client makes of a call that failed.
import KyroHTTP2
import KyroModel
import KyroTLS
import KyroWire

extension KyroError {
    /// Reasons that only a client gives; servers never send them.
    public static let connectFailedReason = "CONNECT_FAILED"
    public static let connectionLostReason = "CONNECTION_LOST"

    static func unreachable(_ endpoint: Endpoint, _ error: SocketError) -> KyroError {
        let advice =
            error.isRefused
            ? "is kyrodb running there?"
            : error.isTimeout
                ? "nothing answered; check the address and the firewall between"
                : "check the address"
        return KyroError(
            code: .unavailable, reason: connectFailedReason,
            message: "cannot reach \(endpoint): \(error.operation): \(error.problem); \(advice)")
    }

    static func unreachable(_ endpoint: Endpoint, _ error: TLSError) -> KyroError {
        let advice =
            switch error {
            case .unusable: "name a readable PEM file of authorities"
            case .untrusted:
                "name the authority that issued it, and the host as it is written there"
            case .broken: "does the server talk TLS there?"
            }
        return KyroError(
            code: .unavailable, reason: connectFailedReason,
            message: "cannot talk TLS to \(endpoint): \(error); \(advice)")
    }

    static func broken(_ endpoint: Endpoint, _ error: HTTP2Error) -> KyroError {
        let problem =
            switch error {
            case .connection(_, let reason): reason
            case .noMoreStreams: "the server takes no more calls on this connection"
            }
        return KyroError(
            code: .unavailable, reason: connectionLostReason,
            message: "the connection to \(endpoint) broke: \(problem); try again")
    }

    static func deadline(_ path: String, afterMillis: Int64) -> KyroError {
        KyroError(.deadlineExceeded, "\(path) gave no answer within \(afterMillis) ms")
    }

    /// From trailers; the details, where there are any, say more than code and message.
    init(_ status: GRPCStatus, endpoint: Endpoint) {
        let code = StatusCode(rawValue: status.code) ?? .unknown
        if !status.details.isEmpty, let error = try? decodeStatusDetails(status.details),
            error.code == code, !error.reason.isEmpty
        {
            self = error
        } else if code == .unavailable, status.details.isEmpty {
            self.init(
                code: code, reason: Self.connectionLostReason,
                message: "\(endpoint): \(status.message); see whether the server runs and try again"
            )
        } else {
            self.init(code: code, reason: "\(code)", message: status.message)
        }
    }
}
