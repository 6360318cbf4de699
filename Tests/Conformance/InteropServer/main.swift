// Serves grpc.testing.TestService for the official interoperability clients, on the transport of
// kyrodb and beside the same stock services: only the methods differ.
//
// usage: kyro-interop-server [--plain PORT] [--tls PORT --cert FILE --key FILE]
//                            [--mtls PORT --ca FILE] [--descriptors FILE] [--max-message BYTES]
//
// Listens on loopback; port 0 lets the kernel choose. Writes "plain PORT" and such to
// standard output, a line each, once they listen; mtls asks for a certificate that the authority
// vouches for. FILE of --descriptors is a serialised
// FileDescriptorSet, for reflection. SIGTERM drains it.
import Glibc
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroServer
import KyroTLS
import KyroWire

struct Dispatcher: CallDispatcher {
    let stock: StockServices
    let tests = TestService()

    func handler(for call: ServerCall) -> (any CallHandler)? {
        tests.handler(for: call) ?? stock.methods[call.path]?(call)
    }
}

struct Options {
    var plain: UInt16?
    var tls: UInt16?
    var mtls: UInt16?
    var authority: String?
    var certificate: String?
    var key: String?
    var descriptors: String?
    /// What gRPC's own servers take.
    var messageBytesMax = 4 << 20
}

struct Failure: Error {
    let text: String
}

func readFile(_ path: String) throws(Failure) -> [UInt8] {
    let fd = open(path, O_RDONLY)
    guard fd >= 0 else { throw Failure(text: "\(path) cannot be read") }
    defer { close(fd) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = read(fd, &piece, piece.count)
        guard count > 0 else { return bytes }
        bytes += piece[..<count]
    }
}

func parse(_ arguments: [String]) throws(Failure) -> Options {
    var options = Options()
    var rest = arguments[...]
    while let name = rest.popFirst() {
        guard let value = rest.popFirst() else { throw Failure(text: "\(name) needs a value") }
        switch name {
        case "--plain": options.plain = UInt16(value)
        case "--tls": options.tls = UInt16(value)
        case "--mtls": options.mtls = UInt16(value)
        case "--ca": options.authority = value
        case "--cert": options.certificate = value
        case "--key": options.key = value
        case "--descriptors": options.descriptors = value
        case "--max-message": options.messageBytesMax = Int(value) ?? 0
        default: throw Failure(text: "\(name) is unknown")
        }
    }
    guard options.plain != nil || options.tls != nil else {
        throw Failure(text: "--plain PORT or --tls PORT is missing")
    }
    return options
}

func run(_ options: Options) throws {
    let health = HealthBoard(["": .nothing, TestService.name: .nothing])
    var pool = DescriptorPool.product
    if let path = options.descriptors {
        pool = try DescriptorPool(descriptorSet: try readFile(path) + pool.files.serialisedSet)
    }
    let observer = TransportObserver()
    let dispatcher = Dispatcher(
        stock: StockServices(
            health: health, descriptors: pool, services: [TestService.name], transport: observer,
            nowMillis: { SystemClock().wallMillis() }))
    var configuration = ServerTransportConfiguration()
    configuration.http2.messageBytesMax = options.messageBytesMax
    configuration.loopCount = 2
    var servers: [Server] = []
    func serve(_ name: String, _ port: UInt16, _ tls: ServerTLS?) throws {
        configuration.port = port
        configuration.tls = tls
        let server = Server(configuration: configuration, dispatcher: dispatcher)
        let chosen = try server.start()
        servers.append(server)
        observer.observe(server)
        print(name, chosen)
    }
    if let port = options.plain { try serve("plain", port, nil) }
    if let port = options.tls, let certificate = options.certificate, let key = options.key {
        try serve(
            "tls", port,
            try ServerTLS(TLSServerOptions(certificateFile: certificate, privateKeyFile: key)))
    }
    if let port = options.mtls, let certificate = options.certificate, let key = options.key {
        var made = TLSServerOptions(certificateFile: certificate, privateKeyFile: key)
        made.clientAuthoritiesFile = options.authority
        made.requiresClientCertificate = true
        try serve("mtls", port, try ServerTLS(made))
    }
    fflush(nil)
    _ = Signals.waitForStop()
    health.setDraining()
    for server in servers { server.drain(timeoutMillis: 10_000) }
    for server in servers { server.join() }
}

Signals.prepare()
Log.level = .error
do {
    try run(try parse(Array(CommandLine.arguments.dropFirst())))
} catch {
    let line = Array("kyro-interop-server: \(error)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(2)
}
