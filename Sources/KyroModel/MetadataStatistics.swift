// What is known of a metadata field without looking at documents.

/// Of the rows there are, dead ones among them until a rebuild; shards' add up.
public struct MetadataStatistics: Equatable, Sendable {
    public var field: String
    /// Rows that have the field.
    public var rows: UInt64
    /// Distinct strings, those of each shard added; zero for other types.
    public var distinctStrings: UInt64
    /// Of numbers, bools and timestamps; nil for other types, and where there is no value.
    public var lowest: MetadataValue?
    public var highest: MetadataValue?

    public init(
        field: String, rows: UInt64 = 0, distinctStrings: UInt64 = 0,
        lowest: MetadataValue? = nil, highest: MetadataValue? = nil
    ) {
        self.field = field
        self.rows = rows
        self.distinctStrings = distinctStrings
        self.lowest = lowest
        self.highest = highest
    }
}
