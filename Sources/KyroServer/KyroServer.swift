// The server: an engine, its services, and the transport that carries them.
import KyroAccess
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
    /// Who vouches for clients' certificates.
    public var clientAuthoritiesFile: String?
    public var requiresClientCertificate = false
    /// Who may do what; off, whoever reaches the server may do everything.
    public var access = AccessOptions()
    public var auditFile: String?
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
    private let credentials: CredentialFiles
    private let audit: AuditLog?
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
        let tls = try Self.tls(of: options)
        if let tls { configuration.tls = tls.context }
        drainMillis = options.drainMillis
        // Before the engine: a broken file ends the start at once.
        let time = Locked<Engine?>(nil)
        let nowMillis: @Sendable () -> Int64 = { time.withLock { $0 }?.credentialMillis() ?? .max }
        let access =
            try options.access.isOn
            ? AccessControl(options.access, nowMillis: nowMillis) : nil
        let health = HealthBoard()
        self.health = health
        audit = try options.auditFile.map { path throws(KyroError) in
            try AuditLog(path: path) { Log.error("the audit log is not written", ["error": $0]) }
        }
        engine = try Engine(
            options.engine, hashSeed: SystemRandomSource().next(),
            notice: { Log.warning($0) },
            onRecovered: { isWhole in if isWhole { health.setServing() } })
        let engine = self.engine
        time.withLock { $0 = engine }
        pool = WorkerPool(
            name: "kyro-search", threadCount: max(1, options.transport.loopCount), jobsMax: 1_024)
        let audit = audit
        Self.checkFileLimit(configuration.connectionsMax)
        let connections = ConnectionCounter()
        let methods = MethodTable(
            context: ServiceContext(
                engine: engine, pool: pool, health: health, version: options.version,
                connectionCount: { connections.count }, isGuarded: options.access.isOn))
        let calls = CallMetrics(
            paths: methods.paths, loopCount: configuration.loopCount,
            log: RequestLog(options.requestLog, seed: SystemRandomSource().next()))
        transport = Server(
            configuration: configuration,
            dispatcher: access.map { control in
                AccessGuard(control, before: methods, audit: audit, nowMillis: nowMillis)
            } ?? methods, calls: calls)
        credentials = CredentialFiles(
            access, tls?.context, paths: options.access.paths + (tls?.paths ?? []))
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
    private static func tls(
        of options: ServerOptions
    ) throws(KyroError) -> (context: ServerTLS, paths: [String])? {
        switch (options.certificateFile, options.privateKeyFile) {
        case (nil, nil): return nil
        case (let certificate?, let key?):
            var made = TLSServerOptions(certificateFile: certificate, privateKeyFile: key)
            made.clientAuthoritiesFile = options.clientAuthoritiesFile
            made.requiresClientCertificate = options.requiresClientCertificate
            do {
                return (try ServerTLS(made), made.paths)
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

    /// Reads certificates, keys and rights anew, as happens by itself when their files change.
    public func reloadCredentials() { credentials.reload() }

    /// Refuses new calls, finishes those under way, seals the logs.
    public func stop() {
        credentials.stop()
        health.setDraining()
        transport.drain(timeoutMillis: drainMillis)
        transport.join()
        pool.stop()
        audit?.close()
        engine.close()
        // Last, so that whoever looks sees the end.
        plane.withLock { $0.take() }?.stop()
    }
}
