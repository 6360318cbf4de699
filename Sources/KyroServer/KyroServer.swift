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
    /// Metrics and state over HTTP/1.1; nil: nobody listens.
    public var operations: OperationsPlaneOptions?
    public var requestLog = RequestLogOptions()

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
    private let operations: OperationsPlaneOptions?
    private let metrics: ServerMetrics
    private let plane = Locked<OperationsPlane?>(nil)
    /// For what is under way when memory is refused: requests being decoded, answers being written.
    private static let emergencyBytes = 16 << 20
    /// Logs, snapshots and event loops.
    private static let ownFilesMax = 256

    /// Opens the data directory; recovery goes on in the background.
    public init(_ options: ServerOptions) throws(KyroError) {
        EmergencyMemory.hold(Self.emergencyBytes)
        var configuration = options.transport
        if let context = try Self.tls(of: options) { configuration.tls = context }
        drainMillis = options.drainMillis
        let health = HealthBoard()
        self.health = health
        engine = try Engine(
            options.engine, hashSeed: SystemRandomSource().next(),
            notice: { Log.warning($0) },
            onRecovered: { isWhole in if isWhole { health.setServing() } })
        pool = WorkerPool(
            name: "kyro-search", threadCount: max(1, options.transport.loopCount), jobsMax: 1_024)
        Self.checkFileLimit(configuration.connectionsMax)
        let connections = ConnectionCounter()
        let methods = MethodTable(
            context: ServiceContext(
                engine: engine, pool: pool, health: health, version: options.version,
                connectionCount: { connections.count }))
        let calls = CallMetrics(
            paths: methods.paths, loopCount: configuration.loopCount,
            log: RequestLog(options.requestLog, seed: SystemRandomSource().next()))
        transport = Server(configuration: configuration, dispatcher: methods, calls: calls)
        connections.observe(transport)
        operations = options.operations
        metrics = ServerMetrics(
            state: ServerState(version: options.version, engine: engine, health: health),
            calls: calls, pool: pool, transport: transport)
    }

    /// Connections beyond the limit of open files are refused like those beyond their own.
    private static func checkFileLimit(_ connectionsMax: Int) {
        let files = ProcessMemory.raiseFileLimit()
        guard connectionsMax > files - ownFilesMax else { return }
        Log.warning(
            "fewer connections than allowed will be taken: raise the limit of open files",
            ["connections": connectionsMax, "open files": files])
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
    public func start() throws(SocketError) -> UInt16 {
        if let operations {
            let made = try OperationsPlane(operations, state: metrics.state, metrics: metrics)
            plane.withLock { $0 = made }
        }
        return try transport.start()
    }

    /// Of the operations plane, once started; nil without one.
    public var operationsPort: UInt16? { plane.withLock { $0?.port } }

    /// Refuses new calls, finishes those under way, seals the logs.
    public func stop() {
        health.setDraining()
        transport.drain(timeoutMillis: drainMillis)
        transport.join()
        pool.stop()
        engine.close()
        // Last, so that whoever looks sees the end.
        plane.withLock { $0.take() }?.stop()
    }
}
