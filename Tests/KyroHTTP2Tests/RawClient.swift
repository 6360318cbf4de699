// Frames written by hand, for what our own client never sends. A ClientSession opens the same
// stream, its bytes are thrown away, and it reads what the server answers.
import KyroHTTP2
import Testing

struct RawClient {
    let server: ServerSession
    let reader = ClientSession(authority: "raw")
    private(set) var events: [ServerEvent] = []
    var seen: [Int32: Seen] = [:]
    /// How the last answer of each call came.
    private(set) var encodings: [Int32: MessageEncoding] = [:]
    private var nextID: Int32 = 1

    init(configuration: HTTP2Configuration = HTTP2Configuration()) throws {
        server = ServerSession(configuration: configuration)
        try server.receive(
            Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
                + Self.frame(type: 4, flags: 0, id: 0, []))
    }

    static let standard: [(String, String)] = [
        (":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "x"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    ]

    /// Fields of the standard request, some replaced (or, with nil, left out), some added.
    static func request(_ changes: [(String, String?)]) -> [(String, String)] {
        var fields = standard
        for (name, value) in changes {
            fields.removeAll { $0.0 == name }
            guard let value else { continue }
            // Pseudo fields come first.
            if name.hasPrefix(":") {
                fields.insert((name, value), at: 0)
            } else {
                fields.append((name, value))
            }
        }
        return fields
    }

    static func frame(type: UInt8, flags: UInt8, id: Int32, _ payload: [UInt8]) -> [UInt8] {
        let count = payload.count
        return [
            UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags,
            UInt8(id >> 24 & 255), UInt8(id >> 16 & 255), UInt8(id >> 8 & 255), UInt8(id & 255),
        ] + payload
    }

    /// Literal fields without indexing or Huffman code (RFC 7541 §6.2.2).
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        var out: [UInt8] = []
        func append(_ text: String) {
            let count = text.utf8.count
            if count < 127 {
                out.append(UInt8(count))
            } else {
                out.append(127)
                var rest = count - 127
                while rest >= 128 {
                    out.append(UInt8(rest & 127) | 128)
                    rest >>= 7
                }
                out.append(UInt8(rest))
            }
            out.append(contentsOf: text.utf8)
        }
        for (name, value) in fields {
            out.append(0)
            append(name)
            append(value)
        }
        return out
    }

    /// Opens a stream with these fields. Returns its id.
    mutating func open(_ fields: [(String, String)], endStream: Bool = false) throws -> Int32 {
        let id = nextID
        nextID += 2
        let stream = try reader.open(path: "/ignored")
        try #require(stream.id == id)
        discardReaderOutput()
        try send(type: 1, flags: endStream ? 5 : 4, id: id, Self.block(fields))
        return id
    }

    mutating func data(_ id: Int32, _ bytes: [UInt8], endStream: Bool = false) throws {
        try send(type: 0, flags: endStream ? 1 : 0, id: id, bytes)
    }

    mutating func send(type: UInt8, flags: UInt8, id: Int32, _ payload: [UInt8]) throws {
        try server.receive(Self.frame(type: type, flags: flags, id: id, payload))
        try turn()
    }

    /// Lets the server work and answer.
    mutating func turn() throws {
        while true {
            while let event = server.nextEvent() { events.append(event) }
            try server.produce()
            let bytes = Array(server.output[server.outputOffset...])
            if bytes.isEmpty, !server.hasEvents { break }
            server.outputWritten(bytes.count)
            try reader.receive(bytes)
            discardReaderOutput()
            while let event = reader.nextEvent() {
                switch event {
                case .finished(let stream, let status, _):
                    seen[stream.id, default: Seen()].status = status
                case .message(let stream, let bytes):
                    seen[stream.id, default: Seen()].messages.append(bytes)
                    encodings[stream.id] = stream.wasCompressed ? stream.encoding : .identity
                case .initialMetadata, .writable, .goAway, .pong: break
                }
            }
        }
    }

    private func discardReaderOutput() {
        try? reader.produce()
        reader.outputWritten(reader.output.count - reader.outputOffset)
    }

    var requestCount: Int { events.filter { if case .request = $0 { true } else { false } }.count }
    var messages: [[UInt8]] {
        events.compactMap { if case .message(_, let bytes) = $0 { bytes } else { nil } }
    }
    var failures: [GRPCStatus] {
        events.compactMap { if case .failed(_, let status) = $0 { status } else { nil } }
    }
    var closedCount: Int { events.filter { if case .closed = $0 { true } else { false } }.count }
}
