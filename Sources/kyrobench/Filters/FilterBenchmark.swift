// One measurement of filtered searches, from the data to its report.
import Glibc
import KyroCommands
import KyroIndex
import KyroModel
import KyroPlatform

struct FilterBenchmark {
    let options: FilterOptions
    static let efs = [16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512]

    func run() throws -> Int32 {
        let folder = try ServerProcess.makeFolder(in: options.folder)
        defer { removeTree(folder) }
        let data = try VectorData(try options.data(), folder: folder)
        let collection = VectorCollection(data.corpus)
        guard
            let graph = collection.index.bulkGraph(
                visibility: collection.visibility, workers: BenchWorkers(count: options.threads),
                cancellation: Cancellation()), collection.index.install(graph)
        else { throw BenchError("the bulk build gave no graph") }
        let queries = (0..<data.queries.rowCount).map { data.queries.floats($0) }
        note("graph built")
        let cases = FilterCases(
            corpus: data.corpus, queries: data.queries, threads: options.threads,
            seed: options.seed
        ).make(threads: options.threads)
        note("filters made")
        var scratch = VectorScratch()
        for ef in [48, 64, 96, 128] {
            var found = 0
            var c = SearchCounters()
            var nanos: [UInt64] = []
            for _ in 0..<3 {
                for (q, query) in queries.enumerated() {
                    let start = cpuNanos()
                    let hits = try collection.search(query, efSearch: ef, scratch: &scratch, counters: &c)
                    nanos.append(cpuNanos() - start)
                    found += data.truth.found(hits.map(\.slot), query: q)
                }
            }
            print("ef \(ef) recall \(Double(found)/Double(10*nanos.count)) \(c.rowsScored/nanos.count) p50 \(SearchTimes(nanos: nanos).p50)")
        }
        let file = "/tmp/filters.exp"
        while true {
            guard let text = try? wholeFile(file) else { pause(seconds: 0.3); continue }
            unlink(file)
            for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
                if line == "quit" { return 0 }
                try experiment(String(line), collection, queries, cases, &scratch)
            }
            print("done"); fflush(nil)
        }
    }

    func cpuNanos() -> UInt64 {
        var t = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
        return UInt64(t.tv_sec) * 1_000_000_000 + UInt64(t.tv_nsec)
    }

    func experiment(_ line: String, _ c: VectorCollection, _ queries: [[Float]], _ cases: [FilterCase], _ scratch: inout VectorScratch) throws {
        var tuning = FilterTuning()
        var ef = 0
        var scan = false
        var only = ""
        for word in line.split(separator: " ") {
            let p = word.split(separator: "=")
            let v = String(p[1])
            switch p[0] {
            case "mode": tuning.mode = Int(v)!
            case "approach": tuning.approach = Int(v)!
            case "lead": tuning.leadMin = Double(v)!
            case "wh": tuning.wantedHop = Int(v)!
            case "wl": tuning.wantedLead = Double(v)!
            case "ef": ef = Int(v)!
            case "scan": scan = true
            case "only": only = v
            default: break
            }
        }
        print("== " + line)
        for cs in cases {
            if !only.isEmpty, !cs.kind.rawValue.hasPrefix(only) { continue }
            var found = 0
            var counters = SearchCounters()
            var nanos: [UInt64] = []
            filterTuning = tuning
            for (q, query) in queries.enumerated() {
                let request = VectorIndex.Request(vector: query, k: 10, efSearch: ef)
                let start = cpuNanos()
                let hits = try c.index.search(
                    request, plan: VectorPlan(strategy: scan ? .filteredFlat : .filteredGraph, estimatedCost: 1),
                    visibility: c.visibility, mask: cs.masks[q], order: c.order, scratch: &scratch,
                    counters: &counters, cancellation: Cancellation())
                nanos.append(cpuNanos() - start)
                found += cs.found(hits, query: q)
            }
            print("\(cs.kind.rawValue) \(cs.share): recall \(fixed(Double(found) / Double(10 * queries.count), 4)) p50 \(fixed(SearchTimes(nanos: nanos).p50, 0)) scored \(counters.rowsScored / queries.count) lists \(filterTuning.lists / queries.count)")
        }
        fflush(nil)
    }
}
