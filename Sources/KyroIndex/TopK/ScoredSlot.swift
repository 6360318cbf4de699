// What every leg returns.

/// A candidate: higher scores are better under every metric.
public struct ScoredSlot: Equatable, Sendable {
    public var slot: Int
    /// Accumulated in double and rounded once, so that no kernel and no number of shards changes it.
    public var score: Float

    @inlinable public init(slot: Int, score: Float) {
        self.slot = slot
        self.score = score
    }
}

/// What a search did, for `explain`.
public struct SearchCounters: Equatable, Sendable {
    /// Distance evaluations, of codes and of full rows together.
    public var rowsScored = 0
    /// Postings of which the part in a score was computed.
    public var postingsScored = 0
    /// Postings in the lists of the searches, scored or not.
    public var postingsListed = 0
    /// Of the last search of vectors.
    public var filteredWalk = FilteredWalkOutcome()

    public init() {}
}
