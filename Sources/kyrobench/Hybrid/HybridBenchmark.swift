// Hybrid searches of one large collection, idle and beside writes, and the same on PostgreSQL and
// Redis.
import KyroClient
import KyroCommands
import KyroModel
import KyroPlatform

struct HybridBenchmark {
    let options: HybridOptions

    private static let p99MillisMax = 5.0
    /// Of the ten of an answer where every leg is exact.
    private static let agreementMin = 0.95
    private static let explainedMax = 200
    private static let sourceNames = ["scifact", "commits-dev", "wordnet"]

    func run() throws -> Int32 {
        let folder = try ServerProcess.makeFolder(in: options.folder)
        defer { removeTree(folder) }
        let report = FigureReport()
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), seed "
                + "\(options.seed), load average \(Machine.loadAverage) at the start")
        let documents = try HybridDocuments(
            sources: try sources(), rowCount: options.rowCount, mix: options.mix,
            seed: options.seed)
        let queries = try HybridQuery.make(
            options.queryCount, for: documents, seed: options.seed)
        for source in documents.sources {
            report.fact("\(source.name): documents that are repeated", Double(source.corpus.count))
        }
        let result = try measureServer(documents, queries, folder, report)
        if options.peer != .none {
            let peer = HybridPeer(options: options, documents: documents, folder: folder)
            try peer.measure(queries, own: result, report)
        }
        let settings = [
            JSON.Member("seed", .int(Int64(options.seed))),
            JSON.Member("rows", .int(Int64(options.rowCount))),
            JSON.Member("mix", .string(options.mix.rawValue)),
            JSON.Member("queries", .int(Int64(options.queryCount))),
            JSON.Member("dimension", .int(Int64(documents.dimension))),
        ]
        return try report.end(settings, path: options.jsonPath, isStrict: options.isStrict)
    }

    private func sources() throws -> [DataSet] {
        let root = options.dataFolder
        if fileExists(root + "/corpus.jsonl") { return [try DataSet(folder: root)] }
        let names = Self.sourceNames.filter { fileExists("\(root)/\($0)/corpus.jsonl") }
        guard !names.isEmpty else {
            throw BenchError("\(root) has none of " + Self.sourceNames.joined(separator: ", "))
        }
        return try names.map { try DataSet(folder: root + "/" + $0) }
    }

    private func measureServer(
        _ documents: HybridDocuments, _ queries: [HybridQuery], _ folder: String,
        _ report: FigureReport
    ) throws -> HybridResult {
        let server = try ServerProcess(
            binary: options.binary, folder: folder, options: SnapshotBenchmark.serverOptions)
        defer { server.stop() }
        let connection = try Connection(
            to: server.endpoint, timeouts: Timeouts(callMillis: 600_000))
        defer { connection.close() }
        _ = try waitUntilServing(connection)
        try fill(documents, over: connection, report)
        let load = HybridLoad(documents: documents, queries: queries, endpoint: server.endpoint)
        let idle = try load.search(queries[...])
        add(idle, "idle", report)
        try explain(queries, over: connection, report)
        try measureParts(load, report)
        report.add(
            .atLeast(
                Self.agreementMin, "idle: of the ten where every leg is exact",
                try agreement(load, idle)))
        let (beside, written) = try load.searchBesideWrites(seconds: options.seconds)
        add(beside, "beside writes", report)
        let wanted = 0.98 * Double(HybridLoad.writesPerSecond)
        report.add(
            .atLeast(
                wanted, "beside writes: upserts", written.perSecond, "rows/s", isCount: false))
        report.fact("beside writes: acknowledged rows looked for", Double(written.checked))
        report.add(
            .atMost(
                0, "beside writes: acknowledged rows not found", Double(written.missing)))
        return idle
    }

    private func fill(
        _ documents: HybridDocuments, over connection: Connection, _ report: FigureReport
    ) throws {
        note("loading \(options.rowCount) documents of \(documents.dimension) dimensions")
        let start = clock.monotonicNanos()
        let maker = DocumentMaker(documents, threads: options.threads)
        try ingest(
            0..<options.rowCount, to: HybridDocuments.scope, documents.schema, over: connection,
            document: maker.document)
        let seconds = secondsSince(start)
        report.fact("ingest", Double(options.rowCount) / seconds, "documents/s")
        try waitUntilFolded(connection)
        report.fact("documents loaded and in the graph", secondsSince(start), "s")
        let status = try OperationsClient(connection).status()
        report.fact(
            "resident", Double(status.residentBytes) / Double(options.rowCount), "bytes a document")
        report.fact("shards", Double(status.shards.count))
    }

    private func add(_ result: HybridResult, _ name: String, _ report: FigureReport) {
        report.fact("\(name): searches", Double(result.histogram.count))
        report.fact("\(name): answers without a hit", Double(result.empty))
        report.fact("\(name): p50", result.millis(0.5), "ms")
        report.add(
            .atMost(Self.p99MillisMax, "\(name): p99", result.millis(0.99), "ms", isCount: false))
        report.fact("\(name): maximum", result.millis(1), "ms")
        report.add(.atMost(0, "\(name): wrong answers", Double(result.broken)))
    }

    /// Where the time of a search goes: means over some questions, of all shards together.
    private func explain(
        _ queries: [HybridQuery], over connection: Connection, _ report: FigureReport
    ) throws {
        let client = SearchClient(connection)
        let explained = queries.prefix(Self.explainedMax)
        var sums: [(name: String, sum: UInt64, unit: String)] = [
            ("rows that pass", 0, ""), ("rows scored", 0, ""), ("postings scored", 0, ""),
            ("planned in", 0, "µs"), ("filter", 0, "µs"), ("vector leg", 0, "µs"),
            ("text leg", 0, "µs"), ("merge and fusion", 0, "µs"), ("metadata", 0, "µs"),
        ]
        for query in explained {
            var request = query.request
            request.explain = true
            guard let explain = try client.search(request).explain else { continue }
            for shard in explain.shards {
                sums[0].sum += shard.filterMatches
                sums[1].sum += shard.rowsScored
                sums[2].sum += shard.postingsScored
            }
            sums[3].sum += explain.planMicros
            guard let stages = explain.stages else { continue }
            sums[4].sum += stages.filter
            sums[5].sum += stages.vector
            sums[6].sum += stages.text
            sums[7].sum += stages.merge + stages.fuse + stages.rank
            sums[8].sum += stages.fetch
        }
        for (name, sum, unit) in sums {
            report.fact("a search: \(name)", Double(sum) / Double(explained.count), unit)
        }
    }

    /// The same questions with less in them.
    private func measureParts(_ load: HybridLoad, _ report: FigureReport) throws {
        let some = load.queries.prefix(max(100, load.queries.count / 4))
        let parts: [(String, (inout SearchRequest) -> Void)] = [
            ("without metadata", { $0.projection = nil }),
            ("vector and filter alone", { ($0.text, $0.projection) = (nil, nil) }),
            ("text and filter alone", { ($0.vector, $0.projection) = (nil, nil) }),
            (
                "text alone",
                {
                    ($0.vector, $0.projection) = (nil, nil)
                    ($0.filter, $0.timeRange) = (nil, nil)
                }
            ),
        ]
        for (name, change) in parts {
            let result = try load.search(some, change: change)
            report.fact("\(name): p50", result.millis(0.5), "ms")
            report.fact("\(name): p99", result.millis(0.99), "ms")
        }
    }

    /// The share of the answers' hits that are the same without approximation.
    private func agreement(_ load: HybridLoad, _ idle: HybridResult) throws -> Double {
        let exact = try load.search(load.queries.prefix(100), change: { $0.exact = true })
        var same = 0
        var all = 0
        for (answer, truth) in zip(idle.answers, exact.answers) {
            same += truth.count { answer.contains($0) }
            all += truth.count
        }
        return all == 0 ? 1 : Double(same) / Double(all)
    }
}
