// One large collection from the empty server through snapshots, stops, a kill and restarts.
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform

struct SnapshotBenchmark {
    let options: SnapshotOptions
    /// No snapshot but those asked for.
    static let serverOptions = ["--snapshot-log-bytes", String(1 << 40)]

    func run() throws -> Int32 {
        let report = FigureReport()
        let documents = SyntheticDocuments(dimension: options.dimension, seed: options.seed)
        let folder = try ServerProcess.makeFolder(in: options.folder)
        defer { removeTree(folder) }
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), seed "
                + "\(options.seed), load average \(Machine.loadAverage) at the start")
        var server: ServerProcess? = try ServerProcess(
            binary: options.binary, folder: folder, options: Self.serverOptions)
        defer { server?.kill() }
        if let server { try load(documents, into: server, report) }
        if options.measuresLoad, let server {
            try SnapshotLoadRun(options: options, documents: documents, endpoint: server.endpoint)
                .measure(report)
        }
        if options.measuresRestart, let running = server {
            server = nil
            server = try RestartRun(options: options, documents: documents, folder: folder)
                .measure(running, report)
        }
        let settings = [
            JSON.Member("seed", .int(Int64(options.seed))),
            JSON.Member("documents", .int(Int64(options.documentCount))),
            JSON.Member("dimension", .int(Int64(options.dimension))),
        ]
        return try report.end(settings, path: options.jsonPath, isStrict: options.isStrict)
    }

    private func load(
        _ documents: SyntheticDocuments, into server: ServerProcess, _ report: FigureReport
    ) throws {
        let connection = try Connection(
            to: server.endpoint, timeouts: Timeouts(callMillis: 600_000))
        defer { connection.close() }
        _ = try waitUntilServing(connection)
        note("loading \(options.documentCount) documents")
        let start = clock.monotonicNanos()
        try stream(documents, numbers: 0..<options.documentCount, over: connection)
        report.fact(
            "ingest", Double(options.documentCount) / secondsSince(start), "documents/s")
        let acknowledged = clock.monotonicNanos()
        try waitUntilFolded(connection)
        report.fact("graph complete after", secondsSince(acknowledged), "s")
        let resident = try OperationsClient(connection).status().residentBytes
        report.fact(
            "resident", Double(resident) / Double(options.documentCount), "bytes a document")
    }
}

/// Writes the documents of these numbers over one stream, durable at return.
func stream(
    _ documents: SyntheticDocuments, numbers: Range<Int>, over connection: Connection
) throws {
    try ingest(
        numbers, to: documents.scope, documents.schema, over: connection,
        document: documents.document)
}

/// Until no row waits for its place in the graph, or nothing moves for three minutes; for one second
/// where there is no graph, since a small collection needs none.
func waitUntilFolded(_ connection: Connection) throws {
    var last: UInt64 = .max
    var lastChange = clock.monotonicNanos()
    while true {
        let status = try OperationsClient(connection).status()
        let tail = status.shards.reduce(0) { $0 + $1.tailRows }
        if tail == 0 { return }
        if tail != last {
            last = tail
            lastChange = clock.monotonicNanos()
        }
        // Where a graph is built at once nothing changes until all of it does.
        let hasGraph = status.shards.contains { $0.graphRows > 0 }
        if secondsSince(lastChange) > (hasGraph ? 180 : 1) { return }
        pause(seconds: 0.1)
    }
}

func waitUntilServing(_ connection: Connection) throws -> StatusResponse {
    let start = clock.monotonicNanos()
    while true {
        let status = try OperationsClient(connection).status()
        if status.state == .serving { return status }
        if let stopped = status.shards.first(where: { $0.state == .stopped }) {
            throw BenchError("shard \(stopped.shard) is stopped: \(stopped.problem)")
        }
        guard secondsSince(start) < 300 else {
            throw BenchError("the server does not serve after 300 s")
        }
        pause(seconds: 0.005)
    }
}
