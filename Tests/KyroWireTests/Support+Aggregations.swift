// Random aggregations and their results.
import KyroModel

extension Random {
    mutating func aggregation() -> Aggregation {
        let kind: Aggregation.Kind =
            switch below(5) {
            case 0: .count
            case 1:
                .facet(
                    FacetAggregation(field: text(), limit: UInt32(below(90)), minCount: number()))
            case 2:
                .histogram(
                    HistogramAggregation(field: text(), interval: double(), offset: double()))
            case 3:
                .timeHistogram(
                    TimeHistogramAggregation(
                        field: text(), intervalMillis: signed(), offsetMillis: signed(),
                        calendar: CalendarInterval.allCases[below(5)]))
            default: .stats(StatsAggregation(field: text(), quantiles: list(4) { $0.double() }))
            }
        return Aggregation(
            kind, name: text(), over: chance() ? .filter : .candidates,
            filter: maybe { $0.filter() })
    }

    mutating func aggregationResult() -> AggregationResult {
        let kind: AggregationResult.Kind =
            switch below(5) {
            case 0: .count
            case 1: .facet(facetResult())
            case 2: .histogram(histogramResult())
            case 3: .timeHistogram(timeHistogramResult())
            default: .stats(statsResult())
            }
        return AggregationResult(name: text(), documents: number(), kind: kind)
    }

    private mutating func facetResult() -> FacetResult {
        var facet = FacetResult()
        facet.buckets = list(4) { FacetBucket(value: $0.value(), documents: $0.number()) }
        facet.otherValues = number()
        facet.otherDocuments = number()
        facet.missing = number()
        return facet
    }

    private mutating func histogramResult() -> HistogramResult {
        var histogram = HistogramResult()
        histogram.buckets = list(4) {
            HistogramBucket(lower: $0.double(), upper: $0.double(), documents: $0.number())
        }
        histogram.missing = number()
        return histogram
    }

    private mutating func timeHistogramResult() -> TimeHistogramResult {
        var histogram = TimeHistogramResult()
        histogram.buckets = list(4) {
            TimeHistogramBucket(
                fromMillis: $0.signed(), toMillis: $0.signed(), documents: $0.number())
        }
        histogram.missing = number()
        return histogram
    }

    private mutating func statsResult() -> StatsResult {
        var stats = StatsResult()
        stats.count = number()
        stats.missing = number()
        stats.min = maybe { $0.value() }
        stats.max = maybe { $0.value() }
        stats.sum = double()
        stats.mean = double()
        stats.quantiles = list(4) { Quantile(q: $0.double(), value: $0.double()) }
        return stats
    }

    mutating func sortKey() -> SortKey {
        SortKey(text(), isDescending: chance(), isMissingFirst: chance())
    }
}
