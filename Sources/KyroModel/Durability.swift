// When what was written must be on disk.

/// A promise to the writer. The raw numbers of the cases are those of `kyrodb.v2.DurabilityPolicy`.
public enum Durability: Hashable, Sendable {
    /// Before every acknowledgement: survives power loss.
    case always
    /// So long after the acknowledgement at the latest: power loss takes the writes of the last
    /// `millis`, and no others.
    case interval(millis: Int64)
    /// When the operating system likes. A killed server loses nothing, power loss a suffix.
    case never

    /// A longer one is hardly meant, and a shorter one is `always`.
    public static let intervalMillisRange: ClosedRange<Int64> = 1...60_000
}
