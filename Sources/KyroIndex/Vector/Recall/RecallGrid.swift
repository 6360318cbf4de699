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
