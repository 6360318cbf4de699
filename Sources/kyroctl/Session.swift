// What every command needs: its arguments, a connection, and a place for its answer.
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform

final class Session {
    let arguments: Arguments
    let isJSON: Bool
    let timeoutMillis: Int64
    private let endpoint: Endpoint
    private let security: TransportSecurity
    private var opened: Connection?

    init(_ words: [String], command: Command) throws {
        arguments = try Arguments(words, options: Command.globalOptions + command.options)
        isJSON = arguments.flag("json")
        timeoutMillis = try arguments.millis("timeout") ?? 30_000
        let authorities = arguments.string("ca")
        guard authorities == nil || arguments.flag("tls") else {
            throw UsageError("--ca goes with --tls")
        }
        security =
            arguments.flag("tls")
            ? .tls(authoritiesFile: authorities, certificate: try Self.certificate(arguments))
            : .plaintext
        guard arguments.flag("tls") || arguments.string("client-cert") == nil else {
            throw UsageError("--client-cert goes with --tls")
        }
        let server = arguments.string("server") ?? Terminal.environment("KYRODB_SERVER")
        do {
            endpoint =
                try server.map { text throws(KyroError) in try Endpoint(parsing: text) }
                ?? .local
        } catch {
            throw UsageError("--server: \(error.message)")
        }
    }

    /// Opened by the first use.
    func connection() throws -> Connection {
        if let opened { return opened }
        let key = try apiKey()
        guard key == nil || security != .plaintext || endpoint.isLocal || arguments.flag("insecure")
        else {
            throw UsageError(
                "the API key would travel to \(endpoint) in plaintext: add --tls, or --insecure "
                    + "if the network is trusted")
        }
        let made = try Connection(
            to: endpoint,
            timeouts: Timeouts(
                connectMillis: min(5_000, timeoutMillis), callMillis: timeoutMillis),
            security: security)
        if let key { try made.authorize(bearer: key, allowsPlaintext: true) }
        opened = made
        return made
    }

    private static func certificate(_ arguments: Arguments) throws -> ClientCertificate? {
        switch (arguments.string("client-cert"), arguments.string("client-key")) {
        case (nil, nil): return nil
        case (let certificate?, let key?):
            return ClientCertificate(certificateFile: certificate, privateKeyFile: key)
        default: throw UsageError("--client-cert and --client-key belong together; one is missing")
        }
    }

    /// Never an option of its own: other users of the machine see command lines.
    private func apiKey() throws -> String? {
        guard let path = arguments.string("api-key-file") else {
            return Terminal.environment("KYRODB_API_KEY").flatMap { $0.isEmpty ? nil : $0 }
        }
        let bytes: [UInt8]
        do {
            bytes = try PosixFileSystem().open(path, .read).readAll()
        } catch {
            throw InputError("the API key: \(error)")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let line = text.split(whereSeparator: \.isNewline).first else {
            throw InputError("\(path) holds no API key")
        }
        return line.trimmingPrefix(while: \.isWhitespace).split(separator: " ").first.map(
            String.init)
    }

    var server: String { endpoint.description }

    var tenant: String {
        arguments.string("tenant") ?? Terminal.environment("KYRODB_TENANT") ?? Scope.defaultTenant
    }

    /// The collection that the options name.
    func scope() throws -> Scope {
        guard
            let namespace = arguments.string("namespace")
                ?? Terminal.environment("KYRODB_NAMESPACE")
        else { throw UsageError("which collection? Name it by -n NAME") }
        return Scope(tenant: tenant, namespace: namespace)
    }

    /// The collection that the only positional word or the options name.
    func scopeOfCommand() throws -> Scope {
        if arguments.positionals.isEmpty { return try scope() }
        let name = try arguments.positionals(exactly: ["the collection's name"])[0]
        if let other = arguments.string("namespace"), other != name {
            throw UsageError("two collections are named: \"\(name)\" and \"\(other)\"")
        }
        return Scope(tenant: tenant, namespace: name)
    }

    // MARK: output

    func write(_ text: String) { Terminal.write(text) }

    func write(_ json: JSON) { Terminal.write(json.text + "\n") }

    func write(_ table: Table) { Terminal.write(table.text(width: Terminal.width())) }

    /// For people beside the answer; scripts that read standard output do not see it.
    func note(_ text: String) { Terminal.writeError("kyroctl: \(text)\n") }
}
