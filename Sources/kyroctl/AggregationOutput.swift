// What a search counted beside its hits, as tables and as JSON.
import KyroCommands
import KyroModel

enum AggregationOutput {
    static let options = [
        Option(
            "facet", value: "FIELD[:N]", isRepeatable: true,
            "count the most frequent values of a metadata field (default: ten)"),
        Option(
            "histogram", value: "FIELD:WIDTH", isRepeatable: true,
            "count by buckets of 10, 6h, day, week, month or year; \(eventTimeName) is the event time"
        ),
        Option(
            "stats", value: "FIELD[:Q,Q]", isRepeatable: true,
            "least, greatest, sum, mean and quantiles (default: 0.5, 0.9, 0.99)"),
        Option(
            "over", value: "WHAT",
            "count what passes the filter (filter, the default), or what the search found "
                + "(candidates)"),
    ]

    static func aggregations(_ arguments: Arguments) throws(UsageError) -> [Aggregation] {
        var all: [Aggregation] = []
        for text in arguments.strings("facet") { all.append(try .facet(parsing: text)) }
        for text in arguments.strings("histogram") { all.append(try .histogram(parsing: text)) }
        for text in arguments.strings("stats") { all.append(try .stats(parsing: text)) }
        guard let over = arguments.string("over") else { return all }
        guard over == "filter" || over == "candidates" else {
            throw UsageError("--over is \"\(over)\"; it must be filter or candidates")
        }
        guard !all.isEmpty else {
            throw UsageError("--over needs --facet, --histogram or --stats")
        }
        for index in all.indices { all[index].over = over == "filter" ? .filter : .candidates }
        return all
    }

    // MARK: Tables

    static func show(_ result: AggregationResult, _ session: Session) {
        session.write("\n\(result.name), of \(countText(result.documents)) documents\n")
        switch result.kind {
        case .count: return
        case .facet(let facet): show(facet, session)
        case .histogram(let histogram):
            let rows = histogram.buckets.map {
                (number($0.lower), number($0.upper), $0.documents)
            }
            show(rows, missing: histogram.missing, session)
        case .timeHistogram(let histogram):
            let rows = histogram.buckets.map {
                (
                    Timestamp.text(millis: $0.fromMillis), Timestamp.text(millis: $0.toMillis),
                    $0.documents
                )
            }
            show(rows, missing: histogram.missing, session)
        case .stats(let stats): show(stats, session)
        }
    }

    private static func show(_ facet: FacetResult, _ session: Session) {
        var table = Table([
            .init("value", widthMin: 16), .init("documents", isRightAligned: true),
        ])
        for bucket in facet.buckets {
            table.append([bucket.value.cell, countText(bucket.documents)])
        }
        if facet.otherValues > 0 {
            table.append([
                "(\(countText(facet.otherValues)) others)", countText(facet.otherDocuments),
            ])
        }
        if facet.missing > 0 { table.append(["(none)", countText(facet.missing)]) }
        session.write(table)
    }

    private static func show(
        _ rows: [(from: String, to: String, documents: UInt64)], missing: UInt64,
        _ session: Session
    ) {
        var table = Table([
            .init("from", isRightAligned: true), .init("to", isRightAligned: true),
            .init("documents", isRightAligned: true), .init(""),
        ])
        let most = rows.map(\.documents).max() ?? 1
        for row in rows {
            let share = Double(row.documents) / Double(max(1, most))
            let bar = String(repeating: "#", count: Int((40 * share).rounded(.up)))
            table.append([row.from, row.to, countText(row.documents), bar])
        }
        if missing > 0 { table.append(["(none)", "", countText(missing), ""]) }
        session.write(table)
    }

    private static func show(_ stats: StatsResult, _ session: Session) {
        var table = Table([.init("measure"), .init("value", isRightAligned: true)])
        table.append(["values", countText(stats.count)])
        if stats.missing > 0 { table.append(["documents without", countText(stats.missing)]) }
        if let min = stats.min, let max = stats.max {
            let isTime = min.type == .timestamp
            func text(_ value: Double) -> String {
                guard isTime, let millis = Int64(exactly: value.rounded()) else {
                    return number(value)
                }
                return Timestamp.text(millis: millis)
            }
            table.append(["least", min.cell])
            table.append(["greatest", max.cell])
            if !isTime { table.append(["sum", number(stats.sum)]) }
            table.append(["mean", text(stats.mean)])
            for quantile in stats.quantiles {
                table.append(["quantile \(number(quantile.q))", text(quantile.value)])
            }
        }
        session.write(table)
    }

    /// Whole numbers without a fraction.
    private static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.description
    }

    // MARK: JSON

    static func json(of result: AggregationResult) -> JSON {
        let members = [
            JSON.Member("name", .string(result.name)),
            JSON.Member("documents", JSON(result.documents)),
        ]
        switch result.kind {
        case .count: return .object(members)
        case .facet(let facet):
            return .object(members + [JSON.Member("facet", json(of: facet))])
        case .histogram(let histogram):
            let buckets = histogram.buckets.map { bucket in
                JSON.object([
                    JSON.Member("lower", .double(bucket.lower)),
                    JSON.Member("upper", .double(bucket.upper)),
                    JSON.Member("documents", JSON(bucket.documents)),
                ])
            }
            return .object(
                members + [JSON.Member("histogram", json(of: buckets, histogram.missing))])
        case .timeHistogram(let histogram):
            let buckets = histogram.buckets.map { bucket in
                JSON.object([
                    JSON.Member("from_ms", .int(bucket.fromMillis)),
                    JSON.Member("to_ms", .int(bucket.toMillis)),
                    JSON.Member("documents", JSON(bucket.documents)),
                ])
            }
            return .object(
                members + [JSON.Member("time_histogram", json(of: buckets, histogram.missing))])
        case .stats(let stats):
            return .object(members + [JSON.Member("stats", json(of: stats))])
        }
    }

    private static func json(of buckets: [JSON], _ missing: UInt64) -> JSON {
        .object([
            JSON.Member("buckets", .array(buckets)), JSON.Member("missing", JSON(missing)),
        ])
    }

    private static func json(of facet: FacetResult) -> JSON {
        let buckets = facet.buckets.map { bucket in
            JSON.object([
                JSON.Member("value", JSON(bucket.value)),
                JSON.Member("documents", JSON(bucket.documents)),
            ])
        }
        return .object([
            JSON.Member("buckets", .array(buckets)),
            JSON.Member("other_values", JSON(facet.otherValues)),
            JSON.Member("other_documents", JSON(facet.otherDocuments)),
            JSON.Member("missing", JSON(facet.missing)),
        ])
    }

    private static func json(of stats: StatsResult) -> JSON {
        var members = [
            JSON.Member("count", JSON(stats.count)), JSON.Member("missing", JSON(stats.missing)),
        ]
        if let min = stats.min, let max = stats.max {
            members += [
                JSON.Member("min", JSON(min)), JSON.Member("max", JSON(max)),
                JSON.Member("sum", .double(stats.sum)), JSON.Member("mean", .double(stats.mean)),
            ]
        }
        let quantiles = stats.quantiles.map { quantile in
            JSON.object([
                JSON.Member("q", .double(quantile.q)),
                JSON.Member("value", .double(quantile.value)),
            ])
        }
        members.append(JSON.Member("quantiles", .array(quantiles)))
        return .object(members)
    }
}
