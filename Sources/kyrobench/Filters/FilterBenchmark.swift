// One measurement of filtered searches, from the data to its report.
import KyroCommands
import KyroIndex
import KyroModel
import KyroPlatform

struct FilterBenchmark {
    let options: FilterOptions
    private static let efs = [16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256]
    /// Queries of one kind in a row before it is the next one's turn.
    private static let turn = 10
    /// The recall at which a search without a filter is compared lies between these.
    private static let recalls = 0.97...0.99

    func run() throws -> Int32 {
        let loadAverage = Machine.loadAverage
        let folder = try ServerProcess.makeFolder(in: options.folder)
        defer { removeTree(folder) }
        let data = try VectorData(try options.data(), folder: folder)
        let collection = try VectorCollection(data.corpus)
        let graph = collection.index.bulkGraph(
            visibility: collection.visibility, workers: BenchWorkers(count: options.threads),
            cancellation: Cancellation())
        if let graph {
            guard collection.index.install(graph) else {
                throw BenchError("the graph did not fit its index")
            }
        }
        note("\(collection.index.graphCount) rows in the graph; now the filters")
        let cases = FilterCases(
            corpus: data.corpus, queries: data.queries, threads: options.threads,
            seed: options.seed
        ).make(threads: options.threads)
        var search = FilterSearches(collection: collection, data: data)
        let curve = try Self.efs.map { try search.unfiltered(efSearch: $0) }
        var report = FilterReport(data: data, options: options, loadAverage: loadAverage)
        report.curve = curve
        for filter in cases {
            report.results.append(try measure(filter, curve, &search))
            if let result = report.results.last { note(result.text) }
        }
        print(report.headline + "\n")
        print(report.curveTable)
        print(report.table)
        if let path = options.jsonPath { try writeFile(report.jsonLines, to: path) }
        return exitStatus(report.figures, isStrict: options.isStrict)
    }

    /// Searches as planned, scans and searches without the filter take turns.
    private func measure(
        _ filter: FilterCase, _ curve: [FilterCurvePoint], _ search: inout FilterSearches
    ) throws -> FilterResult {
        var result = FilterResult(kind: filter.kind, share: filter.share)
        var found = 0
        var scored = 0
        for query in search.queries.indices {
            let answer = try search.run(query, filter)
            found += filter.found(answer.hits, query: query)
            scored += answer.scored
            result.courses[answer.course, default: 0] += 1
        }
        let queryCount = search.queries.count
        result.recall = Double(found) / Double(queryCount * ExactTruth.depth)
        result.scored = Double(scored) / Double(queryCount)
        let level = min(max(result.recall, Self.recalls.lowerBound), Self.recalls.upperBound)
        result.unfilteredEf =
            curve.first { $0.recall >= level }?.efSearch ?? curve.last?.efSearch ?? 0
        var nanos: (filtered: [UInt64], scan: [UInt64], unfiltered: [UInt64]) = ([], [], [])
        for pass in 0..<options.passes {
            for first in stride(from: 0, to: queryCount, by: Self.turn) {
                let turn = first..<min(queryCount, first + Self.turn)
                for query in turn {
                    nanos.unfiltered.append(
                        try search.run(query, efSearch: result.unfilteredEf).nanos)
                }
                // Whichever comes second finds the rows in the caches.
                let isScanFirst = (first / Self.turn + pass) % 2 == 0
                for isScan in [isScanFirst, !isScanFirst] {
                    for query in turn {
                        let time = try search.run(query, filter, isScan: isScan).nanos
                        if isScan { nanos.scan.append(time) } else { nanos.filtered.append(time) }
                    }
                }
            }
        }
        result.filtered = SearchTimes(nanos: nanos.filtered)
        result.scan = SearchTimes(nanos: nanos.scan)
        result.unfiltered = SearchTimes(nanos: nanos.unfiltered)
        return result
    }
}

struct FilterCurvePoint: Sendable {
    var efSearch: Int
    var recall: Double
    var distances: Double
    var micros: SearchTimes
}

/// Searches of one index, timed by the processor time of this thread.
struct FilterSearches {
    struct Answer {
        var hits: [ScoredSlot]
        var nanos: UInt64
        var scored: Int
        /// What was done in the end.
        var course: String
    }

    let collection: VectorCollection
    let data: VectorData
    let queries: [[Float]]
    private var scratch = VectorScratch()

    init(collection: VectorCollection, data: VectorData) {
        self.collection = collection
        self.data = data
        queries = (0..<data.queries.rowCount).map { data.queries.floats($0) }
    }

    mutating func run(
        _ query: Int, _ filter: FilterCase? = nil, efSearch: Int = 0, isScan: Bool = false
    ) throws -> Answer {
        let request = VectorIndex.Request(
            vector: queries[query], k: ExactTruth.depth, efSearch: efSearch)
        let mask = filter?.masks[query]
        let members = mask?.count() ?? 0
        var counters = SearchCounters()
        let start = ThreadClock.nanos
        var plan = collection.index.plan(
            request, visibility: collection.visibility, mask: mask, maskCount: members)
        if isScan { plan = VectorPlan(strategy: .filteredFlat, estimatedCost: members) }
        let hits = try collection.index.search(
            request, plan: plan, visibility: collection.visibility, mask: mask,
            order: collection.order, scratch: &scratch, counters: &counters,
            cancellation: Cancellation())
        let nanos = ThreadClock.nanos - start
        let walk = counters.filteredWalk.course
        return Answer(
            hits: hits, nanos: nanos, scored: counters.rowsScored,
            course: walk == .none ? "\(plan.strategy)" : "\(walk)")
    }

    mutating func unfiltered(efSearch: Int) throws -> FilterCurvePoint {
        var nanos: [UInt64] = []
        var found = 0
        var scored = 0
        for pass in 0..<2 {
            for query in queries.indices {
                let answer = try run(query, efSearch: efSearch)
                guard pass > 0 else { continue }
                nanos.append(answer.nanos)
                scored += answer.scored
                found += data.truth.found(answer.hits.map(\.slot), query: query)
            }
        }
        return FilterCurvePoint(
            efSearch: efSearch,
            recall: Double(found) / Double(queries.count * ExactTruth.depth),
            distances: Double(scored) / Double(queries.count), micros: SearchTimes(nanos: nanos))
    }
}
