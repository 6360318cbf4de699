// Searches alone, beside writes and beside a rebuild: what the slowest of a hundred takes.
import KyroClient
import KyroModel
import KyroPlatform
import Synchronization

struct MixedBenchmark {
    let options: MixedOptions

    private static let factorMax = 3.0
    private static let millisMin = 3.0
    private static let recallMin = 0.97
    private static let rebuildSecondsMax = 600.0

    func run() throws -> Int32 {
        let folder = try ServerProcess.makeFolder(in: options.vectors.folder)
        defer { removeTree(folder) }
        let report = FigureReport()
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), seed "
                + "\(options.vectors.seed), load average \(Machine.loadAverage) at the start")
        let data = try VectorData(options.vectors, folder: folder)
        let server = try ServerProcess(
            binary: options.vectors.binary, folder: folder,
            options: SnapshotBenchmark.serverOptions)
        defer { server.stop() }
        let connection = try Connection(
            to: server.endpoint, timeouts: Timeouts(callMillis: 600_000))
        defer { connection.close() }
        _ = try waitUntilServing(connection)
        let rowCount = data.corpus.rowCount / 5 * 4
        try load(data, rowCount: rowCount, over: connection)
        try measure(
            MixedLoad(
                data: data, endpoint: server.endpoint, acknowledged: Acknowledged(rowCount)),
            over: connection, report)
        return try report.end(data, options.vectors, isStrict: options.isStrict)
    }

    private func load(_ data: VectorData, rowCount: Int, over connection: Connection) throws {
        note("loading \(rowCount) rows of \(data.corpus.dimension)")
        var schema = Schema()
        schema.vectors[MixedLoad.field] = VectorField(dimension: data.corpus.dimension)
        try ingest(0..<rowCount, to: MixedLoad.scope, schema, over: connection) { row in
            var document = Document(id: .number(UInt64(row)))
            document.vectors[MixedLoad.field] = data.corpus.floats(row)
            return document
        }
        try waitUntilFolded(connection)
    }

    private func measure(
        _ load: MixedLoad, over connection: Connection, _ report: FigureReport
    ) throws {
        _ = try load.measure(seconds: min(3, options.seconds)) {}
        let alone = try load.measure(seconds: options.seconds) {}
        add(alone, "alone", report)
        let writes = Locked<(written: Int, missing: Int)>((0, 0))
        let start = clock.monotonicNanos()
        let seconds = options.seconds
        let written = try load.measure(seconds: seconds) {
            let outcome = try load.write(seconds: seconds)
            writes.withLock { $0 = outcome }
        }
        let (count, missing) = writes.withLock { $0 }
        report.fact("beside writes: inserts", Double(count) / secondsSince(start), "rows/s")
        report.add(.atMost(0, "beside writes: acknowledged rows not found", Double(missing)))
        add(written, "beside writes", report, bound: alone)
        try waitUntilFolded(connection)
        let again = try load.measure(seconds: options.seconds) {}
        add(again, "alone again", report)
        let codes = try Self.codes(options.codes)
        let rebuilt = Locked(0.0)
        let endpoint = load.endpoint
        let rebuilding = try load.measure(seconds: 0) {
            let seconds = try Self.rebuild(codes, at: endpoint)
            rebuilt.withLock { $0 = seconds }
        }
        report.fact("beside a rebuild: took", rebuilt.withLock { $0 }, "s")
        add(rebuilding, "beside a rebuild", report, bound: again)
    }

    private func add(
        _ result: MixedResult, _ name: String, _ report: FigureReport,
        bound: MixedResult? = nil
    ) {
        for problem in result.wrong { note("\(name): \(problem)") }
        report.fact("\(name): searches", Double(result.histogram.count))
        report.fact("\(name): p50", result.millis(0.5), "ms")
        let p99 = result.millis(0.99)
        if let bound {
            let most = max(Self.factorMax * bound.millis(0.99), Self.millisMin)
            report.add(.atMost(most, "\(name): p99", p99, "ms", isCount: false))
        } else {
            report.fact("\(name): p99", p99, "ms")
        }
        report.add(.atMost(0, "\(name): wrong answers", Double(result.wrongCount)))
        report.add(.atLeast(Self.recallMin, "\(name): recall@10", result.recall))
    }

    private static func codes(_ name: String) throws -> VectorCodes {
        switch name {
        case "none": .none
        case "sq8": .sq8
        case "sq4": .sq4
        case "bq": .bq
        case "pq": .pq
        default: throw BenchError("--codes is \"\(name)\"; it must be none, sq8, sq4, bq or pq")
        }
    }

    /// Changes the codes and waits until every shard has changed; returns the seconds.
    private static func rebuild(_ codes: VectorCodes, at endpoint: Endpoint) throws -> Double {
        let connection = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 60_000))
        defer { connection.close() }
        let client = CollectionsClient(connection)
        let start = clock.monotonicNanos()
        _ = try client.rebuild(
            MixedLoad.scope, vectors: [MixedLoad.field: VectorIndexing(codes: codes)])
        while secondsSince(start) < rebuildSecondsMax {
            let status = try client.describe(MixedLoad.scope).vectors
            if status.allSatisfy({ $0.rebuildRowsTotal == 0 && $0.codes == codes }) {
                return secondsSince(start)
            }
            pause(seconds: 0.05)
        }
        throw BenchError("the rebuild has not ended after \(rebuildSecondsMax) s")
    }
}
