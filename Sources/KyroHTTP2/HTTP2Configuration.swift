// What one end of a connection grants to the other, and what it refuses.

/// Metadata in wire order; names are lower case, values of `-bin` names are the decoded bytes.
public typealias GRPCMetadata = [(name: String, value: [UInt8])]

public struct HTTP2Configuration: Sendable {
    /// Streams the peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS).
    public var concurrentStreamsMax: UInt32 = 1024
    /// Sum of name + value + 32 over a header block (RFC 9113 §6.5.2); more is refused.
    public var headerListBytesMax: UInt32 = 16 << 10
    /// What the peer may send on one stream before the message is taken.
    public var streamWindowBytes: Int32 = 1 << 20
    /// What the peer may send on all streams together before we read it.
    public var connectionWindowBytes: Int32 = 4 << 20
    /// Bytes of messages not yet taken, over all streams, above which the connection's window is
    /// held back too. Memory for a connection's input stays below this + `connectionWindowBytes`
    /// + one unfinished message a stream.
    public var heldBytesMax: Int = 8 << 20
    /// Server: bytes of messages that have begun and not ended, over all streams, and of those that
    /// handlers keep until more comes (`ServerSession.hold`). Their windows were given back, so that
    /// nothing else bounds them: 1,024 streams of a message each. The call that goes beyond it ends
    /// with RESOURCE_EXHAUSTED. Room for two of the longest messages.
    public var unfinishedBytesMax: Int = 128 << 20
    /// A longer message, on the wire or inflated, ends its call with RESOURCE_EXHAUSTED.
    public var messageBytesMax: Int = 64 << 20
    /// Below this many queued outgoing bytes a stream that was above it reports `writable`.
    public var lowWaterBytes: Int = 64 << 10
    /// Serialised frames kept for the socket; production stops above it until they are taken.
    public var outputBytesMax: Int = 256 << 10
    /// Resets by the peer that are forgiven at once, and per second (CVE-2023-44487).
    public var resetBurst: UInt64 = 1000
    public var resetsPerSecond: UInt64 = 100
    /// CONTINUATION frames behind one HEADERS (CVE-2024-28182).
    public var continuationsMax: Int = 8
    /// Frames that ask for nothing and carry nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, GOAWAY,
    /// DATA without data, frames of unknown types): so many are forgiven at once, and per second.
    /// Every answer that was sent allows four more.
    public var idleFrameBurst: UInt64 = 1000
    public var idleFramesPerSecond: UInt64 = 100
    /// SETTINGS and PING acknowledgements queued for a peer that does not read; above what
    /// `idleFrameBurst` lets in, so that such a peer is told why the connection ends.
    public var queuedAcksMax: Int = 4000

    public init() {}
}

/// Why a connection cannot go on. The caller writes what is still to be sent and closes.
public enum HTTP2Error: Error, Equatable, Sendable {
    /// The peer broke the protocol, or nghttp2 ran out of memory; its own words for it.
    case connection(code: Int32, reason: String)
    /// Stream ids are used up, or the peer is going away: open a new connection.
    case noMoreStreams

    /// The code for bytes that are not the client's preface (NGHTTP2_ERR_BAD_CLIENT_MAGIC).
    public static let badPreface: Int32 = -903
}
