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
    /// Connections beyond it are closed as soon as they are accepted.
    public var connectionsMax = 4096
    /// A connection that has sent no request within this after it was accepted is closed.
    public var handshakeTimeoutMillis = 20_000
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
    public var unsentBytesMax = 64 << 20
    public var http2 = HTTP2Configuration()

    public init() {}
}
