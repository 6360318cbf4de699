// What vectors take in memory, for each way to keep them, and what recall is left.
import KyroClient
import KyroModel
import KyroPlatform
import KyroWire

struct MemoryBenchmark {
    let options: MemoryOptions

    /// A way to keep vectors, and what it may take of the raw floats.
    struct Way {
        var name: String
        var indexing: VectorIndexing
        var shareMax: Double?
    }

    static let ways = [
        Way(name: "default", indexing: .default, shareMax: 1.2),
        Way(name: "sq8", indexing: VectorIndexing(codes: .sq8), shareMax: nil),
        Way(name: "bf16", indexing: VectorIndexing(rerank: .bf16), shareMax: 1.2),
        Way(name: "disk", indexing: VectorIndexing(storage: .disk), shareMax: 0.35),
        Way(name: "disk-sq8", indexing: VectorIndexing(codes: .sq8, storage: .disk), shareMax: nil),
    ]
    private static let scope = Scope(namespace: "memory")
    private static let field = "embedding"
    private static let recallMin = 0.97

    func run() throws -> Int32 {
        let folder = try ServerProcess.makeFolder(in: options.vectors.folder)
        defer { removeTree(folder) }
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), seed "
                + "\(options.vectors.seed)")
        let data = try VectorData(options.vectors, folder: folder)
        let report = FigureReport()
        let bare = try measure(data, nil, name: "without vectors", folder: folder, report)
        for way in Self.ways where options.ways.contains(way.name) {
            let isProven = way.indexing.storage == .disk && way.shareMax != nil
            let bytes = try measure(
                data, way.indexing, name: way.name, folder: folder, report,
                limitedTo: isProven ? bare : nil)
            let share = Double(bytes - bare) / Double(data.rawBytes)
            if let shareMax = way.shareMax {
                report.add(.atMost(shareMax, "\(way.name): of the raw floats", share))
            } else {
                report.fact("\(way.name): of the raw floats", share)
            }
        }
        return try report.end(data, options.vectors, isStrict: true)
    }

    /// Anonymous resident bytes of a server that was started on the data.
    ///
    /// - Parameter bare: of one without vectors; where given, the server is then started under that
    ///   and the share that rows on disk may take.
    private func measure(
        _ data: VectorData, _ indexing: VectorIndexing?, name: String, folder parent: String,
        _ report: FigureReport, limitedTo bare: Int? = nil
    ) throws -> Int {
        let folder = try ServerProcess.makeFolder(in: parent)
        defer { removeTree(folder) }
        try load(data, indexing, name: name, folder: folder, report)
        let server = try start(folder)
        let bytes: Int
        do {
            defer { server.stop() }
            let connection = try connect(server)
            defer { connection.close() }
            if indexing != nil {
                let recall = try recall(data, over: connection)
                report.add(.atLeast(Self.recallMin, "\(name): recall@10", recall))
            }
            bytes = server.anonymousBytes
            report.fact("\(name): anonymous memory", Double(bytes) / 1e6, "MB")
        }
        if let bare {
            let limit = bare + data.rawBytes * 35 / 100
            try prove(data, folder, limit: limit, name: name, report)
        }
        return bytes
    }

    private func load(
        _ data: VectorData, _ indexing: VectorIndexing?, name: String, folder: String,
        _ report: FigureReport
    ) throws {
        let server = try start(folder)
        defer { server.stop() }
        let connection = try connect(server)
        defer { connection.close() }
        note("\(name): loading \(data.corpus.rowCount) rows of \(data.corpus.dimension)")
        var schema = Schema()
        if let indexing {
            schema.vectors[Self.field] = VectorField(
                dimension: data.corpus.dimension, indexing: indexing)
        }
        try ingest(0..<data.corpus.rowCount, to: Self.scope, schema, over: connection) { row in
            var document = Document(id: .number(UInt64(row)))
            if indexing != nil { document.vectors[Self.field] = data.corpus.floats(row) }
            return document
        }
        try waitUntilFolded(connection)
        _ = try OperationsClient(connection).snapshot()
    }

    /// - Parameter limit: that the server keeps by itself, too, where the kernel enforces it: all of
    ///   it, and not the share that it takes by default.
    private func start(
        _ folder: String, _ launcher: [String] = [], limit: Int? = nil
    ) throws -> ServerProcess {
        try ServerProcess(
            binary: options.vectors.binary, folder: folder,
            options: SnapshotBenchmark.serverOptions
                + (limit.map { ["--memory-limit", String($0)] } ?? []), launcher: launcher)
    }

    private func connect(_ server: ServerProcess) throws -> Connection {
        let connection = try Connection(
            to: server.endpoint, timeouts: Timeouts(callMillis: 600_000))
        _ = try waitUntilServing(connection)
        return connection
    }

    private func recall(_ data: VectorData, over connection: Connection) throws -> Double {
        let client = SearchClient(connection)
        var found = 0
        for query in 0..<data.queries.rowCount {
            var request = SearchRequest(scope: Self.scope)
            request.vector = VectorQuery(vector: data.queries.floats(query))
            request.limit = UInt32(ExactTruth.depth)
            let rows = try client.search(request).hits.map { hit in
                if case .number(let row) = hit.id { Int(row) } else { -1 }
            }
            found += data.truth.found(rows, query: query)
        }
        return Double(found) / Double(data.queries.rowCount * ExactTruth.depth)
    }

    /// Starts the server where the kernel gives it no more, and asks it everything.
    private func prove(
        _ data: VectorData, _ folder: String, limit: Int, name: String, _ report: FigureReport
    ) throws {
        let group = try ControlGroup(name: "kyrobench-\(clock.monotonicNanos())")
        try group.limit(bytes: limit)
        let server = try start(folder, group.launcher, limit: limit)
        defer { server.stop() }
        let connection = try connect(server)
        defer { connection.close() }
        let recall = try recall(data, over: connection)
        report.fact("\(name): memory limit", Double(limit) / 1e6, "MB")
        report.add(.atLeast(Self.recallMin, "\(name): recall@10 under the limit", recall))
        report.add(.atMost(0, "\(name): killed for memory", Double(try group.killCount())))
    }
}
