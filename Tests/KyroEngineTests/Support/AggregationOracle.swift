// Aggregations and sorted scans, document by document.
import Foundation
import KyroModel

/// A field's values in one document, each as what it is compared and counted by.
func elements(of document: Document, _ field: String) -> [MetadataValue] {
    if field.isEmpty {
        return document.eventTimeMillis.map { [.timestamp($0)] } ?? []
    }
    return document.metadata[field].map(elements) ?? []
}

enum AggregationOracle {
    /// - Parameter documents: what the aggregation is over, its own filter not yet applied.
    static func result(
        _ aggregation: Aggregation, over documents: [Document]
    ) -> AggregationResult {
        let wanted = documents.filter { document in
            aggregation.filter.map { satisfies(document.metadata, $0) } ?? true
        }
        let kind: AggregationResult.Kind =
            switch aggregation.kind {
            case .count: .count
            case .facet(let facet): .facet(self.facet(facet, wanted))
            case .histogram(let histogram): .histogram(self.histogram(histogram, wanted))
            case .timeHistogram(let histogram): .timeHistogram(timeHistogram(histogram, wanted))
            case .stats(let stats): .stats(self.stats(stats, wanted))
            }
        return AggregationResult(
            name: aggregation.name, documents: UInt64(wanted.count), kind: kind)
    }

    private static func facet(_ asked: FacetAggregation, _ documents: [Document]) -> FacetResult {
        var counts: [(value: MetadataValue, documents: UInt64)] = []
        var result = FacetResult()
        for document in documents {
            var own: [MetadataValue] = []
            for element in elements(of: document, asked.field) where !own.contains(element) {
                own.append(element)
            }
            if own.isEmpty { result.missing += 1 }
            for element in own {
                if let at = counts.firstIndex(where: { $0.value == element }) {
                    counts[at].documents += 1
                } else {
                    counts.append((element, 1))
                }
            }
        }
        counts.sort { a, b in
            a.documents != b.documents ? a.documents > b.documents : order(a.value, b.value) == -1
        }
        let listed = counts.prefix(asked.limit == 0 ? 10 : Int(asked.limit))
            .prefix { $0.documents >= asked.minCount }
        result.buckets = listed.map { FacetBucket(value: $0.value, documents: $0.documents) }
        for other in counts.dropFirst(listed.count) {
            result.otherValues += 1
            result.otherDocuments += other.documents
        }
        return result
    }

    private static func number(_ value: MetadataValue) -> Double {
        switch value {
        case .int64(let number), .timestamp(let number): Double(number)
        case .double(let number): number
        default: .nan
        }
    }

    private static func histogram(
        _ asked: HistogramAggregation, _ documents: [Document]
    ) -> HistogramResult {
        var result = HistogramResult()
        var counts: [Double: UInt64] = [:]
        for document in documents {
            let own = Set(
                elements(of: document, asked.field).map {
                    floor((number($0) - asked.offset) / asked.interval)
                })
            if own.isEmpty { result.missing += 1 }
            for bucket in own { counts[bucket, default: 0] += 1 }
        }
        result.buckets = counts.sorted { $0.key < $1.key }.map { bucket, count in
            HistogramBucket(
                lower: asked.offset + bucket * asked.interval,
                upper: asked.offset + (bucket + 1) * asked.interval, documents: count)
        }
        return result
    }

    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = TimeZone(secondsFromGMT: 0) ?? calendar.timeZone
        return calendar
    }()

    private static func bucket(
        _ time: Int64, _ asked: TimeHistogramAggregation
    ) -> ClosedRange<Int64> {
        let component: Calendar.Component
        switch asked.calendar {
        case .none:
            let steps = floor(
                (Double(time) - Double(asked.offsetMillis)) / Double(asked.intervalMillis))
            let start = asked.offsetMillis + Int64(steps) * asked.intervalMillis
            return start...(start + asked.intervalMillis)
        case .day: component = .day
        case .week: component = .weekOfYear
        case .month: component = .month
        case .year: component = .year
        }
        let date = Date(timeIntervalSince1970: Double(time) / 1_000)
        let interval = calendar.dateInterval(of: component, for: date) ?? DateInterval()
        return Int64(
            interval.start.timeIntervalSince1970 * 1_000)...Int64(
                interval.end.timeIntervalSince1970 * 1_000)
    }

    private static func timeHistogram(
        _ asked: TimeHistogramAggregation, _ documents: [Document]
    ) -> TimeHistogramResult {
        var result = TimeHistogramResult()
        var counts: [ClosedRange<Int64>: UInt64] = [:]
        for document in documents {
            let own = Set(
                elements(of: document, asked.field).compactMap { value in
                    if case .timestamp(let time) = value { bucket(time, asked) } else { nil }
                })
            if own.isEmpty { result.missing += 1 }
            for bucket in own { counts[bucket, default: 0] += 1 }
        }
        result.buckets = counts.sorted { $0.key.lowerBound < $1.key.lowerBound }.map {
            TimeHistogramBucket(
                fromMillis: $0.key.lowerBound, toMillis: $0.key.upperBound, documents: $0.value)
        }
        return result
    }

    /// Sums of doubles are exact here where they have few binary digits.
    private static func stats(_ asked: StatsAggregation, _ documents: [Document]) -> StatsResult {
        var result = StatsResult()
        var values: [MetadataValue] = []
        for document in documents {
            let own = elements(of: document, asked.field)
            if own.isEmpty { result.missing += 1 }
            values += own
        }
        values.sort { order($0, $1) == -1 }
        result.count = UInt64(values.count)
        guard let min = values.first, let max = values.last else { return result }
        let numbers = values.map(number)
        result.min = min
        result.max = max
        result.sum = numbers.reduce(0, +)
        result.mean = result.sum / Double(numbers.count)
        result.quantiles = asked.quantiles.map { q in
            let place = q * Double(numbers.count - 1)
            let (low, high) = (numbers[Int(floor(place))], numbers[Int(ceil(place))])
            let share = place - floor(place)
            return Quantile(q: q, value: low * (1 - share) + high * share)
        }
        return result
    }

    // MARK: Order

    static func precedes(_ a: Document, _ b: Document, _ keys: [SortKey]) -> Bool {
        for key in keys {
            let (x, y) = (first(a, key), first(b, key))
            guard let x, let y else {
                if x == nil && y == nil { continue }
                return (x == nil) == key.isMissingFirst
            }
            let order = order(x, y) ?? 0
            if order != 0 { return key.isDescending ? order == 1 : order == -1 }
        }
        return a.id < b.id
    }

    private static func first(_ document: Document, _ key: SortKey) -> MetadataValue? {
        elements(of: document, key.field).min { a, b in
            (order(a, b) ?? 0) == (key.isDescending ? 1 : -1)
        }
    }
}

extension World {
    mutating func aggregation() -> Aggregation {
        let ordered = metadataTypes.filter { $0.element != .geoPoint }
        let numbers: [ValueType] = metadataTypes.filter {
            [.int64, .double].contains($0.element)
        }
        let times = [""] + metadataTypes.filter { $0.element == .timestamp }.map(\.name)
        let kind: Aggregation.Kind
        switch dice.below(10) {
        case 0: kind = .count
        case 1...3:
            kind = .facet(
                FacetAggregation(
                    field: dice.chance(4) ? "unknown" : dice.pick(ordered).name,
                    limit: dice.pick([0, 1, 3, 100]), minCount: dice.pick([0, 1, 4, 30])))
        case 4, 5:
            kind = .histogram(
                HistogramAggregation(
                    field: dice.pick(numbers).name, interval: dice.pick([0.25, 1, 3, 7.5]),
                    offset: dice.pick([0, 0.5, -100])))
        case 6, 7:
            let calendar = dice.pick(CalendarInterval.allCases)
            kind = .timeHistogram(
                TimeHistogramAggregation(
                    field: dice.pick(times),
                    intervalMillis: calendar == .none ? dice.pick([1, 7, 1_000, 60_000]) : 0,
                    offsetMillis: calendar == .none ? dice.pick([0, 3, -5_000]) : 0,
                    calendar: calendar))
        default:
            let fields = times + numbers.map(\.name)
            kind = .stats(
                StatsAggregation(
                    field: dice.pick(fields),
                    quantiles: (0..<dice.below(4)).map { _ in
                        dice.pick([0, 0.25, 0.5, 1, dice.fraction()])
                    }))
        }
        return Aggregation(
            kind, name: dice.pick(["", "a", "b"]), filter: dice.chance(30) ? filter(depth: 2) : nil)
    }

    mutating func sortKeys() -> [SortKey] {
        let ordered = metadataTypes.filter { $0.element != .geoPoint }
        return (0..<(1 + dice.below(3))).map { _ in
            SortKey(
                dice.chance(20) ? "" : dice.chance(5) ? "unknown" : dice.pick(ordered).name,
                isDescending: dice.chance(50), isMissingFirst: dice.chance(40))
        }
    }
}
