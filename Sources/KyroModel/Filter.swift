// Which documents a request is about.

/// A tree over metadata. Two-valued: a comparison is false where the document lacks the field, and
/// a negation is true there. On a list field a comparison holds when any element satisfies it.
public indirect enum Filter: Equatable, Sendable {
    /// True when empty.
    case all([Filter])
    /// False when empty.
    case any([Filter])
    case not(Filter)
    case equals(field: String, MetadataValue)
    case isIn(field: String, [MetadataValue])
    case range(field: String, lower: Bound?, upper: Bound?)
    case exists(field: String)
    case prefix(field: String, String)

    public struct Bound: Equatable, Sendable {
        public var value: MetadataValue
        public var isInclusive: Bool

        public init(_ value: MetadataValue, isInclusive: Bool) {
            self.value = value
            self.isInclusive = isInclusive
        }
    }
}

/// Bounds on event time in Unix milliseconds; a document without an event time is outside every
/// range.
public struct TimeRange: Equatable, Sendable {
    /// Inclusive.
    public var fromMillis: Int64?
    /// Exclusive.
    public var toMillis: Int64?

    public init(fromMillis: Int64? = nil, toMillis: Int64? = nil) {
        self.fromMillis = fromMillis
        self.toMillis = toMillis
    }
}
