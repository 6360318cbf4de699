// How far a change of a text field's analyser is.

public struct TextIndexStatus: Equatable, Sendable {
    public var field: String
    /// Of a change under way, in rows, those of shards that are through with it among them; both zero
    /// when there is none.
    public var rebuildRowsDone: UInt64
    public var rebuildRowsTotal: UInt64

    public init(field: String, rebuildRowsDone: UInt64 = 0, rebuildRowsTotal: UInt64 = 0) {
        self.field = field
        self.rebuildRowsDone = rebuildRowsDone
        self.rebuildRowsTotal = rebuildRowsTotal
    }
}
