// Whether an aggregation can be answered, before any shard is asked.
import KyroIndex
import KyroModel

/// A field that the schema does not know is no error: no document has it.
enum AggregationValidation {
    static func check(_ request: SearchRequest, _ schema: Schema) throws(KyroError) {
        guard request.aggregations.count <= Limits.aggregationsMax else {
            throw .overLimit(
                "aggregations",
                "has \(request.aggregations.count) entries; the limit is \(Limits.aggregationsMax)")
        }
        let hasLeg = request.vector != nil || request.sparse != nil || request.text != nil
        for (index, aggregation) in request.aggregations.enumerated() {
            let path = "aggregations[\(index)]"
            guard aggregation.name.utf8.count <= Limits.nameBytesMax else {
                throw .overLimit(
                    path + ".name",
                    "has \(aggregation.name.utf8.count) bytes; the limit is \(Limits.nameBytesMax)")
            }
            if aggregation.over == .candidates, !hasLeg {
                throw .invalid(
                    path + ".over",
                    "is CANDIDATES, but the search has no leg that could find any; use FILTER")
            }
            if let filter = aggregation.filter {
                do throws(KyroError) { try FilterValidation.check(filter, schema) } catch {
                    throw KyroError(
                        code: error.code, reason: error.reason,
                        message: "\(path).\(error.message)",
                        field: error.field.map { "\(path).\($0)" })
                }
            }
            try check(aggregation.kind, schema, path)
        }
    }

    private static func check(
        _ kind: Aggregation.Kind, _ schema: Schema, _ path: String
    ) throws(KyroError) {
        switch kind {
        case .count: return
        case .facet(let facet):
            let path = path + ".facet"
            guard !facet.field.isEmpty else {
                throw .invalid(path + ".field", "is empty; name a metadata field")
            }
            try checkType(
                facet.field, [.string, .int64, .double, .bool, .timestamp], "values with an order",
                schema, path)
            guard facet.limit <= Limits.facetLimitMax else {
                throw .overLimit(
                    path + ".limit", "is \(facet.limit); the limit is \(Limits.facetLimitMax)")
            }
        case .histogram(let histogram): try check(histogram, schema, path + ".histogram")
        case .timeHistogram(let histogram):
            try check(histogram, schema, path + ".time_histogram")
        case .stats(let stats): try check(stats, schema, path + ".stats")
        }
    }

    private static func check(
        _ histogram: HistogramAggregation, _ schema: Schema, _ path: String
    ) throws(KyroError) {
        guard !histogram.field.isEmpty else {
            throw .invalid(path + ".field", "is empty; name a field of numbers")
        }
        try checkType(histogram.field, [.int64, .double], "numbers", schema, path)
        guard histogram.interval > 0, histogram.interval.isFinite else {
            throw .invalid(
                path + ".interval", "is \(histogram.interval); it must be above 0 and finite")
        }
        guard histogram.offset.isFinite else {
            throw .invalid(path + ".offset", "is \(histogram.offset); it must be finite")
        }
    }

    private static func check(
        _ histogram: TimeHistogramAggregation, _ schema: Schema, _ path: String
    ) throws(KyroError) {
        try checkType(histogram.field, [.timestamp], "timestamps", schema, path)
        if histogram.calendar == .none {
            guard histogram.intervalMillis > 0 else {
                throw .invalid(
                    path + ".interval_ms",
                    "is \(histogram.intervalMillis); it must be above 0, or calendar be set")
            }
        } else if histogram.intervalMillis != 0 || histogram.offsetMillis != 0 {
            throw .invalid(
                path + ".calendar", "excludes interval_ms and offset_ms; leave them at 0")
        }
    }

    private static func check(
        _ stats: StatsAggregation, _ schema: Schema, _ path: String
    ) throws(KyroError) {
        try checkType(
            stats.field, [.int64, .double, .timestamp], "numbers or timestamps", schema, path)
        guard stats.quantiles.count <= Limits.quantilesMax else {
            throw .overLimit(
                path + ".quantiles",
                "has \(stats.quantiles.count) entries; the limit is \(Limits.quantilesMax)")
        }
        for (index, q) in stats.quantiles.enumerated() where !(q >= 0 && q <= 1) {
            throw .invalid("\(path).quantiles[\(index)]", "is \(q); it must lie from 0 to 1")
        }
    }

    /// An empty name is the event time.
    private static func checkType(
        _ field: String, _ wanted: [ValueType], _ needs: String, _ schema: Schema, _ path: String
    ) throws(KyroError) {
        guard let type = schema.metadata[field], !wanted.contains(type.element) else { return }
        throw KyroError(
            .typeMismatch,
            "\(path).field needs \(needs); the field \"\(field)\" is a \(type.name)",
            field: path + ".field")
    }
}
