// Fits a form of fusion and its weights to judged queries, and measures the fit by cross-validation:
// every query is scored by weights that were fitted without it.
//
// All points of a grid over the weights are measured once for every query; what a training set makes
// of a point is then a mean of numbers that are there already. Around the best point of the grid
// smaller steps are tried. All of it is determined by the queries and their order.
import KyroBytes
import KyroModel

/// A form of fusion, of `FusionForms.all`, and weights of the legs that add up to 1.
struct FusionPoint: Equatable, Sendable {
    var form: Int
    var weights: [Double]

    /// A leg that is of no use still orders what the others do not find.
    static let leastWeight = 0.001

    /// - Parameter shares: of `total`, by leg.
    init(form: Int, shares: [Int], of total: Int) {
        self.form = form
        weights = shares.map { max(Self.leastWeight, Double($0) / Double(total)) }
    }

    static func equal(legCount: Int) -> FusionPoint {
        FusionPoint(form: 0, shares: Array(repeating: 1, count: legCount), of: legCount)
    }

    static func alone(leg: Int, legCount: Int) -> FusionPoint {
        FusionPoint(form: 0, shares: (0..<legCount).map { $0 == leg ? 1 : 0 }, of: 1)
    }
}

struct FusionFit {
    /// A point of the grid in `steps` parts, or between them in `finestSteps`.
    private struct Place: Equatable {
        var form: Int
        var shares: [Int]
    }

    private static let steps = 20
    private static let finestSteps = 80
    /// Fused scores computed in one step of the work, at about a nanosecond each.
    private static let scoresPerStep = 10 << 20
    private static let pollEvery = 64
    private static let foldSeed: UInt64 = 0xF01D

    let queries: [JudgedCandidates]
    let foldCount: Int
    private let legCount: Int
    private let grid: [Place]
    /// queries × grid.
    private var table: [Float] = []
    private let foldOf: [Int]
    private(set) var folds: [FusionPoint] = []
    /// Fitted to all queries; nil before the end.
    private(set) var fitted: FusionPoint?
    /// By query: figures of the weights fitted without it, and of the defaults.
    private(set) var heldOut: [Double]
    private(set) var defaults: [Double] = []
    private var top = TopGains()

    /// - Precondition: at least as many queries as folds, all with the same number of legs.
    init(_ queries: [JudgedCandidates], foldCount: Int) {
        precondition(
            queries.count >= foldCount && foldCount >= 2,
            "\(queries.count) queries in \(foldCount) folds")
        self.queries = queries
        self.foldCount = foldCount
        let legCount = queries[0].legCount
        self.legCount = legCount
        let shares = Self.compositions(of: Self.steps, parts: legCount)
        grid = FusionForms.all.indices.flatMap { form in
            shares.map { Place(form: form, shares: $0) }
        }
        table.reserveCapacity(queries.count * grid.count)
        heldOut = Array(repeating: 0, count: queries.count)
        foldOf = Self.folds(queries.count, foldCount)
    }

    /// Bytes that a fit of so many queries takes besides them.
    static func byteCount(queryCount: Int, legCount: Int) -> Int {
        let points = compositions(of: steps, parts: legCount).count * FusionForms.all.count
        return queryCount * (4 * points + 32)
    }

    var isDone: Bool { fitted != nil }

    /// Of the work, roughly.
    var fractionDone: Double {
        if isDone { return 1 }
        let measured = Double(defaults.count) / Double(queries.count)
        return 0.5 * measured + 0.5 * Double(folds.count) / Double(foldCount + 1)
    }

    /// A piece of the work.
    mutating func step(cancellation: Cancellation) throws(KyroError) {
        if defaults.count < queries.count {
            try measure(cancellation)
        } else if folds.count < foldCount {
            let fold = folds.count
            let point = try fit(queries.indices.filter { foldOf[$0] != fold }, cancellation)
            for query in queries.indices where foldOf[query] == fold {
                heldOut[query] = queries[query].figure(point, scratch: &top)
            }
            folds.append(point)
        } else {
            fitted = try fit(Array(queries.indices), cancellation)
        }
    }

    func queries(ofFold fold: Int) -> [Int] { queries.indices.filter { foldOf[$0] == fold } }

    // MARK: The grid

    /// Some more queries at all its points.
    private mutating func measure(_ cancellation: Cancellation) throws(KyroError) {
        let equal = FusionPoint.equal(legCount: legCount)
        let points = grid.map { FusionPoint(form: $0.form, shares: $0.shares, of: Self.steps) }
        var scores = 0
        while defaults.count < queries.count, scores < Self.scoresPerStep {
            try cancellation.check()
            let query = queries[defaults.count]
            for point in points { table.append(Float(query.figure(point, scratch: &top))) }
            defaults.append(query.figure(equal, scratch: &top))
            scores += (query.count + 16) * points.count * legCount
        }
    }

    /// The best point for some queries: of the grid, then in smaller steps around it. Of equals the
    /// one that comes first.
    private mutating func fit(
        _ training: [Int], _ cancellation: Cancellation
    ) throws(KyroError) -> FusionPoint {
        var sums = [Double](repeating: 0, count: grid.count)
        for (number, query) in training.enumerated() {
            if number % Self.pollEvery == 0 { try cancellation.check() }
            let base = query * grid.count
            for point in grid.indices { sums[point] += Double(table[base + point]) }
        }
        var best = 0
        for point in grid.indices where sums[point] > sums[best] { best = point }
        let scale = Self.finestSteps / Self.steps
        var place = grid[best]
        place.shares = place.shares.map { $0 * scale }
        var sum = sums[best]
        var step = scale / 2
        while step > 0 {
            var improved: (place: Place, sum: Double)?
            for next in neighbours(of: place, step: step) {
                let found = try self.sum(of: next, training, cancellation)
                // Means of floats: less than this is no difference.
                if found > (improved?.sum ?? sum) + 1e-6 { improved = (next, found) }
            }
            if let improved { (place, sum) = improved } else { step /= 2 }
        }
        return FusionPoint(form: place.form, shares: place.shares, of: Self.finestSteps)
    }

    private func neighbours(of place: Place, step: Int) -> [Place] {
        var found: [Place] = []
        for from in 0..<legCount where place.shares[from] >= step {
            for to in 0..<legCount where to != from {
                var next = place
                next.shares[from] -= step
                next.shares[to] += step
                found.append(next)
            }
        }
        return found
    }

    private mutating func sum(
        of place: Place, _ training: [Int], _ cancellation: Cancellation
    ) throws(KyroError) -> Double {
        let point = FusionPoint(form: place.form, shares: place.shares, of: Self.finestSteps)
        var sum = 0.0
        for (number, query) in training.enumerated() {
            if number % Self.pollEvery == 0 { try cancellation.check() }
            sum += queries[query].figure(point, scratch: &top)
        }
        return sum
    }

    /// All ways to write `total` as a sum of so many parts, the even ones in the middle.
    private static func compositions(of total: Int, parts: Int) -> [[Int]] {
        guard parts > 1 else { return [[total]] }
        return (0...total).flatMap { first in
            compositions(of: total - first, parts: parts - 1).map { [first] + $0 }
        }
    }

    /// By query its fold; folds differ by one query at most.
    private static func folds(_ count: Int, _ foldCount: Int) -> [Int] {
        var order = Array(0..<count)
        var random = FlipSource(seed: foldSeed)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(random.next() % UInt64(last + 1)))
        }
        var folds = [Int](repeating: 0, count: count)
        for (place, query) in order.enumerated() { folds[query] = place % foldCount }
        return folds
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014): the same for the same seed, on every machine.
struct FlipSource {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        defer { state &+= 0x9E37_79B9_7F4A_7C15 }
        return mix64(state)
    }
}
