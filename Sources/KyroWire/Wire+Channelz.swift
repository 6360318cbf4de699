// grpc/channelz/v1/channelz.proto: what a server says of itself and of its sockets.
import KyroModel

/// GetServers, GetServerSockets and GetTopChannels: where to begin, and how much.
public struct ChannelzPage: Sendable {
    /// 0 in GetServers and GetTopChannels.
    public var serverNumber: Int64 = 0
    public var start: Int64 = 0
    /// 0 leaves it to the server.
    public var countMax: Int64 = 0

    /// - Parameter isOfServer: the first field names a server.
    /// - Throws: MALFORMED_MESSAGE, and INVALID_FIELD for negative numbers.
    public static func decode(
        wire bytes: [UInt8], isOfServer: Bool = false
    ) throws(KyroError) -> ChannelzPage {
        let numbers = try decodeMessage(NumbersDraft.self, bytes)
        var page = ChannelzPage()
        page.serverNumber = isOfServer ? numbers[0] : 0
        page.start = numbers[isOfServer ? 1 : 0]
        page.countMax = numbers[isOfServer ? 2 : 1]
        guard page.start >= 0, page.countMax >= 0 else {
            throw KyroError(.invalidField, "an id and a count of results are never below 0")
        }
        return page
    }
}

public enum ChannelzNumber {
    /// The one number of GetServer, GetSocket, GetChannel, GetSubchannel.
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> Int64 {
        try decodeMessage(NumbersDraft.self, bytes)[0]
    }
}

/// Three integers in fields 1 to 3: what all requests of channelz come to.
private struct NumbersDraft: WireDraft {
    var numbers: [Int64] = [0, 0, 0]

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1...3, .varint): numbers[Int(field.number) - 1] = try reader.int64("id")
        default: try reader.skip(field)
        }
    }

    func finish() -> [Int64] { numbers }
}

public struct ChannelzServer: Sendable {
    public var number: Int64
    public var name: String
    public var callsStarted: Int64
    public var callsSucceeded: Int64
    public var callsFailed: Int64
    /// Unix; 0 for never.
    public var lastCallMillis: Int64

    public init(
        number: Int64, name: String, callsStarted: Int64, callsSucceeded: Int64,
        callsFailed: Int64, lastCallMillis: Int64
    ) {
        self.number = number
        self.name = name
        self.callsStarted = callsStarted
        self.callsSucceeded = callsSucceeded
        self.callsFailed = callsFailed
        self.lastCallMillis = lastCallMillis
    }
}

public struct ChannelzSocket: Sendable {
    public enum Address: Sendable {
        case ip([UInt8], port: UInt16)
        case unix(path: String)
    }

    public var number: Int64
    public var name = ""
    public var streamsStarted: Int64 = 0
    public var streamsSucceeded: Int64 = 0
    public var streamsFailed: Int64 = 0
    public var messagesSent: Int64 = 0
    public var messagesReceived: Int64 = 0
    public var keepalivesSent: Int64 = 0
    /// Unix, as the others; 0 for never.
    public var lastStreamMillis: Int64 = 0
    public var lastSentMillis: Int64 = 0
    public var lastReceivedMillis: Int64 = 0
    public var local: Address?
    public var remote: Address?
    /// nil in plaintext.
    public var cipher: String?

    public init(number: Int64) { self.number = number }
}

public enum ChannelzAnswer: Sendable {
    /// GetTopChannels.
    case noChannels
    case servers([ChannelzServer], isLast: Bool)
    case server(ChannelzServer)
    case sockets([(number: Int64, name: String)], isLast: Bool)
    case socket(ChannelzSocket)

    public func encodeWire() -> [UInt8] { encodeMessage(self) }
}

extension ChannelzAnswer: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .noChannels: sink.bool(2, true)
        case .servers(let servers, let isLast):
            sink.messages(1, servers)
            sink.bool(2, isLast)
        case .server(let server): sink.message(1, server)
        case .sockets(let sockets, let isLast):
            for (number, name) in sockets {
                sink.message(1, Reference(field: 3, number: number, name: name))
            }
            sink.bool(2, isLast)
        case .socket(let socket): sink.message(1, socket)
        }
    }
}

/// ServerRef has its parts in 5 and 6, SocketRef in 3 and 4.
private struct Reference: WireEncodable {
    let field: UInt32
    let number: Int64
    let name: String

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.int(field, number)
        sink.string(field + 1, name)
    }
}

private struct Timestamp: WireEncodable {
    let millis: Int64

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.int(1, millis / 1_000)
        sink.int(2, millis % 1_000 * 1_000_000)
    }
}

extension WireSink {
    fileprivate mutating func time(_ number: UInt32, millis: Int64) {
        if millis > 0 { message(number, Timestamp(millis: millis)) }
    }
}

extension ChannelzServer: WireEncodable {
    private struct Data: WireEncodable {
        let server: ChannelzServer

        func encode<Sink: WireSink>(into sink: inout Sink) {
            sink.int(2, server.callsStarted)
            sink.int(3, server.callsSucceeded)
            sink.int(4, server.callsFailed)
            sink.time(5, millis: server.lastCallMillis)
        }
    }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, Reference(field: 5, number: number, name: name))
        sink.message(2, Data(server: self))
    }
}

extension ChannelzSocket.Address: WireEncodable {
    private struct TCP: WireEncodable {
        let bytes: [UInt8]
        let port: UInt16

        func encode<Sink: WireSink>(into sink: inout Sink) {
            sink.bytes(1, bytes)
            sink.uint(2, UInt32(port))
        }
    }

    private struct Unix: WireEncodable {
        let path: String

        func encode<Sink: WireSink>(into sink: inout Sink) { sink.string(1, path) }
    }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .ip(let bytes, let port): sink.message(1, TCP(bytes: bytes, port: port))
        case .unix(let path): sink.message(2, Unix(path: path))
        }
    }
}

extension ChannelzSocket: WireEncodable {
    private struct Data: WireEncodable {
        let socket: ChannelzSocket

        func encode<Sink: WireSink>(into sink: inout Sink) {
            sink.int(1, socket.streamsStarted)
            sink.int(2, socket.streamsSucceeded)
            sink.int(3, socket.streamsFailed)
            sink.int(4, socket.messagesSent)
            sink.int(5, socket.messagesReceived)
            sink.int(6, socket.keepalivesSent)
            sink.time(8, millis: socket.lastStreamMillis)
            sink.time(9, millis: socket.lastSentMillis)
            sink.time(10, millis: socket.lastReceivedMillis)
        }
    }

    private struct Security: WireEncodable {
        let cipher: String

        func encode<Sink: WireSink>(into sink: inout Sink) { sink.message(1, TLS(cipher: cipher)) }

        private struct TLS: WireEncodable {
            let cipher: String

            func encode<Sink: WireSink>(into sink: inout Sink) { sink.presentString(1, cipher) }
        }
    }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, Reference(field: 3, number: number, name: name))
        sink.message(2, Data(socket: self))
        sink.message(3, local)
        sink.message(4, remote)
        sink.message(5, cipher.map { Security(cipher: $0) })
    }
}
