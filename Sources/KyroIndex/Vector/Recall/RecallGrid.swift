// Where recall is measured: how many hits are asked, and how many candidates a search keeps for them.
import KyroModel

#if canImport(Glibc)
    import Glibc
#endif

/// Recall is measured for two numbers of hits, from the fewest candidates that a search can keep up
/// to so many that a scan is mostly cheaper, in steps of √2: between two of them a curve over the
/// logarithm is as good as straight.
public enum RecallGrid {
    /// Hits asked: of an answer that is read, and of a leg that is to be fused with others.
    public static let depths = [10, 100]

    /// `efSearch`, ascending, for each depth.
    static let efs: [[Int]] = [steps(from: 10, count: 17), steps(from: 100, count: 12)]

    private static func steps(from first: Int, count: Int) -> [Int] {
        (0..<count).map { Int((Double(first) * exp2(Double($0) / 2)).rounded()) }
    }
}

/// Which of the grid's depths are meant.
public struct RecallDepths: OptionSet, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let shallow = RecallDepths(rawValue: 1)
    public static let deep = RecallDepths(rawValue: 2)

    /// What has to be known for `k` hits: recall of fewer than the least depth is no worse than
    /// there, in between both ends count, and beyond the deepest the candidates grow in proportion.
    public init(k: Int) {
        if k <= RecallGrid.depths[0] {
            self = .shallow
        } else {
            self = k < RecallGrid.depths[1] ? [.shallow, .deep] : .deep
        }
    }

    func contains(number: Int) -> Bool { rawValue & (1 << UInt8(number)) != 0 }
}

/// How much each rank of an index's own answer counts in the answer that is merged of several.
///
/// Where rows are placed by chance, the row of rank i in its shard is among the best k of all with
/// the probability that at most k − i rows of other shards come before it: of a negative binomial
/// distribution. With one shard all ranks count alike; with two of ten hits the first few of each do.
public struct RecallWeights: Sendable {
    /// Scores this close, relatively, count as equal: kernels for one row and for many may sum in
    /// different orders.
    private static let tie: Float = 1e-6

    /// By depth and rank.
    let byDepth: [[Double]]

    public init(shardCount: Int) {
        precondition(shardCount > 0, "\(shardCount) shards")
        let own = 1 / Double(shardCount)
        byDepth = RecallGrid.depths.map { depth in
            (1...depth).map { rank in
                var term = pow(own, Double(rank))
                var sum = term
                for others in 0..<(depth - rank) {
                    term *= (1 - own) * Double(rank + others) / Double(others + 1)
                    sum += term
                }
                return sum
            }
        }
    }

    /// The weighted share of `truth` that `hits` have; both best first.
    func share(of truth: ArraySlice<Float>, in hits: [ScoredSlot], depth number: Int) -> Float {
        let weights = byDepth[number]
        var total = 0.0
        var missed = 0.0
        var next = 0
        for (rank, score) in truth.enumerated() {
            total += weights[rank]
            // What scores better than the best is a row that has come since.
            let tie = Self.tie * abs(score)
            while next < hits.count, hits[next].score > score + tie { next += 1 }
            if next < hits.count, hits[next].score >= score - tie {
                next += 1
            } else {
                missed += weights[rank]
            }
        }
        return total > 0 ? Float(1 - missed / total) : 1
    }
}

/// The recall of one query at every point of the grid.
public struct RecallTrial: Sendable {
    /// By depth; empty where it was not measured. Values in [0, 1].
    var shares: [[Float]]
    /// By depth, of a scan by codes; empty where it was not measured.
    var scanned: [Float]

    init(shares: [[Float]], scanned: [Float] = []) {
        self.shares = shares
        self.scanned = scanned
    }

    /// The mean over the grid: one number that tells two kinds of queries apart.
    public var overall: Double {
        var sum = 0.0
        var count = 0
        for share in shares {
            for value in share { sum += Double(value) }
            count += share.count
        }
        return count == 0 ? 1 : sum / Double(count)
    }
}
