// From a wanted recall to the candidates that a search has to keep for it.
//
// Two kinds of queries are measured: made of the index's own rows, which can be had at once, and live
// ones. Live queries are what the target is about: as soon as there are enough of them, own ones count
// no more. Before, whichever of the two asks for more candidates has its way.
import KyroModel

#if canImport(Glibc)
    import Glibc
#endif

/// What a search should do for a wanted recall, and what may be expected of it.
public struct RecallChoice: Equatable, Sendable {
    /// Candidates to keep.
    public var efSearch: Int
    /// No number of candidates that was tried gives so much: scan.
    public var needsScan: Bool
    public var mean: Double
    public var worstDecile: Double
    /// Queries behind it; zero when nothing was measured, and `mean` says nothing.
    public var sampleCount: Int

    init(efSearch: Int, needsScan: Bool, mean: Double, worstDecile: Double, sampleCount: Int) {
        self.efSearch = efSearch
        self.needsScan = needsScan
        self.mean = mean
        self.worstDecile = worstDecile
        self.sampleCount = sampleCount
    }

    /// Before anything was measured. Candidates for ten hits: one and a half times what the hardest
    /// of four collections took (real ones, one of them asked by texts of another kind, and
    /// clusters), since the next one may be harder. For k hits (k / 10)^0.75 times as many.
    public init(uncalibrated target: Double, k: Int) {
        let (_, forTen) = Self.defaults.first { target <= $0.target } ?? Self.hardest
        let factor = pow(Double(max(k, 10)) / 10, 0.75)
        self.init(
            efSearch: min(Limits.efSearchMax, Int((Double(forTen) * factor).rounded(.up))),
            needsScan: false, mean: 0, worstDecile: 0, sampleCount: 0)
    }

    private static let defaults: [(target: Double, efSearch: Int)] = [
        (0.90, 180), (0.95, 350), (0.97, 580), (0.98, 900), (0.99, 1_600),
    ]
    private static let hardest = (target: 1.0, efSearch: 2_560)
}

/// What was measured of one index; immutable, so that searches share it with whoever measures.
public final class RecallModel: Sendable {
    /// From so many live queries on, own ones count no more.
    public static let liveSamplesEnough = 64
    /// Fewer live queries say nothing.
    static let liveSamplesMin = 8

    private struct Depth: Sendable {
        var own: RecallCurve
        var live: RecallCurve
        /// Of scans by codes.
        var scanned: [Double]
        let hits: Int

        var usesOwn: Bool { live.sampleCount < RecallModel.liveSamplesEnough }
        var usesLive: Bool { live.sampleCount >= RecallModel.liveSamplesMin }
        var isKnown: Bool { own.sampleCount > 0 || usesLive }
    }

    private let depths: [Depth]
    /// Queries that count.
    public let sampleCount: Int

    public init(own: [RecallTrial], live: [RecallTrial]) {
        sampleCount = live.count + (live.count < Self.liveSamplesEnough ? own.count : 0)
        depths = RecallGrid.depths.enumerated().map { number, hits in
            func curve(_ trials: [RecallTrial]) -> RecallCurve {
                RecallCurve(
                    efs: RecallGrid.efs[number],
                    shares: trials.map { $0.shares[number] }.filter { !$0.isEmpty })
            }
            let scanned = (own + live).compactMap { trial in
                trial.scanned.isEmpty || trial.shares[number].isEmpty
                    ? nil : Double(trial.scanned[number])
            }
            return Depth(own: curve(own), live: curve(live), scanned: scanned, hits: hits)
        }
    }

    /// - Parameters:
    ///   - target: in [0.5, 1).
    ///   - k: hits asked of this index.
    /// - Returns: nil when nothing was measured that tells of `k` hits.
    public func choice(target: Double, k: Int) -> RecallChoice? {
        let needed = RecallDepths(k: k)
        let shallow = needed.contains(.shallow) ? choice(target, depths[0]) : nil
        let deep = needed.contains(.deep) ? choice(target, depths[1]) : nil
        switch needed {
        case .shallow: return shallow
        case .deep:
            guard var deep else { return nil }
            let grown = Double(deep.efSearch) * Double(k) / Double(depths[1].hits)
            deep.efSearch = min(Limits.efSearchMax, Int(grown.rounded(.up)))
            return deep
        default:
            guard let shallow, let deep else { return nil }
            return Self.between(shallow, deep, share: Self.place(k))
        }
    }

    /// Of a scan by codes for `k` hits; nil when none was measured.
    public func scanned(k: Int) -> (mean: Double, worstDecile: Double, sampleCount: Int)? {
        let values = depths[k < RecallGrid.depths[1] ? 0 : 1].scanned
        guard !values.isEmpty else { return nil }
        return (
            RecallCurve.mean(values).mean, RecallCurve.worstDecile(values), values.count
        )
    }

    private func choice(_ target: Double, _ depth: Depth) -> RecallChoice? {
        guard depth.isKnown else { return nil }
        var used: [RecallCurve] = []
        if depth.usesOwn, depth.own.sampleCount > 0 { used.append(depth.own) }
        if depth.usesLive { used.append(depth.live) }
        var wanted = 0.0
        var needsScan = false
        for curve in used {
            if let efSearch = curve.efSearch(target: target) {
                wanted = max(wanted, efSearch)
            } else {
                needsScan = true
                wanted = max(wanted, curve.points.last?.efSearch ?? 0)
            }
        }
        var (mean, worst) = (1.0, 1.0)
        for curve in used {
            let recall = curve.recall(efSearch: wanted)
            mean = min(mean, recall.mean)
            worst = min(worst, recall.worstDecile)
        }
        return RecallChoice(
            efSearch: Int(wanted.rounded(.up)), needsScan: needsScan, mean: mean,
            worstDecile: worst, sampleCount: used.reduce(0) { $0 + $1.sampleCount })
    }

    /// Where `k` lies between the depths, over the logarithm.
    private static func place(_ k: Int) -> Double {
        let (low, high) = (Double(RecallGrid.depths[0]), Double(RecallGrid.depths[1]))
        return log(Double(k) / low) / log(high / low)
    }

    private static func between(
        _ a: RecallChoice, _ b: RecallChoice, share: Double
    ) -> RecallChoice {
        func line(_ from: Double, _ to: Double) -> Double { from + share * (to - from) }
        let efSearch = exp(line(log(Double(a.efSearch)), log(Double(b.efSearch))))
        return RecallChoice(
            efSearch: Int(efSearch.rounded(.up)), needsScan: a.needsScan || b.needsScan,
            mean: line(a.mean, b.mean), worstDecile: line(a.worstDecile, b.worstDecile),
            sampleCount: min(a.sampleCount, b.sampleCount))
    }
}
