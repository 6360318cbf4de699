// Wanted recalls on several collections, and the report of it.
import KyroCommands
import KyroEngine
import KyroIndex
import KyroPlatform

struct RecallBenchmark {
    let options: RecallOptions

    func run() throws -> Int32 {
        let loadAverage = Machine.loadAverage
        var results: [RecallResult] = []
        for name in options.names {
            let run = try RecallRun(RecallCollection(name, options), options)
            results += try run.measure()
            if let path = options.jsonPath { try writeFile(Self.jsonLines(results), to: path) }
        }
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), kernels "
                + "\(VectorIndex.kernelsName), seed \(options.seed), \(options.liveCount) live queries, "
                + "load average \(loadAverage) at the start\n")
        print(Self.table(results).text())
        let missed = results.filter { !$0.passes }.count
        print(
            missed == 0
                ? "PASS: recall within 0.005 of all targets, for at most 1.5 × the distances"
                : "FAIL: \(missed) of \(results.count) targets are missed")
        return missed > 0 && options.isStrict ? 1 : 0
    }

    private static func table(_ results: [RecallResult]) -> Table {
        var table = Table(
            [Table.Column("collection")]
                + [
                    "target", "measured", "worst decile", "estimated", "its worst", "samples",
                    "efSearch", "distances", "cheapest", "its distances", "ratio",
                ].map { Table.Column($0, isRightAligned: true) } + [Table.Column("verdict")])
        for result in results {
            let (outcome, estimate) = (result.outcome, result.estimate)
            table.append([
                result.collection, fixed(result.target, 2), fixed(outcome.mean, 4),
                fixed(outcome.worstDecile, 3), fixed(estimate.mean, 4),
                fixed(estimate.worstDecile, 3), "\(estimate.samples)", "\(estimate.efSearch)",
                fixed(outcome.distances, 0), result.cheapest.map { "\($0.efSearch)" } ?? "none",
                result.cheapest.map { fixed($0.outcome.distances, 0) } ?? "",
                result.ratio.isFinite ? fixed(result.ratio, 2) : "",
                result.passes ? "PASS" : "FAIL",
            ])
        }
        return table
    }

    private static func jsonLines(_ results: [RecallResult]) -> String {
        results.map { result in
            let (outcome, estimate) = (result.outcome, result.estimate)
            let line: JSON = .object([
                .init("collection", .string(result.collection)),
                .init("target", .double(result.target)),
                .init("recall", .double(outcome.mean)),
                .init("worst_decile", .double(outcome.worstDecile)),
                .init("estimate", .double(estimate.mean)),
                .init("estimated_worst_decile", .double(estimate.worstDecile)),
                .init("samples", .int(Int64(estimate.samples))),
                .init("ef_search", .int(Int64(estimate.efSearch))),
                .init("distances", .double(outcome.distances)),
                .init("cheapest_ef_search", .int(Int64(result.cheapest?.efSearch ?? 0))),
                .init("cheapest_distances", .double(result.cheapest?.outcome.distances ?? 0)),
                .init("passes", .bool(result.passes)),
            ])
            return line.text + "\n"
        }.joined()
    }
}
