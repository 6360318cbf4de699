// What decides the shape of a vector index, and what a search of it is going to do.
import KyroModel

public struct GraphParameters: Equatable, Sendable {
    /// Neighbours chosen for a new row (M), and cells of a list above the base layer.
    public var neighboursMax: Int
    /// Cells of a list in the base layer (Malkov & Yashunin 2018, section 4.1: twice M).
    public var baseCells: Int
    /// Candidates kept while a row looks for its neighbours.
    public var efConstruction: Int
    /// Candidates kept by a search that does not say how many; zero for what `efSearch(rowCount:)`
    /// takes.
    public var efSearch: Int
    /// Up to so many rows are scanned in full precision and no graph is built; zero for what
    /// `scannedFloatsMax` allows.
    public var flatRowsMax: Int

    public init(
        neighboursMax: Int = Int(Limits.graphMDefault), baseCells: Int = 32,
        efConstruction: Int = 100,
        efSearch: Int = 0, flatRowsMax: Int = 0
    ) {
        precondition(neighboursMax >= 2, "\(neighboursMax) neighbours")
        precondition(baseCells >= neighboursMax && baseCells <= Self.listCellsMax)
        precondition(efConstruction >= neighboursMax && efSearch >= 0 && flatRowsMax >= 0)
        self.neighboursMax = neighboursMax
        self.baseCells = baseCells
        self.efConstruction = efConstruction
        self.efSearch = efSearch
        self.flatRowsMax = flatRowsMax
    }

    /// What a field's options say; zeros stand for the defaults.
    public init(_ indexing: VectorIndexing) {
        let plain = GraphParameters()
        func number(_ asked: UInt32, _ range: ClosedRange<Int>, _ otherwise: Int) -> Int {
            asked == 0 ? otherwise : min(max(Int(asked), range.lowerBound), range.upperBound)
        }
        // Bounds are checked where options come in; what lies outside must not stop a start.
        let m = Limits.graphMRange
        neighboursMax = number(
            indexing.m, Int(m.lowerBound)...Int(m.upperBound), plain.neighboursMax)
        baseCells = 2 * neighboursMax
        efConstruction = max(
            neighboursMax,
            number(
                indexing.efConstruction, 1...Int(Limits.efConstructionMax), plain.efConstruction))
        efSearch = number(indexing.efSearch, 1...Limits.efSearchMax, plain.efSearch)
        // Who asks for a graph gets one of the first rows.
        flatRowsMax = indexing.kind == .graph ? 1 : plain.flatRowsMax
    }

    public static let `default` = GraphParameters()

    /// A row reaches the next layer with probability 2^−heightShift: 1 / neighboursMax where that
    /// is a power of two.
    var heightShift: Int { Int.bitWidth - 1 - neighboursMax.leadingZeroBitCount }
    /// Lists above the base layer for every row, one in so many.
    var rowsPerUpperList: Int { (1 << heightShift) - 1 }

    static let listCellsMax = 64
    /// Floats that one search may scan in about 0.2 ms from the last-level cache (8 a nanosecond).
    static let scannedFloatsMax = 3 << 19

    /// 96 up to 131,072 rows, and 32 more for each time that they are twice as many: the same number
    /// finds less among more rows (at 768 dimensions 96 find 0.98 of 10^5 rows' best and 0.95 of
    /// 10^6 rows').
    public func efSearch(rowCount: Int) -> Int {
        if efSearch > 0 { return efSearch }
        let doublings = Int.bitWidth - (max(0, rowCount) >> 17).leadingZeroBitCount
        return 96 + 32 * doublings
    }

    /// 4,096 rows of 384 floats, 2,048 of 768.
    func flatRowsMax(dimension: Int) -> Int {
        if flatRowsMax > 0 { return flatRowsMax }
        return min(4_096, max(256, Self.scannedFloatsMax / dimension))
    }
}

/// How a search will go, chosen before it starts.
public struct VectorPlan: Equatable, Sendable {
    public var strategy: VectorStrategy
    /// Distances it is expected to evaluate.
    public var estimatedCost: Int
    /// Of the rows that a walk meets, how many it may return, as far as is known.
    var admittedShare = 1.0
    /// What the choice rests on.
    var basis: PlanBasis?
    var rowCount = 0
    /// Members of the filter's mask, where there is one.
    var matching: Int?

    public init(strategy: VectorStrategy, estimatedCost: Int) {
        self.strategy = strategy
        self.estimatedCost = estimatedCost
    }

    init(
        strategy: VectorStrategy, estimatedCost: Int, admittedShare: Double = 1,
        basis: PlanBasis? = nil
    ) {
        self.init(strategy: strategy, estimatedCost: estimatedCost)
        self.admittedShare = admittedShare
        self.basis = basis
    }
}
