// Which documents a request is about.

/// A tree over metadata. Three-valued, and lets through what it is true of: a comparison is unknown
/// where the document lacks the field, `exists` never; `all` and `any` are SQL's AND and OR
/// (Kleene's strong logic). On a list field a comparison is true when any element satisfies it.
public indirect enum Filter: Equatable, Sendable {
    /// True when empty.
    case all([Filter])
    /// False when empty.
    case any([Filter])
    /// True where the operand is not true: false or unknown. Never unknown itself.
    case not(Filter)
    case equals(field: String, MetadataValue)
    case isIn(field: String, [MetadataValue])
    case range(field: String, lower: Bound?, upper: Bound?)
    case exists(field: String)
    case prefix(field: String, String)
    /// Along the great circle; see `GeoDistance`.
    case withinDistance(field: String, center: GeoPoint, metres: Double)
    case withinBox(field: String, GeoBox)
    /// Whether some value is an element; false when there is none.
    case containsAny(field: String, [MetadataValue])
    /// Whether every value is an element; true when there is none.
    case containsAll(field: String, [MetadataValue])
    /// SQL's NOT: true where the operand is false, unknown where it is unknown.
    case sqlNot(Filter)

    public struct Bound: Equatable, Sendable {
        public var value: MetadataValue
        public var isInclusive: Bool

        public init(_ value: MetadataValue, isInclusive: Bool) {
            self.value = value
            self.isInclusive = isInclusive
        }
    }
}

extension Filter {
    /// Names of the fields it looks at, in order of appearance.
    public var fields: [String] {
        switch self {
        case .all(let filters), .any(let filters): filters.flatMap(\.fields)
        case .not(let filter), .sqlNot(let filter): filter.fields
        case .equals(let field, _), .isIn(let field, _), .range(let field, _, _),
            .exists(let field), .prefix(let field, _), .withinDistance(let field, _, _),
            .withinBox(let field, _), .containsAny(let field, _), .containsAll(let field, _):
            [field]
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
