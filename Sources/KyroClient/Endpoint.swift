// Where a server listens, as people write it.
import KyroModel

public enum Endpoint: Equatable, Sendable, CustomStringConvertible {
    case tcp(host: String, port: UInt16)
    /// A socket in the file system.
    case unix(path: String)

    public static let portDefault: UInt16 = 50_051
    public static let local = Endpoint.tcp(host: "127.0.0.1", port: portDefault)

    /// Reads `host`, `host:port`, `[2001:db8::1]:port` or `unix:PATH`.
    public init(parsing text: String) throws(KyroError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { throw .invalid("server", "\"\(text)\" names no path") }
            self = .unix(path: path)
            return
        }
        var host = text
        var portText: String?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw .invalid(
                    "server", "\"\(text)\" has text behind the bracket; write [host]:port")
            }
            if !rest.isEmpty { portText = String(rest.dropFirst()) }
        } else if let colon = text.firstIndex(of: ":") {
            guard text.lastIndex(of: ":") == colon else {
                throw .invalid("server", "\"\(text)\": write an IPv6 address as [address]:port")
            }
            host = String(text[..<colon])
            portText = String(text[text.index(after: colon)...])
        }
        guard !host.isEmpty else { throw .invalid("server", "\"\(text)\" names no host") }
        guard let portText else {
            self = .tcp(host: host, port: Self.portDefault)
            return
        }
        guard let port = UInt16(portText), port > 0 else {
            throw .invalid("server", "\"\(text)\": the port must be a number from 1 to 65535")
        }
        self = .tcp(host: host, port: port)
    }

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Whether nothing sent there leaves this machine.
    public var isLocal: Bool {
        switch self {
        case .tcp(let host, _): host == "localhost" || host == "::1" || Self.isLoopback(host)
        case .unix: true
        }
    }

    /// 127.0.0.0/8 in dotted form: a name such as `127.example.com` is none.
    private static func isLoopback(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// What a server's certificate must name.
    var hostName: String {
        switch self {
        case .tcp(let host, _): host
        case .unix: "localhost"
        }
    }

    /// What the `:authority` of requests says.
    var authority: String {
        switch self {
        case .tcp: description
        case .unix: "localhost"
        }
    }
}
