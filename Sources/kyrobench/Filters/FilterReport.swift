// What filtered searches took and found: tables, figures held against their targets, JSON lines.
import KyroCommands
import KyroPlatform

struct FilterResult: Sendable {
    let kind: FilterKind
    let share: Double
    var recall = 0.0
    /// Distances a query.
    var scored = 0.0
    var filtered = SearchTimes()
    /// Of all matching codes.
    var scan = SearchTimes()
    /// Of a search without the filter whose recall is as good.
    var unfiltered = SearchTimes()
    var unfilteredEf = 0
    /// Searches by what was done in the end.
    var courses: [String: Int] = [:]

    var toUnfiltered: Double { filtered.p50 / max(unfiltered.p50, 0.001) }
    var toScan: Double { filtered.p50 / max(scan.p50, 0.001) }
    var percent: String { fixed(100 * share, share < 0.01 ? 1 : 0) + " %" }
    var course: String {
        courses.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }
            .joined(separator: ", ")
    }

    var text: String {
        "\(kind.rawValue) \(percent): recall \(fixed(recall, 4)), p50 \(fixed(filtered.p50, 0)) µs, "
            + "\(fixed(toUnfiltered, 2)) × unfiltered, \(fixed(toScan, 2)) × scan; \(course)"
    }
}

struct FilterReport {
    let data: VectorData
    let options: FilterOptions
    let loadAverage: Double
    var curve: [FilterCurvePoint] = []
    var results: [FilterResult] = []

    private static let recallMin = 0.97
    private static let toScanMax = 1.2
    /// Over the search without a filter.
    private static let toUnfilteredMax = 3.0
    private static let toUnfilteredMaxOfMillion = 6.0
    private static let manyRows = 500_000

    var headline: String {
        "\(data.name): \(data.corpus.rowCount) × \(data.corpus.dimension), "
            + "\(data.queries.rowCount) queries × \(options.passes), seed \(options.seed); "
            + "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), "
            + "load average \(loadAverage) at the start"
    }

    var curveTable: String {
        var table = Table([
            .init("without a filter, efSearch", isRightAligned: true),
            .init("recall@10", isRightAligned: true), .init("p50 µs", isRightAligned: true),
            .init("distances", isRightAligned: true),
        ])
        for point in curve {
            table.append([
                String(point.efSearch), fixed(point.recall, 4), fixed(point.micros.p50, 1),
                fixed(point.distances, 0),
            ])
        }
        return table.text()
    }

    var table: String {
        var table = Table([
            .init("filter"), .init("matches", isRightAligned: true),
            .init("recall@10", isRightAligned: true), .init("p50 µs", isRightAligned: true),
            .init("p99 µs", isRightAligned: true), .init("distances", isRightAligned: true),
            .init("scan p50", isRightAligned: true),
            .init("unfiltered p50", isRightAligned: true), .init("ef", isRightAligned: true),
            .init("× unfiltered", isRightAligned: true), .init("× scan", isRightAligned: true),
            .init(""), .init("done"),
        ])
        for result in results {
            let isMet = figures(result).allSatisfy { $0.passes }
            table.append([
                result.kind.rawValue, result.percent, fixed(result.recall, 4),
                fixed(result.filtered.p50, 1), fixed(result.filtered.p99, 1),
                fixed(result.scored, 0), fixed(result.scan.p50, 1),
                fixed(result.unfiltered.p50, 1), String(result.unfilteredEf),
                fixed(result.toUnfiltered, 2), fixed(result.toScan, 2), isMet ? "PASS" : "FAIL",
                result.course,
            ])
        }
        return table.text()
    }

    var figures: [Figure] { results.flatMap(figures) }

    /// An anti-correlated filter is held against the scan of what matches, the others against the
    /// search without a filter; of many rows the independent one alone.
    private func figures(_ result: FilterResult) -> [Figure] {
        let name = "\(result.kind.rawValue) \(result.percent)"
        var figures = [Figure.atLeast(Self.recallMin, "recall, \(name)", result.recall)]
        let isMany = data.corpus.rowCount >= Self.manyRows
        switch result.kind {
        case .antiCorrelated:
            figures.append(
                .atMost(
                    Self.toScanMax, "p50 over the scan, \(name)", result.toScan, "×",
                    isCount: false))
        case .correlated where isMany: break
        case .independent, .correlated:
            figures.append(
                .atMost(
                    isMany ? Self.toUnfilteredMaxOfMillion : Self.toUnfilteredMax,
                    "p50 over the unfiltered, \(name)", result.toUnfiltered, "×", isCount: false))
        }
        return figures
    }

    var jsonLines: String {
        let lines = results.map { result in
            JSON.object([
                .init("kind", .string("filter")), .init("data_set", .string(data.name)),
                .init("rows", .int(Int64(data.corpus.rowCount))),
                .init("dimension", .int(Int64(data.corpus.dimension))),
                .init("filter", .string(result.kind.rawValue)),
                .init("share", .double(result.share)), .init("recall", .double(result.recall)),
                .init("distances", .double(result.scored)),
                .init("p50_micros", .double(result.filtered.p50)),
                .init("p99_micros", .double(result.filtered.p99)),
                .init("scan_p50_micros", .double(result.scan.p50)),
                .init("unfiltered_p50_micros", .double(result.unfiltered.p50)),
                .init("unfiltered_ef_search", .int(Int64(result.unfilteredEf))),
                .init("done", .string(result.course)),
            ])
        }
        return lines.map { $0.text + "\n" }.joined()
    }
}
