// Reading the past, and for how long it is kept.

/// A moment at which a collection is read.
public enum AsOf: Equatable, Sendable {
    case seq(Sequence)
    /// Unix milliseconds.
    case time(Int64)
}

/// Changes how long dead versions stay readable.
public struct SetRetentionRequest: Equatable, Sendable {
    public var scope: Scope
    public var retentionMillis: Int64

    public init(scope: Scope, retentionMillis: Int64) {
        self.scope = scope
        self.retentionMillis = retentionMillis
    }
}
