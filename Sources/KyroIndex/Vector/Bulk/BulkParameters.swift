// What decides how a graph is built of many rows at once, and who does the work.
import KyroModel

/// Defaults are those of the measurements on real embeddings: fewer than eight partitions a row
/// cost searches at recall 0.99 a fifth more distances; with eight groups in the place of sixteen
/// they miss twice as many of the last half per cent.
public struct BulkParameters: Equatable, Sendable {
    /// Partitions that a row is in: those of its nearest pivots.
    public var overlap: Int
    /// Rows of a partition on average: few enough that their codes stay in a core's cache.
    public var leafRows: Int
    /// Nearest rows kept of each partition.
    public var kept: Int
    /// How much nearer to a neighbour than to the row a candidate must be to be left out, at least
    /// 1 (Subramanya et al. 2019, section 2.3). Inner products know no distance and ignore it.
    public var alpha: Float
    /// Groups of pivots that a row looks for its pivots in.
    public var groupsProbed: Int
    public var seed: UInt64

    public init(
        overlap: Int = 8, leafRows: Int = 320, kept: Int = 8, alpha: Float = 1.1,
        groupsProbed: Int = 16, seed: UInt64 = 1
    ) {
        precondition(overlap > 0 && kept > 0 && overlap * kept <= Self.candidatesMax)
        precondition(kept <= Self.keptMax, "\(kept) kept of at most \(Self.keptMax)")
        precondition(leafRows > Self.keptMax && leafRows <= Self.leafRowsMax)
        precondition(alpha >= 1 && groupsProbed > 0)
        self.overlap = overlap
        self.leafRows = leafRows
        self.kept = kept
        self.alpha = alpha
        self.groupsProbed = groupsProbed
        self.seed = seed
    }

    public static let `default` = BulkParameters()

    /// Candidates of a row over all its partitions; its table of them has twice as many places.
    static let candidatesMax = 128
    /// Few enough to be kept in order by moving them.
    static let keptMax = 16
    /// Products of all pairs of three times as many rows take 9 MB a thread.
    static let leafRowsMax = 512
    /// Partitions above so many times the mean are split: their cost grows with the square.
    static let leafGrowthMax = 3

    var leafRowsMax: Int { leafRows * Self.leafGrowthMax }

    /// Bytes that a build of so many rows takes beside the rows and the finished lists: for each
    /// partition of a row its number, its place and what it keeps; for each edge its way back,
    /// with twelve of them a row as measured; members, starts and the counts of as many parts as edges
    /// are counted in.
    public func scratchBytes(rowCount: Int) -> Int {
        rowCount * (overlap * (4 + 4 + 4 * kept) + 12 * 4 + 8 + 4 * BulkGrouping.partsMax)
    }
}

/// Runs one body on several threads at once and returns when all have ended. The caller brings the
/// threads, with the priority that it wants for the work.
public protocol BulkWorkers: Sendable {
    var count: Int { get }
    /// Calls `body` once with each number in [0, count).
    func run(_ body: @escaping @Sendable (Int) -> Void)
}

/// The calling thread alone.
public struct SingleWorker: BulkWorkers {
    public init() {}
    public var count: Int { 1 }
    public func run(_ body: @escaping @Sendable (Int) -> Void) { body(0) }
}
