// For scrapers, load balancers and people with curl: metrics and state over HTTP/1.1, on a port of
// its own, so that it answers while the service's port is overrun, recovering or draining.
import KyroEngine
import KyroModel
import KyroPlatform

public struct OperationsPlaneOptions: Sendable {
    public var host: String
    /// 0 lets the kernel choose.
    public var port: UInt16
    /// Whoever starts the server writes HOST:PORT there.
    public var portFile: String?

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }
}

/// What the plane tells of, besides metrics.
struct ServerState: Sendable {
    let version: String
    let engine: Engine
    let health: HealthBoard

    /// One word: what a person wants to know first.
    var word: String {
        if health.isDraining { return "draining" }
        return isReady ? "ready" : "starting"
    }

    /// Recovery is done, all shards serve, and the server is not about to stop: send it requests.
    var isReady: Bool { health.status(of: "") == .serving }
}

final class OperationsPlane: Sendable {
    private let daemon: HTTPDaemon

    var port: UInt16 { daemon.port }

    init(
        _ options: OperationsPlaneOptions, state: ServerState, metrics: ServerMetrics
    ) throws(SocketError) {
        daemon = try HTTPDaemon(host: options.host, port: options.port) { path in
            switch path {
            case "/metrics":
                return HTTPAnswer(200, MetricsText.contentType, metrics.text().bytes)
            case "/health":
                // That it answers is the news: a process that recovers or drains is healthy.
                return Self.plain(200, state.word)
            case "/ready":
                return Self.plain(state.isReady ? 200 : 503, state.word)
            case "/version":
                return Self.version(state)
            default:
                return nil
            }
        }
    }

    func stop() { daemon.stop() }

    private static func plain(_ status: UInt32, _ text: String) -> HTTPAnswer {
        HTTPAnswer(status, "text/plain; charset=utf-8", Array((text + "\n").utf8))
    }

    private static func version(_ state: ServerState) -> HTTPAnswer {
        let text =
            "{\"name\":\"kyrodb\",\"version\":\"\(state.version)\",\"kernels\":\"\(state.engine.kernels)\"}\n"
        return HTTPAnswer(200, "application/json", Array(text.utf8))
    }
}
