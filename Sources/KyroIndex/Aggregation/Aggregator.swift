// Counts, facets, histograms and statistics over the metadata columns of some rows.
import KyroModel

/// One aggregation over all shards. Nothing depends on how the rows are spread over them: counts are
/// integers, sums exact, ties broken by value.
public struct Aggregator {
    let path: String
    let parts: [AggregationRows]
    let cancellation: Cancellation

    /// - Parameters:
    ///   - path: names the aggregation in errors.
    ///   - parts: by shard.
    public init(path: String, over parts: [AggregationRows], cancellation: Cancellation) {
        self.path = path
        self.parts = parts
        self.cancellation = cancellation
    }

    /// - Parameter type: of the field in the schema; nil where nobody has it, or it is the event time.
    public func run(
        _ aggregation: Aggregation, type: ValueType?
    ) throws(KyroError) -> AggregationResult {
        let kind: AggregationResult.Kind =
            switch aggregation.kind {
            case .count: .count
            case .facet(let facet): .facet(try self.facet(facet, type))
            case .histogram(let histogram): .histogram(try self.histogram(histogram, type))
            case .timeHistogram(let histogram): .timeHistogram(try timeHistogram(histogram))
            case .stats(let stats): .stats(try self.stats(stats, type))
            }
        return AggregationResult(
            name: aggregation.name, documents: UInt64(documents), kind: kind)
    }

    private var documents: Int { parts.reduce(0) { $0 + $1.count } }

    func walk(_ field: String) -> KeyWalk {
        KeyWalk(field: field, parts: parts, cancellation: cancellation)
    }

    // MARK: Histograms

    private func histogram(
        _ asked: HistogramAggregation, _ type: ValueType?
    ) throws(KyroError) -> HistogramResult {
        let (interval, offset) = (asked.interval, asked.offset)
        let isDouble = type?.element == .double
        var counts = KeyCounts()
        var rows = RowCount()
        if isDouble {
            try walk(asked.field).forEach(
                afterBatch: { () throws(KyroError) in try checkBuckets(counts.count) }
            ) { key, row in
                rows.add(row)
                let bucket = ((OrderedKey.double(key) - offset) / interval).rounded(.down)
                counts.add(OrderedKey.key(bucket), row: row)
            }
        } else {
            try walk(asked.field).forEach(
                afterBatch: { () throws(KyroError) in try checkBuckets(counts.count) }
            ) { key, row in
                rows.add(row)
                let bucket = ((Double(key) - offset) / interval).rounded(.down)
                counts.add(OrderedKey.key(bucket), row: row)
            }
        }
        var result = HistogramResult()
        result.missing = UInt64(documents - rows.count)
        result.buckets = counts.sortedPositions.map { position in
            let bucket = OrderedKey.double(counts.keys[position])
            return HistogramBucket(
                lower: offset + bucket * interval, upper: offset + (bucket + 1) * interval,
                documents: UInt64(counts.counts[position]))
        }
        return result
    }

    private func timeHistogram(
        _ asked: TimeHistogramAggregation
    ) throws(KyroError) -> TimeHistogramResult {
        var counts = KeyCounts()
        var rows = RowCount()
        let walk = walk(asked.field)
        let end: (Int64) -> Int64
        switch asked.calendar {
        case .none, .day, .week:
            let buckets = Self.fixed(asked)
            end = buckets.end
            try walk.forEach(
                afterBatch: { () throws(KyroError) in try checkBuckets(counts.count) }
            ) { key, row in
                rows.add(row)
                counts.add(buckets.start(key), row: row)
            }
        case .month:
            end = TimeBuckets.monthEnd
            try walk.forEach(
                afterBatch: { () throws(KyroError) in try checkBuckets(counts.count) }
            ) { key, row in
                rows.add(row)
                counts.add(TimeBuckets.monthStart(key), row: row)
            }
        case .year:
            end = TimeBuckets.yearEnd
            try walk.forEach(
                afterBatch: { () throws(KyroError) in try checkBuckets(counts.count) }
            ) { key, row in
                rows.add(row)
                counts.add(TimeBuckets.yearStart(key), row: row)
            }
        }
        var result = TimeHistogramResult()
        result.missing = UInt64(documents - rows.count)
        result.buckets = counts.sortedPositions.map { position in
            let start = counts.keys[position]
            return TimeHistogramBucket(
                fromMillis: start, toMillis: end(start),
                documents: UInt64(counts.counts[position]))
        }
        return result
    }

    private static func fixed(_ asked: TimeHistogramAggregation) -> TimeBuckets.Fixed {
        switch asked.calendar {
        case .week:
            TimeBuckets.Fixed(
                interval: 7 * TimeBuckets.dayMillis, offset: TimeBuckets.mondayMillis)
        case .day: TimeBuckets.Fixed(interval: TimeBuckets.dayMillis, offset: 0)
        case .none, .month, .year:
            TimeBuckets.Fixed(interval: asked.intervalMillis, offset: asked.offsetMillis)
        }
    }

    private func checkBuckets(_ count: Int) throws(KyroError) {
        guard count > Limits.histogramBucketsMax else { return }
        throw .overLimit(
            path,
            "has more than \(Limits.histogramBucketsMax) buckets; take a larger interval, or "
                + "a filter")
    }

    // MARK: Statistics

    private func stats(
        _ asked: StatsAggregation, _ type: ValueType?
    ) throws(KyroError) -> StatsResult {
        let walk = walk(asked.field)
        let element = type?.element ?? .timestamp
        var count = 0
        var low = Int64.max
        var high = Int64.min
        var rows = RowCount()
        var result = StatsResult()
        if element == .double {
            var sum = ExactSum()
            try walk.forEach { key, row in
                rows.add(row)
                count += 1
                low = min(low, key)
                high = max(high, key)
                sum.add(OrderedKey.double(key))
            }
            result.sum = sum.value
        } else {
            var sum = Int128(0)
            try walk.forEach { key, row in
                rows.add(row)
                count += 1
                low = min(low, key)
                high = max(high, key)
                sum += Int128(key)
            }
            result.sum = Double(sum)
        }
        result.count = UInt64(count)
        result.missing = UInt64(documents - rows.count)
        guard count > 0 else { return result }
        result.min = Self.value(low, element)
        result.max = Self.value(high, element)
        result.mean = result.sum / Double(count)
        result.quantiles = try quantiles(
            asked.quantiles, walk, in: low...high, count: count, isDouble: element == .double)
        return result
    }

    private func quantiles(
        _ asked: [Double], _ walk: KeyWalk, in range: ClosedRange<Int64>, count: Int, isDouble: Bool
    ) throws(KyroError) -> [Quantile] {
        let places = asked.map { $0 * Double(count - 1) }
        var ranks: Set<Int> = []
        for place in places {
            ranks.insert(Int(place.rounded(.down)))
            ranks.insert(Int(place.rounded(.up)))
        }
        let keys = try OrderStatistics.keys(at: ranks.sorted(), of: walk, in: range)
        func number(_ rank: Double) -> Double {
            let key = keys[Int(rank)] ?? range.lowerBound
            return isDouble ? OrderedKey.double(key) : Double(key)
        }
        return zip(asked, places).map { q, place in
            let low = number(place.rounded(.down))
            let high = number(place.rounded(.up))
            let share = place - place.rounded(.down)
            // The difference of two large numbers may be infinite; their shares are not.
            let value = low == high ? low : low * (1 - share) + high * share
            return Quantile(q: q, value: value)
        }
    }

    /// - Precondition: no string.
    static func value(_ key: Int64, _ element: ValueType) -> MetadataValue {
        switch element {
        case .double: .double(OrderedKey.double(key))
        case .bool: .bool(key != 0)
        case .timestamp: .timestamp(key)
        default: .int64(key)
        }
    }
}
