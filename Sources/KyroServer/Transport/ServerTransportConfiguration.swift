// How the server listens, and what a connection may cost it.
import KyroHTTP2

public struct ServerTransportConfiguration: Sendable {
    public var host = "127.0.0.1"
    /// 0 lets the kernel choose; `Server.start` tells.
    public var port: UInt16 = 50051
    /// Listens here besides, when set.
    public var unixPath: String?
    /// Every connection talks TLS when set, plaintext when not.
    public var tls: ServerTLS?
    public var loopCount = 1
    /// Connections beyond it are told to go as soon as they are accepted.
    public var connectionsMax = 10_000
    /// TLS, the preface and the first SETTINGS must be there within this after the socket was
    /// accepted.
    public var handshakeTimeoutMillis = 10_000
    /// A header block must be complete within this after its first frame.
    public var headersTimeoutMillis = 10_000
    /// A message must be complete within this after its first byte, and the time that its bytes
    /// take at 64 KiB/s.
    public var messageTimeoutMillis = 30_000
    /// An answer for which the client opens no window makes no progress for so long: its call is
    /// reset. A socket that takes nothing for so long is closed. Long, since a client may well work
    /// on a page before it reads the next.
    public var replyTimeoutMillis = 300_000
    /// A connection that has lived so long is drained, its calls under way finish. 0: never.
    public var ageMaxMillis = 0
    /// After a connection was asked to go for its age or idleness it is closed, whatever runs.
    public var leaveGraceMillis = 60_000
    /// A connection without calls for so long is drained. 0: never.
    public var idleTimeoutMillis = 30 * 60_000
    /// A silent connection is asked for a sign of life after this; after twice this it is closed.
    public var keepaliveMillis = 60_000
    /// While the socket takes nothing and more than this is queued, the connection is not read.
    public var queuedBytesMax = 16 << 20
    /// The same for frames without data, such as answers that are an error: each costs a request of
    /// a few bytes.
    public var queuedFramesMax = 10_000
    /// While more than this waits for a client's windows, a call that would add to it ends with
    /// RESOURCE_EXHAUSTED: its own bound holds for one call, and there may be 1,024.
    public var unsentBytesMax = 16 << 20
    /// While more than this waits over all connections, each may add to at most
    /// `unsentBytesShare`: ten thousand clients that do not read cost no more than this.
    public var unsentBytesTotalMax = 128 << 20
    public var unsentBytesShare = 256 << 10
    public var http2 = HTTP2Configuration()

    public init() {}
}
