// A client and a server session joined by memory instead of a socket.
import KyroHTTP2

/// What was seen of one call, on one end.
struct Seen {
    var paths: [String] = []
    var messages: [[UInt8]] = []
    var initialMetadata: GRPCMetadata?
    var halfClosed = 0
    var status: GRPCStatus?
    var trailers: GRPCMetadata = []
    var failed: GRPCStatus?
    var closed = 0
    var writable = 0
    var finishedCount = 0
}

final class Wire {
    let client: ClientSession
    let server: ServerSession
    /// Bytes handed over at a time.
    var chunkBytes = Int.max
    var atClient: [Int32: Seen] = [:]
    var atServer: [Int32: Seen] = [:]
    var serverStreams: [HTTP2Stream] = []
    var goAways = 0
    var refusals = 0
    var pongs: [[UInt8]] = []
    /// What the server does with its events; sees them after they were noted.
    var serve: (ServerSession, ServerEvent) -> Void = { _, _ in }
    var onClientEvent: (ClientEvent) -> Void = { _ in }

    init(
        clientConfiguration: HTTP2Configuration = HTTP2Configuration(),
        serverConfiguration: HTTP2Configuration = HTTP2Configuration()
    ) {
        client = ClientSession(authority: "test:1", configuration: clientConfiguration)
        server = ServerSession(configuration: serverConfiguration)
    }

    /// Carries bytes and events to and fro until nothing moves any more.
    func pump() throws {
        var moved = true
        while moved {
            moved = false
            try client.produce()
            if client.outputOffset < client.output.count {
                moved = true
                let bytes = Array(client.output[client.outputOffset...])
                client.outputWritten(bytes.count)
                try deliver(bytes) { bytes throws(HTTP2Error) in
                    try self.server.receive(bytes)
                    self.takeServerEvents()
                }
            }
            takeServerEvents()
            try server.produce()
            takeServerEvents()
            if server.outputOffset < server.output.count {
                moved = true
                let bytes = Array(server.output[server.outputOffset...])
                server.outputWritten(bytes.count)
                try deliver(bytes) { bytes throws(HTTP2Error) in
                    try self.client.receive(bytes)
                    self.takeClientEvents()
                }
            }
            takeClientEvents()
        }
    }

    private func deliver(
        _ bytes: [UInt8], _ receive: ([UInt8]) throws(HTTP2Error) -> Void
    ) throws(HTTP2Error) {
        var at = 0
        while at < bytes.count {
            let end = chunkBytes < bytes.count - at ? at + chunkBytes : bytes.count
            try receive(Array(bytes[at..<end]))
            at = end
        }
    }

    func takeServerEvents() {
        while let event = server.nextEvent() {
            switch event {
            case .request(let stream):
                serverStreams.append(stream)
                atServer[stream.id, default: Seen()].paths.append(stream.path)
            case .message(let stream, let bytes):
                atServer[stream.id, default: Seen()].messages.append(bytes)
            case .halfClosed(let stream): atServer[stream.id, default: Seen()].halfClosed += 1
            case .refused: refusals += 1
            case .failed(let stream, let status):
                atServer[stream.id, default: Seen()].failed = status
            case .writable(let stream): atServer[stream.id, default: Seen()].writable += 1
            case .closed(let stream): atServer[stream.id, default: Seen()].closed += 1
            case .goAway: goAways += 1
            case .pong(let opaque): pongs.append(opaque)
            }
            serve(server, event)
        }
    }

    func takeClientEvents() {
        while let event = client.nextEvent() {
            switch event {
            case .initialMetadata(let stream, let metadata):
                atClient[stream.id, default: Seen()].initialMetadata = metadata
            case .message(let stream, let bytes):
                atClient[stream.id, default: Seen()].messages.append(bytes)
            case .finished(let stream, let status, let trailers):
                atClient[stream.id, default: Seen()].status = status
                atClient[stream.id, default: Seen()].trailers = trailers
                atClient[stream.id, default: Seen()].finishedCount += 1
            case .writable(let stream): atClient[stream.id, default: Seen()].writable += 1
            case .goAway: goAways += 1
            case .pong(let opaque): pongs.append(opaque)
            }
            onClientEvent(event)
        }
    }

    /// Answers every message with itself and the end with OK.
    func serveEcho() {
        serve = { server, event in
            switch event {
            case .message(let stream, let bytes): server.send(bytes, on: stream)
            case .halfClosed(let stream): server.finish(stream, .success)
            default: break
            }
        }
    }
}

/// Bytes that differ at every place, and from seed to seed.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &+ seed) >> 7) }
}
