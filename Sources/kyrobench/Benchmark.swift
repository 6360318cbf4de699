// One data set from the empty server to its report, and the figures that are held against targets.
import KyroClient
import KyroModel

struct Benchmark {
    let options: Options

    /// Documents a second that are written while searches run.
    static let ingestRate = 500
    static let recoverySecondsMax = 60.0
    /// Rows of wordnet that must be in the graph when it is measured.
    static let graphRowsWanted: UInt64 = 100_000

    func run(
        folder: String, layout: TextLayout, measuresLatency: Bool
    ) throws -> DataSetReport {
        let data = try DataSet(folder: folder)
        let workload = try Workload(data, layout: layout, seed: options.seed)
        let server = options.endpoint == nil ? try ServerProcess(binary: options.binary) : nil
        defer {
            if let status = server?.stop(), status != 0 {
                note("the server ended with status \(status)")
            }
        }
        guard let endpoint = server?.endpoint ?? options.endpoint else {
            throw BenchError("there is no server")
        }
        let connection = try Connection(to: endpoint, timeouts: Timeouts(callMillis: 120_000))
        defer { connection.close() }
        try waitUntilServing(connection)

        note("\(data.name): loading \(data.corpus.count) documents")
        let wanted: UInt64 =
            options.isTiny ? 0 : min(Self.graphRowsWanted, UInt64(data.corpus.count))
        let loading = try Loader(
            workload: workload, connection: connection, graphRowsWanted: wanted
        ).load()
        note("\(data.name): recall and relevance")
        let quality = try QualityRun(
            workload: workload, connection: connection, queriesMax: options.isTiny ? 50 : 1_000
        ).measure()
        var report = DataSetReport(
            name: data.name, layout: layout, dimension: data.vectors.dimension, loading: loading,
            quality: quality)
        if measuresLatency { report.latencies = try latencies(workload, endpoint, server) }
        report.figures = counts(of: report)
        print(report.text)
        return report
    }

    /// A server listens before it has recovered, and may be asked for its status meanwhile.
    private func waitUntilServing(_ connection: Connection) throws {
        let start = clock.monotonicNanos()
        while try OperationsClient(connection).status().state != .serving {
            guard secondsSince(start) < Self.recoverySecondsMax else {
                throw BenchError("the server does not serve after \(Self.recoverySecondsMax) s")
            }
            pause(seconds: 0.01)
        }
    }

    private func latencies(
        _ workload: Workload, _ endpoint: Endpoint, _ server: ServerProcess?
    ) throws -> [LatencyResult] {
        let run = LatencyRun(
            workload: workload, endpoint: endpoint, requestCount: options.requestCount,
            warmUpCount: max(20, options.requestCount / 20))
        var results: [LatencyResult] = []
        for isDuringIngest in [false, true] {
            for clients in [1, 2] {
                for kind in RequestKind.allCases {
                    note(
                        "\(workload.data.name): \(kind.rawValue), clients: \(clients), "
                            + (isDuringIngest ? "during ingest" : "idle"))
                    let writer =
                        isDuringIngest
                        ? PacedWriter(workload, to: endpoint, perSecond: Self.ingestRate) : nil
                    let cpuBefore = server?.cpuSeconds
                    var result = try run.measure(kind, clients: clients)
                    if let server, let cpuBefore {
                        result.serverCPUSeconds = server.cpuSeconds - cpuBefore
                    }
                    result.isDuringIngest = isDuringIngest
                    if let writer {
                        result.writesPerSecond = try writer.stop()
                        result.hash = nil
                    }
                    results.append(result)
                }
            }
        }
        return results
    }

    /// What must hold on every data set and machine.
    private func counts(of report: DataSetReport) -> [Figure] {
        let quality = report.quality
        var figures: [Figure] = [
            .atLeast(0.95, "recall@10", quality.recall),
            .atMost(0, "documents that a lookup missed", Double(quality.missingLookups)),
            .atMost(0, "searches without a hit", Double(quality.emptySearches)),
        ]
        if let recall = quality.filteredRecall {
            figures.append(.atLeast(0.95, "filtered recall@10", recall))
        }
        if !report.latencies.isEmpty {
            let empty = report.latencies.reduce(0) { $0 + $1.emptyAnswers }
            figures.append(.atMost(0, "measured requests without a hit", Double(empty)))
        }
        return figures
    }

    // MARK: the claimed figures

    /// - Parameter root: the folder with wordnet and scifact.
    func accept(root: String) throws -> [DataSetReport] {
        var wordnet = try run(
            folder: root + "/wordnet", layout: .separate, measuresLatency: options.measuresLatency)
        wordnet.figures += [
            .atLeast(0.97, "recall@10, default settings", wordnet.quality.recall),
            .atLeast(
                Double(Self.graphRowsWanted), "rows in the graph", Double(wordnet.loading.graphRows)
            ),
            .atMost(5, "rows scored a query", wordnet.quality.rowsScoredPercent, "%"),
        ]
        for latency in wordnet.latencies where latency.clients == 1 {
            let load = latency.isDuringIngest ? "during ingest" : "idle"
            switch latency.kind {
            case .lookup:
                wordnet.figures.append(
                    .atMost(1, "lookup p99, \(load)", latency.millis(0.99), "ms", isCount: false))
            case .hybrid:
                wordnet.figures.append(
                    .atMost(5, "hybrid p99, \(load)", latency.millis(0.99), "ms", isCount: false))
            case .vector, .filtered: break
            }
            if let rate = latency.writesPerSecond {
                wordnet.figures.append(
                    .atLeast(
                        0.98 * Double(Self.ingestRate), "ingest beside \(latency.kind.rawValue)",
                        rate, "/s", isCount: false))
            }
        }
        var scifact = try run(folder: root + "/scifact", layout: .joined, measuresLatency: false)
        // Lucene's formula and dense exact search over the same texts and vectors.
        let baselines = ["bm25": (0.6857, 0.01), "dense exact": (0.6451, 0.002)]
        for run in scifact.quality.ndcg {
            guard let (middle, tolerance) = baselines[run.name] else { continue }
            scifact.figures.append(
                .near(middle, within: tolerance, "nDCG@10 \(run.name)", run.value))
        }
        return [wordnet, scifact]
    }
}
