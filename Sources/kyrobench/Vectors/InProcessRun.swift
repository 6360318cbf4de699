// KyroDB's index in this process: built at once or row by row, then its curve.
import KyroIndex
import KyroModel
import KyroPlatform

struct InProcessRun {
    let data: VectorData
    let options: VectorOptions
    private let queries: [[Float]]

    init(_ data: VectorData, options: VectorOptions) {
        self.data = data
        self.options = options
        queries = (0..<data.queries.rowCount).map { data.queries.floats($0) }
    }

    static let bulkName = "kyrodb bulk"
    static let incrementalName = "kyrodb incremental"
    private static let foldRows = 10_000
    /// A turn of a throughput lasts so long at least: a switch of threads is 1 % of it at most.
    private static let turnMicros = 200_000.0
    private static let turns = 5

    func measure(isBulk: Bool) throws -> SystemResult {
        let name = isBulk ? Self.bulkName : Self.incrementalName
        note("\(name): building")
        let gauge = ProcessMemoryGauge()
        gauge.giveBack()
        let before = gauge.read().residentBytes
        let start = clock.monotonicNanos()
        let meter = WorkMeter()
        let workers = BenchWorkers(count: options.threads, meter: meter)
        let collection = try VectorCollection(data.corpus, workers: isBulk ? workers : nil)
        let rowSeconds = secondsSince(start)
        if isBulk { try buildAtOnce(collection, workers) } else { try fold(collection) }
        let seconds = secondsSince(start)
        let (processor, alone) = (meter.processorSeconds, meter.aloneSeconds)
        gauge.giveBack()
        let after = gauge.read().residentBytes
        var result = SystemResult(
            system: name, library: "kernels \(VectorIndex.kernelsName)", parameterName: "efSearch",
            isPeer: false)
        let build = BuildResult(
            threads: isBulk ? options.threads : 1, seconds: seconds, rowSeconds: rowSeconds,
            processorSeconds: processor, aloneSeconds: alone, rowCount: data.corpus.rowCount,
            residentBytes: after - min(before, after),
            countedBytes: UInt64(collection.index.residentBytes),
            remark: "\(collection.index.graphCount) rows in the graph")
        result.build = build
        note(
            "\(name): \(fixed(build.perSecond, 0)) vectors/s, \(fixed(rowSeconds, 1)) s of "
                + "\(fixed(seconds, 1)) for the rows; \(fixed(processor, 2)) s of processor, "
                + "\(fixed(alone, 2)) s of it on one thread alone")
        for ef in Sweep.ownEfs {
            let point = try point(collection, ef: ef)
            result.points.append(point)
            note("\(name): efSearch \(ef), \(point.text)")
            if Sweep.ends(result.points) { break }
        }
        return result
    }

    private func buildAtOnce(_ collection: VectorCollection, _ workers: BenchWorkers) throws {
        let graph = collection.index.bulkGraph(
            visibility: collection.visibility, workers: workers, cancellation: Cancellation())
        guard let graph, collection.index.install(graph, workers: workers) else {
            throw BenchError("the bulk build gave no graph")
        }
    }

    private func fold(_ collection: VectorCollection) throws {
        var folded = 0
        while folded < data.corpus.rowCount {
            let count = collection.index.foldStep(
                rowsMax: Self.foldRows, visibility: collection.visibility,
                cancellation: Cancellation())
            if count == 0 { break }
            folded += count
            if folded % (10 * Self.foldRows) == 0 { note("\(folded) rows are in the graph") }
        }
    }

    private func point(_ collection: VectorCollection, ef: Int) throws -> CurvePoint {
        var scratch = VectorScratch()
        var counters = SearchCounters()
        for query in queries.prefix(max(20, queries.count / 10)) {
            _ = try collection.search(
                query, efSearch: ef, scratch: &scratch, counters: &counters)
        }
        counters = SearchCounters()
        var nanos: [UInt64] = []
        nanos.reserveCapacity(options.passes * queries.count)
        var found = 0
        for _ in 0..<options.passes {
            for (number, query) in queries.enumerated() {
                let start = clock.monotonicNanos()
                let hits = try collection.search(
                    query, efSearch: ef, scratch: &scratch, counters: &counters)
                nanos.append(clock.monotonicNanos() - start)
                found += data.truth.found(hits.map(\.slot), query: number)
            }
        }
        var point = CurvePoint(
            parameter: ef, recall: Double(found) / Double(nanos.count * ExactTruth.depth),
            distances: Double(counters.rowsScored) / Double(nanos.count),
            micros: SearchTimes(nanos: nanos))
        (point.perSecondOfOne, point.perSecondOfAll) = try throughputs(
            collection, ef: ef, meanMicros: point.micros.mean)
        return point
    }

    /// Queries a second of one thread and of all: medians of turns that change places, so that a
    /// blip decides neither and whatever drifts is in both.
    private func throughputs(
        _ collection: VectorCollection, ef: Int, meanMicros: Double
    ) throws -> (one: Double, all: Double) {
        let lasting = Int((Self.turnMicros / max(meanMicros, 1)).rounded(.up))
        let count = max(queries.count, lasting)
        var ones: [Double] = []
        var alls: [Double] = []
        for _ in 0..<Self.turns {
            ones.append(try throughput(collection, ef: ef, threads: 1, count: count))
            alls.append(
                try throughput(collection, ef: ef, threads: options.threads, count: count))
        }
        return (ones.sorted()[Self.turns / 2], alls.sorted()[Self.turns / 2])
    }

    /// Queries a second of threads that ask `count` each, beginning at different ones, from when all
    /// are warm until the last has done.
    private func throughput(
        _ collection: VectorCollection, ef: Int, threads: Int, count: Int
    ) throws -> Double {
        let failures = Locked<[KyroError]>([])
        let gate = StartGate(count: threads)
        let times = Locked<(first: UInt64, last: UInt64)>((.max, 0))
        BenchWorkers(count: threads).run { [queries] number in
            var scratch = VectorScratch()
            var counters = SearchCounters()
            let first = number * queries.count / threads
            do throws(KyroError) {
                for i in 0..<max(20, queries.count / 10) {
                    _ = try collection.search(
                        queries[(first + i) % queries.count], efSearch: ef, scratch: &scratch,
                        counters: &counters)
                }
                gate.pass()
                let start = clock.monotonicNanos()
                for i in 0..<count {
                    _ = try collection.search(
                        queries[(first + i) % queries.count], efSearch: ef, scratch: &scratch,
                        counters: &counters)
                }
                let end = clock.monotonicNanos()
                times.withLock { $0 = (min($0.first, start), max($0.last, end)) }
            } catch {
                gate.open()
                failures.withLock { $0.append(error) }
            }
        }
        if let failure = failures.withLock({ $0.first }) { throw failure }
        let (first, last) = times.withLock { $0 }
        return Double(threads * count) / (Double(last - first) / 1e9)
    }
}

extension CurvePoint {
    var text: String {
        "recall \(fixed(recall, 4)), p50 \(fixed(micros.p50, 0)) µs, p99 "
            + "\(fixed(micros.p99, 0)) µs" + (distances.map { ", \(fixed($0, 0)) distances" } ?? "")
    }
}
