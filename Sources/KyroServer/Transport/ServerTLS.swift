// The server's certificate, which may be replaced while connections talk.
import KyroPlatform
import KyroTLS

/// Any thread. A connection keeps the context that it began with.
public final class ServerTLS: Sendable {
    private let options: TLSServerOptions
    private let context: Locked<TLSContext>

    /// - Throws: `unusable`.
    public init(_ options: TLSServerOptions) throws(TLSError) {
        self.options = options
        context = Locked(try TLSContext.server(options))
    }

    /// For new connections.
    public var current: TLSContext { context.withLock { $0 } }

    /// - Throws: `unusable`; the context is the old one then.
    public func reload() throws(TLSError) {
        let made = try TLSContext.server(options)
        context.withLock { $0 = made }
    }
}
