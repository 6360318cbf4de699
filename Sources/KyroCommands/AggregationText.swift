// Aggregations and sort keys as people write them on a command line.
import KyroModel

/// How the event time is called where a metadata field may stand.
public let eventTimeName = "@time"

private func fieldName(_ word: Substring) -> String {
    word == eventTimeName ? "" : String(word)
}

/// What comes before the last colon, and what behind it; nil where there is none.
private func halves(_ text: String) -> (Substring, Substring?) {
    guard let colon = text.lastIndex(of: ":") else { return (text[...], nil) }
    return (text[..<colon], text[text.index(after: colon)...])
}

extension Aggregation {
    /// `FIELD` or `FIELD:LIMIT`.
    public static func facet(parsing text: String) throws(UsageError) -> Aggregation {
        let (field, limit) = halves(text)
        var facet = FacetAggregation(field: String(field))
        if let limit {
            guard let count = UInt32(limit), (1...Limits.facetLimitMax).contains(Int(count)) else {
                throw UsageError(
                    "--facet \(text): how many values? Write FIELD:N, N from 1 to "
                        + "\(Limits.facetLimitMax)")
            }
            facet.limit = count
        }
        guard !facet.field.isEmpty else { throw UsageError("--facet needs a metadata field") }
        return Aggregation(.facet(facet), name: facet.field)
    }

    /// `FIELD:10` of numbers, `FIELD:6h` or `FIELD:month` of times.
    public static func histogram(parsing text: String) throws(UsageError) -> Aggregation {
        let (name, width) = halves(text)
        guard let width, !name.isEmpty else {
            throw UsageError(
                "--histogram \(text): how wide is a bucket? Write FIELD:10 for numbers; FIELD:6h, "
                    + "FIELD:day, week, month or year for times")
        }
        let field = fieldName(name)
        let calendars: [Substring: CalendarInterval] = [
            "day": .day, "week": .week, "month": .month, "year": .year,
        ]
        if let calendar = calendars[width] {
            let histogram = TimeHistogramAggregation(field: field, calendar: calendar)
            return Aggregation(.timeHistogram(histogram), name: String(name))
        }
        if let interval = Double(width), interval.isFinite, interval > 0 {
            let histogram = HistogramAggregation(field: field, interval: interval)
            return Aggregation(.histogram(histogram), name: String(name))
        }
        guard let millis = try? TimeSpan.parseMillis(String(width)), millis > 0 else {
            throw UsageError(
                "--histogram \(text): \"\(width)\" is neither a number above 0, nor a time such as "
                    + "6h, nor day, week, month or year")
        }
        let histogram = TimeHistogramAggregation(field: field, intervalMillis: millis)
        return Aggregation(.timeHistogram(histogram), name: String(name))
    }

    /// `FIELD`, with the quantiles 0.5, 0.9 and 0.99, or `FIELD:0.25,0.75`.
    public static func stats(parsing text: String) throws(UsageError) -> Aggregation {
        let (name, list) = halves(text)
        guard !name.isEmpty else { throw UsageError("--stats needs a field") }
        var stats = StatsAggregation(field: fieldName(name), quantiles: [0.5, 0.9, 0.99])
        if let list {
            stats.quantiles = []
            for word in list.split(separator: ",") {
                guard let q = Double(word), q >= 0, q <= 1 else {
                    throw UsageError(
                        "--stats \(text): \"\(word)\" is no quantile from 0 to 1, as in FIELD:0.5,0.9"
                    )
                }
                stats.quantiles.append(q)
            }
        }
        return Aggregation(.stats(stats), name: String(name))
    }
}

extension SortKey {
    /// `FIELD`, `FIELD:desc`, `FIELD:asc`, with `:first` behind for documents without the field first;
    /// several with commas between.
    public static func list(parsing text: String) throws(UsageError) -> [SortKey] {
        var keys: [SortKey] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            var parts = word.split(separator: ":", omittingEmptySubsequences: false)
            var key = SortKey()
            if parts.count > 1, parts.last == "first" {
                key.isMissingFirst = true
                parts.removeLast()
            }
            if parts.count > 1, let order = parts.last, order == "asc" || order == "desc" {
                key.isDescending = order == "desc"
                parts.removeLast()
            }
            let name = parts.joined(separator: ":")
            guard !name.isEmpty else {
                throw UsageError(
                    "--order-by \(text): write FIELD, FIELD:desc or \(eventTimeName):desc:first")
            }
            key.field = fieldName(name[...])
            keys.append(key)
        }
        return keys
    }
}
