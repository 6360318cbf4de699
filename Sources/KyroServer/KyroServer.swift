// The server: an engine, its services, and the transport that carries them.
import KyroBytes
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroTLS

public struct ServerOptions: Sendable {
    public var engine: EngineConfiguration
    public var transport = ServerTransportConfiguration()
    /// Both or none: what turns TLS on.
    public var certificateFile: String?
    public var privateKeyFile: String?
    /// Time that calls under way get when the server stops.
    public var drainMillis = 10_000
    public var version: String

    public init(engine: EngineConfiguration, version: String) {
        self.engine = engine
        self.version = version
        transport.http2.messageBytesMax = Limits.messageBytesMax
    }
}

/// Start it, wait for a signal, stop it.
public final class KyroServer: Sendable {
    private let engine: Engine
    private let pool: WorkerPool
    private let health: HealthBoard
    private let transport: Server
    private let drainMillis: Int
    /// For what is under way when memory is refused: requests being decoded, answers being written.
    private static let emergencyBytes = 16 << 20

    /// Opens the data directory; recovery goes on in the background.
    public init(_ options: ServerOptions) throws(KyroError) {
        EmergencyMemory.hold(Self.emergencyBytes)
        var configuration = options.transport
        if let context = try Self.tls(of: options) { configuration.tls = context }
        drainMillis = options.drainMillis
        let health = HealthBoard(HealthBoard.productNeeds)
        self.health = health
        engine = try Engine(
            options.engine, hashSeed: SystemRandomSource().next(),
            notice: { Log.warning($0) },
            onShardState: { health.setShard($0, $1) }, onRecovered: { health.setRecovered() })
        health.expect(shardCount: engine.shardCount)
        pool = WorkerPool(
            name: "kyro-search", threadCount: max(1, options.transport.loopCount), jobsMax: 1_024)
        let observer = TransportObserver()
        transport = Server(
            configuration: configuration,
            dispatcher: MethodTable(
                context: ServiceContext(
                    engine: engine, pool: pool, health: health, version: options.version,
                    transport: observer)))
        observer.observe(transport)
    }

    /// - Throws: INVALID_FIELD for files that cannot be used.
    private static func tls(of options: ServerOptions) throws(KyroError) -> TLSContext? {
        switch (options.certificateFile, options.privateKeyFile) {
        case (nil, nil): return nil
        case (let certificate?, let key?):
            do {
                return try TLSContext.server(certificateFile: certificate, privateKeyFile: key)
            } catch {
                throw KyroError(
                    .invalidField,
                    "TLS needs a PEM certificate chain and its unencrypted key; \(error)")
            }
        default:
            throw KyroError(.invalidField, "TLS needs both a certificate and its private key")
        }
    }

    /// - Returns: the port, which the kernel chose if it was zero.
    public func start() throws(SocketError) -> UInt16 { try transport.start() }

    /// Refuses new calls, finishes those under way, seals the logs.
    public func stop() {
        health.setDraining()
        transport.drain(timeoutMillis: drainMillis)
        transport.join()
        pool.stop()
        engine.close()
    }
}
