// The options of `serve` about what a connection may do, and for how long.
import KyroServer

enum TransportArguments {
    static let usage = """
          --connections-max N      connections at once; more are told to go (default 10000)
          --streams-max N          calls at once of a connection (default 1024)
          --handshake-millis N     time for TLS and the first SETTINGS (default 10000)
          --headers-millis N       time for a header block once it has begun (default 10000)
          --message-millis N       time for a message once it has begun, and what its bytes take at
                                   64 KiB/s (default 30000)
          --reply-millis N         time for which a client may leave an answer, or its socket,
                                   untouched (default 300000)
          --keepalive-millis N     silence after which a client is asked for a sign of life; after
                                   as much again it is gone (default 60000)
          --idle-millis N          a connection without calls for so long is asked to go
                                   (default 1800000; 0 never)
          --connection-age-millis N
                                   a connection so old is asked to go, a tenth more or less, so that
                                   clients spread anew (default 0: never)
          --leave-grace-millis N   time that whoever is asked to go gets (default 60000)
        """

    private typealias Configuration = ServerTransportConfiguration
    private static let day = 86_400_000

    private static func option(
        _ name: String
    ) -> (range: ClosedRange<Int>, set: (inout Configuration, Int) -> Void)? {
        switch name {
        case "--connections-max": (1...1_000_000, { $0.connectionsMax = $1 })
        case "--streams-max":
            (1...65_536, { $0.http2.concurrentStreamsMax = UInt32($1) })
        case "--handshake-millis": (1...day, { $0.handshakeTimeoutMillis = $1 })
        case "--headers-millis": (1...day, { $0.headersTimeoutMillis = $1 })
        case "--message-millis": (1...day, { $0.messageTimeoutMillis = $1 })
        case "--reply-millis": (1...day, { $0.replyTimeoutMillis = $1 })
        case "--keepalive-millis": (1...day, { $0.keepaliveMillis = $1 })
        case "--idle-millis": (0...365 * day, { $0.idleTimeoutMillis = $1 })
        case "--connection-age-millis": (0...365 * day, { $0.ageMaxMillis = $1 })
        case "--leave-grace-millis": (0...day, { $0.leaveGraceMillis = $1 })
        default: nil
        }
    }

    /// False when there is no such option.
    static func set(
        _ name: String, _ value: String, _ configuration: inout ServerTransportConfiguration
    ) throws(UsageError) -> Bool {
        guard let option = option(name) else { return false }
        option.set(&configuration, try Arguments.number(name, value, option.range))
        return true
    }
}
