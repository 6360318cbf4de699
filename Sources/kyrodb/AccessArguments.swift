// The options that say who may do what, and which of them belong together.
import KyroAccess
import KyroServer

/// The options about signed tokens.
struct TokenArguments {
    private var keySetFile: String?
    private var issuer: String?
    private var audience: String?
    private var leewaySeconds: Int64?

    /// False for an option that is none of them.
    mutating func set(_ name: String, _ value: String) throws(UsageError) -> Bool {
        switch name {
        case "--jwks": keySetFile = value
        case "--jwt-issuer": issuer = value
        case "--jwt-audience": audience = value
        case "--jwt-leeway-seconds":
            guard let seconds = Int64(value), (0...3_600).contains(seconds) else {
                throw UsageError(
                    message: "\(name) is \"\(value)\"; it must be a number from 0 to 3600")
            }
            leewaySeconds = seconds
        default: return false
        }
        return true
    }

    func finish() throws(UsageError) -> TokenOptions? {
        switch (keySetFile, issuer, audience) {
        case (nil, nil, nil):
            guard leewaySeconds == nil else {
                throw UsageError(message: "--jwt-leeway-seconds goes with --jwks")
            }
            return nil
        case (let keySetFile?, let issuer?, let audience?):
            var options = TokenOptions(
                keySetFile: keySetFile, issuer: issuer, audience: audience)
            if let leewaySeconds { options.leewayMillis = leewaySeconds * 1_000 }
            return options
        default:
            throw UsageError(
                message: "--jwks, --jwt-issuer and --jwt-audience belong together: a token for "
                    + "somebody else must not open this server")
        }
    }
}

enum AccessArguments {
    static func finish(
        _ options: inout ServerOptions, _ tokens: TokenArguments
    ) throws(UsageError) {
        options.access.tokens = try tokens.finish()
        if options.clientAuthoritiesFile != nil {
            guard options.certificateFile != nil else {
                throw UsageError(message: "--tls-client-ca needs --tls-cert and --tls-key")
            }
            options.access.trustsCertificates = true
        } else if options.requiresClientCertificate {
            throw UsageError(message: "--tls-client-required needs --tls-client-ca")
        }
        guard options.auditFile == nil || options.access.isOn else {
            throw UsageError(message: "--audit needs --access or --jwks: who calls is not known")
        }
    }

    /// Of a server that others than this machine can reach.
    static func refuseIfOpen(_ options: ServerOptions) throws(UsageError) {
        // A certificate that is asked for is authentication, though it leaves no rights to tell apart.
        let knowsCallers = options.access.isOn || options.requiresClientCertificate
        let lack: String
        switch (options.certificateFile != nil, knowsCallers) {
        case (true, true): return
        case (true, false):
            lack =
                "whoever reaches it may read and write: say who may by --access, or add --insecure "
                + "if the network is trusted"
        case (false, true):
            lack =
                "the server talks plaintext, keys included: add --tls-cert and --tls-key, or "
                + "--insecure if the network is trusted"
        case (false, false):
            lack =
                "the server talks plaintext and whoever reaches it may read and write: add "
                + "--tls-cert, --tls-key and --access, or --insecure if the network is trusted"
        }
        throw UsageError(
            message: "--listen \(options.transport.host) is not loopback, and \(lack)")
    }
}
