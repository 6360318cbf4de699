// What a run found: as JSON for scripts, as tables for people, and held against its targets.
import KyroCommands
import KyroPlatform

/// One figure and what it should be.
struct Figure: Sendable {
    var name: String
    var value: Double
    var unit: String
    var target: ClosedRange<Double>
    /// As the table shows the target.
    var targetText: String
    /// Counts and qualities are the same on every machine, times are not.
    var isCount: Bool

    var passes: Bool { target.contains(value) }

    static func atLeast(
        _ bound: Double, _ name: String, _ value: Double, _ unit: String = "", isCount: Bool = true
    ) -> Figure {
        Figure(
            name: name, value: value, unit: unit, target: bound...Double.infinity,
            targetText: "≥ \(bound)", isCount: isCount)
    }

    static func atMost(
        _ bound: Double, _ name: String, _ value: Double, _ unit: String = "", isCount: Bool = true
    ) -> Figure {
        Figure(
            name: name, value: value, unit: unit, target: -Double.infinity...bound,
            targetText: "≤ \(bound)", isCount: isCount)
    }

    static func near(
        _ middle: Double, within tolerance: Double, _ name: String, _ value: Double
    ) -> Figure {
        Figure(
            name: name, value: value, unit: "", target: (middle - tolerance)...(middle + tolerance),
            targetText: "\(middle) ± \(tolerance)", isCount: true)
    }
}

struct DataSetReport: Sendable {
    var name: String
    var layout: TextLayout
    var dimension: Int
    var loading: Loading
    var quality: Quality
    var latencies: [LatencyResult] = []
    var figures: [Figure] = []
}

struct Report {
    var seed: UInt64
    var requestCount: Int
    var dataSets: [DataSetReport] = []

    var allCountsPass: Bool {
        dataSets.allSatisfy { $0.figures.allSatisfy { !$0.isCount || $0.passes } }
    }
}

func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 1e15 else { return "\(value)" }
    let whole = String(Int(scaled) / Int(scale))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return sign + whole }
    let rest = String(Int(scaled) % Int(scale))
    return sign + whole + "." + String(repeating: "0", count: digits - rest.count) + rest
}

private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

// MARK: tables

extension DataSetReport {
    var text: String {
        var text = "\n\(name): \(loading.documents) documents, \(dimension) dimensions, "
        text += layout == .joined ? "title and text in one field\n" : "title and text apart\n"
        let facts: [(String, String)] = [
            ("ingest", "\(fixed(loading.perSecond, 0)) documents/s"),
            (
                "graph",
                "\(loading.graphRows) rows, tail \(loading.tailRows), "
                    + "\(fixed(loading.foldSeconds, 1)) s after the last acknowledgement"
            ),
            (
                "resident",
                "\(fixed(loading.bytesPerVector, 0)) bytes a document, all legs: "
                    + "\(fixed(loading.ratioToRaw, 2)) of the raw \(loading.rawBytesPerVector)"
            ),
            ("disk", byteText(loading.diskBytes)),
            ("recall@10", "\(fixed(quality.recall, 4)) against \(quality.recallAgainst)"),
            ("rows scored", "\(fixed(quality.rowsScoredPercent, 2)) % a query"),
        ]
        for (name, value) in facts { text += padded(name) + value + "\n" }
        if let recall = quality.filteredRecall {
            text += padded("filtered recall@10") + fixed(recall, 4) + "\n"
        }
        for run in quality.ndcg {
            text += padded("nDCG@10 " + run.name) + fixed(run.value, 4) + "\n"
        }
        return text + latencyTable
    }

    private func padded(_ name: String) -> String {
        name + String(repeating: " ", count: max(1, 22 - name.count))
    }

    private var latencyTable: String {
        guard !latencies.isEmpty else { return "" }
        var table = Table([
            .init("request"), .init("load"), .init("clients", isRightAligned: true),
            .init("p50 ms", isRightAligned: true), .init("p95 ms", isRightAligned: true),
            .init("p99 ms", isRightAligned: true), .init("max ms", isRightAligned: true),
            .init("per s", isRightAligned: true), .init("server cpu ms", isRightAligned: true),
        ])
        for run in latencies {
            let load = run.writesPerSecond.map { "ingest " + fixed($0, 0) + "/s" } ?? "idle"
            table.append([
                run.kind.rawValue, load, String(run.clients), fixed(run.millis(0.5), 3),
                fixed(run.millis(0.95), 3), fixed(run.millis(0.99), 3),
                fixed(Double(run.histogram.maximum) / 1e6, 3), fixed(run.perSecond, 0),
                run.serverMillisPerRequest.map { fixed($0, 3) } ?? "-",
            ])
        }
        return table.text()
    }
}

extension Report {
    var figureTable: String {
        var table = Table([
            .init("data set"), .init("figure"), .init("measured", isRightAligned: true),
            .init("target"), .init("kind"), .init(""),
        ])
        for set in dataSets {
            for figure in set.figures {
                table.append([
                    set.name, figure.name,
                    fixed(figure.value, 4) + (figure.unit.isEmpty ? "" : " " + figure.unit),
                    figure.targetText, figure.isCount ? "count" : "time",
                    figure.passes ? "PASS" : "MISS",
                ])
            }
        }
        return table.text()
    }

    // MARK: JSON

    var json: JSON {
        let server = dataSets.first?.loading.server
        return .object([
            .init(
                "environment",
                .object([
                    .init("cpu", .string(Machine.cpu)),
                    .init("cores", .int(Int64(ProcessMemory.coreCount))),
                    .init("kernel", .string(Machine.kernel)),
                    .init("load_average", .double(Machine.loadAverage)),
                    .init("version", .string(server?.version ?? "")),
                    .init("kernels", .string(server?.kernels ?? "")),
                    .init("shards", .int(Int64(server?.shards.count ?? 0))),
                ])),
            .init("seed", .int(Int64(bitPattern: seed))),
            .init("requests", .int(Int64(requestCount))),
            .init("data_sets", .array(dataSets.map(\.json))),
        ])
    }
}

extension DataSetReport {
    fileprivate var json: JSON {
        .object([
            .init("name", .string(name)),
            .init("text_layout", .string(layout.rawValue)),
            .init("dimension", .int(Int64(dimension))),
            .init("loading", loading.json),
            .init("quality", quality.json),
            .init("latencies", .array(latencies.map(\.json))),
            .init("figures", .array(figures.map(\.json))),
        ])
    }
}

extension Loading {
    fileprivate var json: JSON {
        .object([
            .init("documents", .int(Int64(documents))),
            .init("documents_per_second", .double(perSecond)),
            .init("fold_seconds", .double(foldSeconds)),
            .init("graph_rows", .int(Int64(graphRows))),
            .init("tail_rows", .int(Int64(tailRows))),
            .init("resident_bytes_added", .int(Int64(residentBytesAdded))),
            .init("resident_bytes_per_document", .double(bytesPerVector)),
            .init("ratio_to_raw", .double(ratioToRaw)),
            .init("disk_bytes", .int(Int64(diskBytes))),
        ])
    }
}

extension Quality {
    fileprivate var json: JSON {
        .object([
            .init("recall_at_10", .double(recall)),
            .init("recall_against", .string(recallAgainst)),
            .init("rows_scored_percent", .double(rowsScoredPercent)),
            .init("filtered_recall_at_10", filteredRecall.map { .double($0) } ?? .null),
            .init("missing_lookups", .int(Int64(missingLookups))),
            .init("empty_searches", .int(Int64(emptySearches))),
            .init("ndcg_at_10", .object(ndcg.map { .init($0.name, .double($0.value)) })),
            .init("hash", .string(hex(hash))),
        ])
    }
}

extension LatencyResult {
    fileprivate var json: JSON {
        .object([
            .init("request", .string(kind.rawValue)),
            .init("clients", .int(Int64(clients))),
            .init("during_ingest", .bool(isDuringIngest)),
            .init("writes_per_second", writesPerSecond.map { .double($0) } ?? .null),
            .init("requests", .int(Int64(histogram.count))),
            .init("per_second", .double(perSecond)),
            .init("mean_ms", .double(histogram.mean / 1e6)),
            .init("min_ms", .double(Double(histogram.minimum) / 1e6)),
            .init("p50_ms", .double(millis(0.5))),
            .init("p95_ms", .double(millis(0.95))),
            .init("p99_ms", .double(millis(0.99))),
            .init("p999_ms", .double(millis(0.999))),
            .init("max_ms", .double(Double(histogram.maximum) / 1e6)),
            .init(
                "server_cpu_ms_per_request", serverMillisPerRequest.map { .double($0) } ?? .null),
            .init("empty_answers", .int(Int64(emptyAnswers))),
            .init("hash", hash.map { .string(hex($0)) } ?? .null),
        ])
    }
}

extension Figure {
    fileprivate var json: JSON {
        .object([
            .init("name", .string(name)),
            .init("value", .double(value)),
            .init("unit", .string(unit)),
            .init("target", .string(targetText)),
            .init("kind", .string(isCount ? "count" : "time")),
            .init("passes", .bool(passes)),
        ])
    }
}
