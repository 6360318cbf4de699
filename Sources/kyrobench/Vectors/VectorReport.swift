// What a comparison found: tables for people, figures held against their targets, lines for scripts.
import KyroCommands
import KyroPlatform

struct VectorReport {
    let data: VectorData
    let options: VectorOptions
    let loadAverage: Double
    var systems: [SystemResult] = []

    static let recalls = [0.95, 0.97, 0.99]
    private static let gapMax = 0.01

    private func system(_ name: String) -> SystemResult? { systems.first { $0.system == name } }

    // MARK: tables

    var headline: String {
        var text =
            "\(data.name): \(data.corpus.rowCount) × \(data.corpus.dimension), "
            + "\(data.queries.rowCount) queries × \(options.passes), seed \(options.seed), "
            + "\(options.threads) threads to build, one to search; \(Machine.cpu), "
            + "\(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), load average "
            + "\(loadAverage) at the start"
        if let agreement = data.givenTruthAgreement {
            text += "; \(fixed(agreement, 4)) of the data set's exact answers are exact here"
        }
        return text
    }

    var buildTable: String {
        var table = Table([
            .init("build"), .init("library"), .init("threads", isRightAligned: true),
            .init("seconds", isRightAligned: true), .init("vectors/s", isRightAligned: true),
            .init("a thread", isRightAligned: true), .init("× hnswlib", isRightAligned: true),
            .init("MiB", isRightAligned: true), .init("over raw", isRightAligned: true),
            .init("remark"),
        ])
        let reference = system("hnswlib")?.build?.perSecond
        for system in systems {
            guard let build = system.build else { continue }
            table.append([
                system.system, system.library, String(build.threads), fixed(build.seconds, 2),
                fixed(build.perSecond, 0), fixed(build.perSecond / Double(build.threads), 0),
                reference.map { fixed(build.perSecond / $0, 2) } ?? "-",
                fixed(Double(build.residentBytes) / 1_048_576, 0),
                fixed(Double(build.residentBytes) / Double(data.rawBytes), 2), build.remark,
            ])
        }
        return table.text()
    }

    /// Microseconds at each recall that is asked for.
    var targetTable: String {
        var columns: [Table.Column] = [
            .init("µs at recall@10"), .init("call", isRightAligned: true),
        ]
        for recall in Self.recalls {
            for title in ["\(recall) p50", "less call", "p99", "distances"] {
                columns.append(.init(title, isRightAligned: true))
            }
        }
        var table = Table(columns)
        for system in systems {
            var cells = [system.system, system.callMicros.map { fixed($0, 1) } ?? "-"]
            for recall in Self.recalls {
                let bound = system.begins(above: recall) ? "≤ " : ""
                let times = [system.p50(recall), system.netP50(recall), system.p99(recall)]
                cells += times.map { $0.map { bound + fixed($0, 1) } ?? "-" }
                let distances = system.value(atRecall: recall) { $0.distances }
                cells.append(distances.map { bound + fixed($0, 0) } ?? "-")
            }
            table.append(cells)
        }
        return table.text()
    }

    var curveTable: String {
        var table = Table([
            .init("curve"), .init("parameter"), .init("value", isRightAligned: true),
            .init("recall@10", isRightAligned: true), .init("p50 µs", isRightAligned: true),
            .init("p90 µs", isRightAligned: true), .init("p99 µs", isRightAligned: true),
            .init("distances", isRightAligned: true), .init("1 thread /s", isRightAligned: true),
            .init("\(options.threads) threads /s", isRightAligned: true),
        ])
        for system in systems {
            for point in system.points {
                table.append([
                    system.system, system.parameterName, String(point.parameter),
                    fixed(point.recall, 4), fixed(point.micros.p50, 1),
                    fixed(point.micros.p90, 1), fixed(point.micros.p99, 1),
                    point.distances.map { fixed($0, 0) } ?? "-",
                    point.perSecondOfOne.map { fixed($0, 0) } ?? "-",
                    point.perSecondOfAll.map { fixed($0, 0) } ?? "-",
                ])
            }
        }
        return table.text()
    }

    // MARK: figures

    /// What this run can be held against, of the systems that took part.
    var figures: [Figure] {
        var figures: [Figure] = []
        if let bulk = system(InProcessRun.bulkName) {
            figures += buildFigures(bulk) + searchFigures(bulk)
        }
        if let served = system(ServedRun.name), let p50 = served.p50(0.97),
            let p99 = served.p99(0.97)
        {
            figures += [
                .atMost(0.6, "gRPC p50 at 0.97", p50 / 1e3, "ms", isCount: false),
                .atMost(1.5, "gRPC p99 at 0.97", p99 / 1e3, "ms", isCount: false),
            ]
        }
        return figures
    }

    private func buildFigures(_ bulk: SystemResult) -> [Figure] {
        var figures: [Figure] = []
        if let build = bulk.build {
            if let peer = system("hnswlib")?.build {
                figures.append(
                    .atLeast(
                        10, "bulk build over hnswlib's", build.perSecond / peer.perSecond, "×",
                        isCount: false))
            }
            if data.corpus.dimension == 768 {
                figures.append(
                    .atLeast(
                        25_000, "bulk build a thread", build.perSecond / Double(build.threads),
                        "vectors/s", isCount: false))
            }
        }
        if let gap = recallGap {
            figures.append(
                .atMost(Self.gapMax, "recall that bulk lacks at equal distances", gap))
        }
        return figures
    }

    /// By how much the curve of the bulk build lies below the one of the incremental build at worst,
    /// where both are known.
    private var recallGap: Double? {
        guard let bulk = system(InProcessRun.bulkName),
            let grown = system(InProcessRun.incrementalName)
        else { return nil }
        let gaps = grown.points.compactMap { point -> Double? in
            guard let distances = point.distances else { return nil }
            return bulk.recall(atDistances: distances).map { point.recall - $0 }
        }
        return gaps.max()
    }

    private func searchFigures(_ bulk: SystemResult) -> [Figure] {
        var figures: [Figure] = []
        // Below its first point a curve tells nothing that could be compared.
        let least = bulk.points.first?.recall ?? 0
        var levels: [Double] = []
        for level in Self.recalls.map({ max($0, least) }) where !levels.contains(level) {
            levels.append(level)
        }
        for recall in levels {
            let shown = fixed(recall, 4)
            guard let own = bulk.p50(recall) else { continue }
            if let peer = system("hnswlib")?.netP50(recall) {
                figures.append(
                    .atMost(
                        0.5, "p50 at \(shown) over hnswlib's less its call", own / peer, "×",
                        isCount: false))
            }
            let peers = systems.filter(\.isPeer).compactMap { peer in
                peer.netP50(recall).map { (peer.system, $0) }
            }
            if let best = peers.min(by: { $0.1 < $1.1 }) {
                figures.append(
                    .atMost(
                        1, "p50 at \(shown) over the best peer's (\(best.0)) less its call",
                        own / best.1, "×", isCount: false))
            }
            let scaling = bulk.value(atRecall: recall) { point in
                guard let one = point.perSecondOfOne, let all = point.perSecondOfAll else {
                    return nil
                }
                return all / one
            }
            if options.threads == 2, let scaling {
                figures.append(
                    .atLeast(
                        1.8, "throughput of 2 threads over one at \(shown)", scaling, "×",
                        isCount: false))
            }
        }
        return figures
    }

    // MARK: JSON lines

    var jsonLines: String {
        var lines: [JSON] = [
            .object([
                .init("kind", .string("environment")), .init("cpu", .string(Machine.cpu)),
                .init("cores", .int(Int64(ProcessMemory.coreCount))),
                .init("linux", .string(Machine.kernel)),
                .init("load_average", .double(loadAverage)),
                .init("data_set", .string(data.name)),
                .init("rows", .int(Int64(data.corpus.rowCount))),
                .init("dimension", .int(Int64(data.corpus.dimension))),
                .init("queries", .int(Int64(data.queries.rowCount))),
                .init("passes", .int(Int64(options.passes))),
                .init("threads", .int(Int64(options.threads))),
                .init("seed", .int(Int64(bitPattern: options.seed))),
                .init("given_truth_agreement", .optional(data.givenTruthAgreement)),
            ])
        ]
        for system in systems {
            lines += system.jsonLines
            for recall in Self.recalls {
                lines.append(
                    .object([
                        .init("kind", .string("at_recall")),
                        .init("system", .string(system.system)), .init("recall", .double(recall)),
                        .init("p50_micros", .optional(system.p50(recall))),
                        .init("p50_less_call_micros", .optional(system.netP50(recall))),
                        .init("p99_micros", .optional(system.p99(recall))),
                        .init(
                            "distances", .optional(system.value(atRecall: recall) { $0.distances })),
                    ]))
            }
        }
        for figure in figures {
            lines.append(
                .object([
                    .init("kind", .string("figure")), .init("name", .string(figure.name)),
                    .init("value", .double(figure.value)), .init("unit", .string(figure.unit)),
                    .init("target", .string(figure.targetText)),
                    .init("is_count", .bool(figure.isCount)), .init("passes", .bool(figure.passes)),
                ]))
        }
        return lines.map { $0.text + "\n" }.joined()
    }
}
