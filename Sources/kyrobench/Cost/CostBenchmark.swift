// Processor time per request: KyroDB's transport and look-ups beside a bare nghttp2 server and a C++
// gRPC server, in turn, under the same load.
import Glibc
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform
import KyroWire

/// One server under one kind of load, round by round.
private final class CostCase {
    let server: String
    let question: String
    let load: CostLoad
    var cpuMicros: [Double] = []
    var wrongCount = 0
    var latencies = Histogram()

    init(_ server: String, _ question: String, _ load: CostLoad) {
        self.server = server
        self.question = question
        self.load = load
    }

    var median: Double {
        let sorted = cpuMicros.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

struct CostBenchmark {
    let options: CostOptions

    private static let grpcShareMax = 1.0 / 3
    private static let echoOverBareMax = 1.5
    private static let lookupOverBareMax = 2.5
    private static let metricsShareMax = 1.01
    private static let documentCount = 1_000
    private static let scope = Scope(namespace: "cost")
    private static let grpcKinds = ["callback", "sync"]

    func run() throws -> Int32 {
        let folder = try ServerProcess.makeFolder()
        defer { removeTree(folder) }
        let report = FigureReport()
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), load average "
                + "\(Machine.loadAverage) at the start; \(options.rounds) rounds of "
                + "\(options.requestCount) requests")
        let peers = try buildPeers()
        let servers = try start(peers, folder)
        for (name, connections, streams) in [
            ("\(options.connections)x\(options.streams)", options.connections, options.streams),
            ("one at a time", 1, 1),
        ] {
            let cases = try cases(servers, connections: connections, streams: streams)
            let count = streams == 1 ? options.requestCount / 10 : options.requestCount
            try measure(cases, count: count)
            add(cases, name, report)
        }
        return try report.end(
            [JSON.Member("rounds", .int(Int64(options.rounds)))], path: options.jsonPath,
            isStrict: options.isStrict)
    }

    // MARK: servers

    private struct Servers {
        /// By question: what each asks of whom, in the order measured.
        var asked: [(server: String, question: String, process: CostServer, CostRequests)] = []
    }

    /// Answers the folder they lie in.
    private func buildPeers() throws -> String {
        guard fileExists(options.peersScript) else {
            throw BenchError(
                "\(options.peersScript) is missing: run from the repository's root, or give "
                    + "--peers-script")
        }
        let words = ["bash", options.peersScript] + (options.hasGRPC ? ["--grpc"] : [])
        try PeerRun.run(words, output: "/dev/null")
        return ".build/peers/cost"
    }

    private func start(_ peers: String, _ folder: String) throws -> Servers {
        var servers = Servers()
        func spawn(_ name: String, _ words: (String) -> [String]) throws -> CostServer {
            let portFile = folder + "/" + name + ".port"
            return try CostServer(words(portFile), portFile: portFile)
        }
        let bare = try spawn("bare") { ["\(peers)/bare_server", $0] }
        let echo = try spawn("echo") { [options.echoBinary, $0] }
        var grpc: [(String, CostServer)] = []
        for kind in options.hasGRPC ? Self.grpcKinds : [] {
            grpc.append(("grpc \(kind)", try spawn(kind) { ["\(peers)/grpc_server", kind, $0] }))
        }
        for (question, byteCount) in [("echo 64 B", 64), ("echo 3 KiB", 3 << 10)] {
            let requests = Self.echo(byteCount)
            servers.asked.append(("bare", question, bare, requests))
            servers.asked.append(("echo", question, echo, requests))
            for (name, process) in grpc {
                servers.asked.append((name, question, process, requests))
            }
        }
        var lookups: [(question: String, CostRequests)] = []
        var binaries = [("kyrodb", options.binary)]
        if let without = options.without { binaries.append(("without metrics", without)) }
        for (name, binary) in binaries {
            let process = try spawn(name) { portFile in
                [
                    binary, "serve", "--data", "\(folder)/\(name)", "--listen", "127.0.0.1:0",
                    "--port-file", portFile, "--quiet", "--loops", "1",
                ] + options.serverOptions
            }
            lookups = try load(process)
            for (question, requests) in lookups {
                servers.asked.append((name, question, process, requests))
            }
        }
        for (question, requests) in lookups {
            let reply = requests.replies[0]
            try writeFile(reply, folder + "/reply")
            let answering = try spawn("answering") { portFile in
                ["\(peers)/bare_server", portFile, folder + "/reply"]
            }
            var requests = requests
            requests.replies = requests.replies.map { _ in reply }
            servers.asked.append(("bare", question, answering, requests))
        }
        return servers
    }

    private func writeFile(_ message: [UInt8], _ path: String) throws {
        let length = UInt32(message.count).bigEndian
        let prefix = [UInt8(0)] + withUnsafeBytes(of: length) { Array($0) }
        try PosixFileSystem().open(path, .createEmpty).write(prefix + message, at: 0)
    }

    /// A message whose one field has so many bytes.
    private static func echo(_ byteCount: Int) -> CostRequests {
        var message: [UInt8] = [0x0A]
        var count = byteCount
        while count > 127 {
            message.append(UInt8(count & 127 | 128))
            count >>= 7
        }
        message.append(UInt8(count))
        for i in 0..<byteCount { message.append(UInt8(truncatingIfNeeded: i &* 131)) }
        return CostRequests(
            path: "/kyrobench.Echo/Echo", messages: [message], replies: [message])
    }

    /// Documents with a text, some metadata and a vector; what looking each up says.
    private func load(_ server: CostServer) throws -> [(question: String, CostRequests)] {
        let connection = try Connection(host: "127.0.0.1", port: server.port)
        defer { connection.close() }
        _ = try waitUntilServing(connection)
        var schema = Schema()
        schema.vectors["embedding"] = VectorField(dimension: 384)
        schema.texts["text"] = TextField()
        let random = SeededRandomSource(seed: 1)
        try ingest(0..<Self.documentCount, to: Self.scope, schema, over: connection) { number in
            var document = Document(id: .number(UInt64(1_000 + number)))
            document.texts["text"] = "document \(1_000 + number) about flow control and windows"
            document.metadata["channel"] = .string("alerts")
            document.metadata["priority"] = .int64(Int64(1_000 + number))
            document.vectors["embedding"] = (0..<384).map { _ in
                Float(random.next() >> 40) / 16_777_216
            }
            return document
        }
        let path = RequestKind.lookup.path
        return try Self.lookups.map { question, projection in
            var requests = CostRequests(path: path, messages: [], replies: [])
            for number in 0..<Self.documentCount {
                let request = LookupRequest(
                    scope: Self.scope, ids: [.number(UInt64(1_000 + number))],
                    projection: projection)
                requests.messages.append(request.encodeWire())
                requests.replies.append(try connection.unary(path, request.encodeWire()))
            }
            return (question, requests)
        }
    }

    /// The whole document, and what a list of results shows of it.
    private static let lookups: [(String, Projection?)] = [
        ("look-up", nil), ("look-up of metadata", Workload.metadataAlone),
    ]

    // MARK: measuring

    private func cases(
        _ servers: Servers, connections: Int, streams: Int
    ) throws -> [CostCase] {
        try servers.asked.map { server, question, process, requests in
            let load = try CostLoad(
                process, requests, connections: connections, streams: streams)
            // At once: a server does not wait for ever to be spoken to.
            _ = try load.run(connections)
            return CostCase(server, question, load)
        }
    }

    private func measure(_ cases: [CostCase], count: Int) throws {
        for round in 0...options.rounds {
            for one in cases {
                // The first round warms up.
                let result = try one.load.run(round == 0 ? max(1, count / 4) : count)
                one.wrongCount += result.wrongCount
                guard round > 0 else { continue }
                one.cpuMicros.append(result.cpuMicros)
                one.latencies.merge(result.latencies)
            }
        }
    }

    private func add(_ cases: [CostCase], _ shape: String, _ report: FigureReport) {
        for one in cases {
            let name = "\(shape), \(one.question), \(one.server)"
            report.add(.atMost(0, "\(name): wrong answers", Double(one.wrongCount)))
            let sorted = one.cpuMicros.sorted()
            report.fact("\(name): CPU per request", one.median, "µs")
            report.fact("\(name): CPU, least", sorted.first ?? 0, "µs")
            report.fact("\(name): CPU, most", sorted.last ?? 0, "µs")
            report.fact("\(name): p50", Double(one.latencies.quantile(0.5)) / 1e3, "µs")
            report.fact("\(name): p99", Double(one.latencies.quantile(0.99)) / 1e3, "µs")
        }
        func median(_ server: String, _ question: String) -> Double? {
            cases.first { $0.server == server && $0.question == question }?.median
        }
        func bound(_ name: String, _ limit: Double, _ a: Double?, _ b: Double?) {
            guard let a, let b, b > 0 else { return }
            report.add(.atMost(limit, "\(shape), \(name)", a / b, "×", isCount: false))
        }
        for question in ["echo 64 B", "echo 3 KiB"] {
            let own = median("echo", question)
            bound("\(question): over bare", Self.echoOverBareMax, own, median("bare", question))
            let grpc = Self.grpcKinds.compactMap { median("grpc \($0)", question) }.min()
            bound("\(question): over grpc", Self.grpcShareMax, own, grpc)
        }
        for (question, _) in Self.lookups {
            let own = median("kyrodb", question)
            bound("\(question): over bare", Self.lookupOverBareMax, own, median("bare", question))
            bound(
                "\(question): with metrics over without", Self.metricsShareMax, own,
                median("without metrics", question))
        }
    }
}
