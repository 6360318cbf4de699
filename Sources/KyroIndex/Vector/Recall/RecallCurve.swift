// Recall over candidates kept, as a number of queries had it.

#if canImport(Glibc)
    import Glibc
#endif

/// Of one depth and one kind of queries.
struct RecallCurve: Sendable {
    struct Point: Sendable {
        var efSearch: Double
        var mean: Double
        /// What the mean is not below, with some certainty.
        var assured: Double
        var worstDecile: Double
    }

    /// Standard errors below the mean of the samples at which the true mean is taken to lie. With 500
    /// samples whose recall varies by 0.1 the mean over 500 other queries is then half a point below
    /// its target in 5 of 100 cases, at a tenth more distances; without any, in 24.
    static let standardErrors = 1.5

    let points: [Point]
    let sampleCount: Int

    /// - Parameter shares: of each query, one for every `efs`.
    init(efs: [Int], shares: [[Float]]) {
        sampleCount = shares.count
        guard !shares.isEmpty else {
            points = []
            return
        }
        var best = -Double.infinity
        points = efs.indices.map { place in
            let column = shares.map { Double($0[place]) }
            let (mean, error) = Self.mean(column)
            // More candidates never do worse, but by the chance of a walk.
            best = max(best, mean - Self.standardErrors * error)
            return Point(
                efSearch: Double(efs[place]), mean: mean, assured: max(0, best),
                worstDecile: Self.worstDecile(column))
        }
    }

    /// And its standard error. That all of few were perfect does not say that all are: they count
    /// as if one hit of ten had been missed once (Laplace's rule, roughly).
    static func mean(_ values: [Double]) -> (mean: Double, error: Double) {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        var square = 0.01
        for value in values { square += (value - mean) * (value - mean) }
        return (mean, square.squareRoot() / count)
    }

    /// The mean of the tenth that fared worst, of one value at least.
    static func worstDecile(_ values: [Double]) -> Double {
        let worst = values.sorted().prefix(max(1, values.count / 10))
        return worst.reduce(0, +) / Double(worst.count)
    }

    /// The fewest candidates that give `target` with some certainty; nil when no point does.
    func efSearch(target: Double) -> Double? {
        guard let place = points.firstIndex(where: { $0.assured >= target }) else { return nil }
        guard place > 0 else { return points[0].efSearch }
        let (below, above) = (points[place - 1], points[place])
        let share = (target - below.assured) / max(above.assured - below.assured, 1e-9)
        return below.efSearch * pow(above.efSearch / below.efSearch, share)
    }

    /// Mean and worst decile at `efSearch`, between the points as on a line over its logarithm.
    func recall(efSearch: Double) -> (mean: Double, worstDecile: Double) {
        guard let first = points.first, let last = points.last else { return (0, 0) }
        if efSearch <= first.efSearch { return (first.mean, first.worstDecile) }
        for (a, b) in zip(points, points.dropFirst()) where efSearch <= b.efSearch {
            let share = log(efSearch / a.efSearch) / log(b.efSearch / a.efSearch)
            return (
                a.mean + share * (b.mean - a.mean),
                a.worstDecile + share * (b.worstDecile - a.worstDecile)
            )
        }
        return (last.mean, last.worstDecile)
    }
}
