// What the transport took and what it refused, counted; read by whoever exports metrics.
import KyroHTTP2
import Synchronization

/// Why a connection was closed, or a call ended, without any handler's doing.
public enum TransportRefusal: UInt8, CaseIterable, Sendable {
    // Connections that never came to be.
    case connectionLimit
    case noDescriptor
    case handshakeTimeout
    case notHTTP2
    case tlsFailed
    // Connections that were ended for what their client did, or did not.
    case protocolError
    case pingFlood
    case settingsFlood
    case priorityFlood
    case windowUpdateFlood
    case emptyDataFlood
    case goAwayFlood
    case unknownFrameFlood
    case resetFlood
    case continuationFlood
    case headerBomb
    case headersTimeout
    /// The socket took nothing for too long.
    case socketStalled
    /// No sign of life, a ping unanswered.
    case keepaliveTimeout
    // Connections that were asked to go, and those that did not go in time.
    case idle
    case age
    case graceExpired
    // Calls that never reached a handler, or were taken from it.
    case notGRPC
    case metadataTooLarge
    case malformedMetadata
    case unknownEncoding
    case brokenMessage
    case messageTooLarge
    case messageTimeout
    case replyStalled

    /// In metrics and logs.
    public var name: String {
        switch self {
        case .connectionLimit: "connection_limit"
        case .noDescriptor: "no_descriptor"
        case .handshakeTimeout: "handshake_timeout"
        case .notHTTP2: "not_http2"
        case .tlsFailed: "tls_failed"
        case .protocolError: "protocol_error"
        case .pingFlood: "ping_flood"
        case .settingsFlood: "settings_flood"
        case .priorityFlood: "priority_flood"
        case .windowUpdateFlood: "window_update_flood"
        case .emptyDataFlood: "empty_data_flood"
        case .goAwayFlood: "goaway_flood"
        case .unknownFrameFlood: "unknown_frame_flood"
        case .resetFlood: "reset_flood"
        case .continuationFlood: "continuation_flood"
        case .headerBomb: "header_bomb"
        case .headersTimeout: "headers_timeout"
        case .socketStalled: "socket_stalled"
        case .keepaliveTimeout: "keepalive_timeout"
        case .idle: "idle"
        case .age: "age"
        case .graceExpired: "grace_expired"
        case .notGRPC: "not_grpc"
        case .metadataTooLarge: "metadata_too_large"
        case .malformedMetadata: "malformed_metadata"
        case .unknownEncoding: "unknown_encoding"
        case .brokenMessage: "broken_message"
        case .messageTooLarge: "message_too_large"
        case .messageTimeout: "message_timeout"
        case .replyStalled: "reply_stalled"
        }
    }

    init(_ abuse: HTTP2Abuse) {
        switch abuse {
        case .pings: self = .pingFlood
        case .settings: self = .settingsFlood
        case .priorities: self = .priorityFlood
        case .windowUpdates: self = .windowUpdateFlood
        case .emptyData: self = .emptyDataFlood
        case .goAways: self = .goAwayFlood
        case .unknownFrames: self = .unknownFrameFlood
        case .resets: self = .resetFlood
        case .continuations: self = .continuationFlood
        case .headerBomb: self = .headerBomb
        }
    }

    init(_ refusal: HTTP2Refusal) {
        switch refusal {
        case .notGRPC: self = .notGRPC
        case .metadataTooLarge: self = .metadataTooLarge
        case .malformedMetadata: self = .malformedMetadata
        case .unknownEncoding: self = .unknownEncoding
        }
    }
}

/// Any thread; each counter only grows.
public final class TransportCounters: Sendable {
    /// Room for one counter each; `TransportRefusal` has fewer cases.
    private let refusals = InlineArray<48, Atomic<UInt64>> { _ in Atomic(0) }
    private let accepted = Atomic<UInt64>(0)
    private let calls = Atomic<UInt64>(0)

    private let unsent = Atomic<Int>(0)

    init() {}

    /// A gauge: bytes of answers that wait for the windows of all clients.
    public var unsentBytes: Int { unsent.load(ordering: .relaxed) }

    /// Connections that were handed to a loop.
    public var connectionsAccepted: UInt64 { accepted.load(ordering: .relaxed) }
    /// Calls that were handed to a handler, or had none.
    public var callsBegun: UInt64 { calls.load(ordering: .relaxed) }

    public func count(of refusal: TransportRefusal) -> UInt64 {
        refusals[Int(refusal.rawValue)].load(ordering: .relaxed)
    }

    func noteUnsent(change: Int) { unsent.add(change, ordering: .relaxed) }
    func noteAccepted() { accepted.add(1, ordering: .relaxed) }
    func noteCall() { calls.add(1, ordering: .relaxed) }
    func note(_ refusal: TransportRefusal, times: Int = 1) {
        refusals[Int(refusal.rawValue)].add(UInt64(times), ordering: .relaxed)
    }
}
