// What a search counts and measures beside its hits.

/// The raw values are those of `kyrodb.v2.AggregationSource`.
public enum AggregationSource: UInt8, Sendable {
    /// Every visible document that passes the search's filter and time range.
    case filter = 0
    /// Those of them that some leg has among its candidates.
    case candidates = 1
}

/// The raw values are those of `kyrodb.v2.CalendarInterval`. In UTC, proleptic Gregorian.
public enum CalendarInterval: UInt8, Sendable, CaseIterable {
    case none = 0
    case day = 1
    /// From Monday on.
    case week = 2
    case month = 3
    case year = 4
}

public struct FacetAggregation: Equatable, Sendable {
    public var field: String
    /// Values returned; zero for the default.
    public var limit: UInt32
    /// Documents that a returned value has at least; zero means one.
    public var minCount: UInt64

    public init(field: String, limit: UInt32 = 0, minCount: UInt64 = 0) {
        self.field = field
        self.limit = limit
        self.minCount = minCount
    }
}

/// Bucket k holds offset + k × interval ≤ value < offset + (k + 1) × interval.
public struct HistogramAggregation: Equatable, Sendable {
    public var field: String
    public var interval: Double
    public var offset: Double

    public init(field: String, interval: Double, offset: Double = 0) {
        self.field = field
        self.interval = interval
        self.offset = offset
    }
}

public struct TimeHistogramAggregation: Equatable, Sendable {
    /// Empty for the event time.
    public var field: String
    /// Zero where a calendar gives the buckets.
    public var intervalMillis: Int64
    public var offsetMillis: Int64
    public var calendar: CalendarInterval

    public init(
        field: String = "", intervalMillis: Int64 = 0, offsetMillis: Int64 = 0,
        calendar: CalendarInterval = .none
    ) {
        self.field = field
        self.intervalMillis = intervalMillis
        self.offsetMillis = offsetMillis
        self.calendar = calendar
    }
}

public struct StatsAggregation: Equatable, Sendable {
    /// Empty for the event time.
    public var field: String
    /// Each in 0...1.
    public var quantiles: [Double]

    public init(field: String = "", quantiles: [Double] = []) {
        self.field = field
        self.quantiles = quantiles
    }
}

public struct Aggregation: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        case count
        case facet(FacetAggregation)
        case histogram(HistogramAggregation)
        case timeHistogram(TimeHistogramAggregation)
        case stats(StatsAggregation)
    }

    /// Comes back with the result.
    public var name: String
    public var over: AggregationSource
    /// Of this aggregation alone.
    public var filter: Filter?
    public var kind: Kind

    public init(
        _ kind: Kind, name: String = "", over: AggregationSource = .filter, filter: Filter? = nil
    ) {
        self.kind = kind
        self.name = name
        self.over = over
        self.filter = filter
    }

    /// The field it looks at; nil for a count, empty for the event time.
    public var field: String? {
        switch kind {
        case .count: nil
        case .facet(let facet): facet.field
        case .histogram(let histogram): histogram.field
        case .timeHistogram(let histogram): histogram.field
        case .stats(let stats): stats.field
        }
    }
}

// MARK: Results

public struct FacetBucket: Equatable, Sendable {
    public var value: MetadataValue
    public var documents: UInt64

    public init(value: MetadataValue, documents: UInt64) {
        self.value = value
        self.documents = documents
    }
}

public struct FacetResult: Equatable, Sendable {
    /// Most documents first; equal ones by value.
    public var buckets: [FacetBucket] = []
    /// Distinct values that are not among the buckets.
    public var otherValues: UInt64 = 0
    /// Documents of each of these, added up.
    public var otherDocuments: UInt64 = 0
    /// Documents without a value.
    public var missing: UInt64 = 0

    public init() {}
}

public struct HistogramBucket: Equatable, Sendable {
    /// Inclusive.
    public var lower: Double
    /// Exclusive.
    public var upper: Double
    public var documents: UInt64

    public init(lower: Double, upper: Double, documents: UInt64) {
        self.lower = lower
        self.upper = upper
        self.documents = documents
    }
}

public struct HistogramResult: Equatable, Sendable {
    /// Ascending, none empty.
    public var buckets: [HistogramBucket] = []
    public var missing: UInt64 = 0

    public init() {}
}

public struct TimeHistogramBucket: Equatable, Sendable {
    /// Inclusive.
    public var fromMillis: Int64
    /// Exclusive; bounds beyond Int64 are cut to it.
    public var toMillis: Int64
    public var documents: UInt64

    public init(fromMillis: Int64, toMillis: Int64, documents: UInt64) {
        self.fromMillis = fromMillis
        self.toMillis = toMillis
        self.documents = documents
    }
}

public struct TimeHistogramResult: Equatable, Sendable {
    /// Ascending, none empty.
    public var buckets: [TimeHistogramBucket] = []
    public var missing: UInt64 = 0

    public init() {}
}

public struct Quantile: Equatable, Sendable {
    public var q: Double
    public var value: Double

    public init(q: Double, value: Double) {
        self.q = q
        self.value = value
    }
}

public struct StatsResult: Equatable, Sendable {
    /// Values, each element of a list for itself.
    public var count: UInt64 = 0
    /// Documents without a value.
    public var missing: UInt64 = 0
    public var min: MetadataValue?
    public var max: MetadataValue?
    /// Exact, rounded once.
    public var sum = 0.0
    public var mean = 0.0
    public var quantiles: [Quantile] = []

    public init() {}
}

public struct AggregationResult: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        case count
        case facet(FacetResult)
        case histogram(HistogramResult)
        case timeHistogram(TimeHistogramResult)
        case stats(StatsResult)
    }

    public var name: String
    /// What the aggregation was over.
    public var documents: UInt64
    public var kind: Kind

    public init(name: String, documents: UInt64, kind: Kind) {
        self.name = name
        self.documents = documents
        self.kind = kind
    }
}
