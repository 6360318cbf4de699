// Plans a search and carries it out: scan or walk by codes, then exact scores of the best.
import KyroBytes
import KyroModel
import Synchronization

extension VectorIndex {
    public struct Request: Sendable {
        public var vector: [Float]
        public var k: Int
        /// Zero for the default of the index.
        public var efSearch: Int
        /// Inverted lists to scan; zero for the default of the index.
        public var probes: Int
        /// Every visible row is scored in full precision.
        public var exact: Bool

        public init(
            vector: [Float], k: Int, efSearch: Int = 0, probes: Int = 0, exact: Bool = false
        ) {
            self.vector = vector
            self.k = k
            self.efSearch = efSearch
            self.probes = probes
            self.exact = exact
        }
    }

    /// Distances that a walk evaluates for each candidate it keeps: measured between 12 and 16 on
    /// real and synthetic rows, for 10^4 to 10^6 rows.
    static let distancesPerCandidate = 14.0
    /// What a distance of a filtered walk costs in distances of a scan, which reads ahead, need
    /// not sort out what it has seen, and keeps no candidates that only lead on: 80 against 26 ns
    /// on 58,830 real rows of 384 dimensions. Both then take as long at a share of 0.3.
    static let filteredWalkWeight = 3.0

    /// From this share of dead rows on, a walk sorts them out on its way and not at its end.
    static let checkedDeadShareMin = 0.25

    /// Chooses between scanning and walking by the number of distances.
    ///
    /// - Parameter maskCount: members of the mask; ignored without one.
    public func plan(
        _ request: Request, visibility: Visibility, mask: SlotMask?, maskCount: Int
    ) -> VectorPlan {
        if let inverted { return listPlan(request, inverted, mask: mask, maskCount: maskCount) }
        let folded = graphCount
        let rowCount = rowCount
        let scanned = mask == nil ? rowCount : min(maskCount, rowCount)
        let flat: VectorStrategy = mask == nil ? .flat : .filteredFlat
        if scanned == 0 { return VectorPlan(strategy: .none, estimatedCost: 0) }
        if request.exact || folded == 0 || rowCount <= flatRowsMax || isOutrun(visibility) {
            return VectorPlan(strategy: flat, estimatedCost: scanned)
        }
        let tail = rowCount - folded
        let dead = deadShare.value
        let share = max(1 - dead, 0.01) * Double(scanned) / Double(rowCount)
        let candidates = Double(candidateCount(request, share: share))
        let walked = min(candidates * Self.distancesPerCandidate / share, Double(folded))
        let isChecked = mask != nil || dead > Self.checkedDeadShareMin
        let walk = Int(isChecked ? walked * Self.filteredWalkWeight : walked) + tail
        if walk >= scanned { return VectorPlan(strategy: flat, estimatedCost: scanned) }
        return VectorPlan(
            strategy: mask == nil ? .graph : .filteredGraph, estimatedCost: walk,
            admittedShare: share)
    }

    /// The best `k` visible rows of the mask, best first, with exact scores. Codes choose the rows
    /// unless the request is exact or the index small; fewer than `k` come back only when fewer
    /// match.
    ///
    /// - Throws: `cancelled` or `deadlineExceeded`.
    public func search(
        _ request: Request, plan: VectorPlan, visibility: Visibility, mask: SlotMask?,
        order: any SlotOrder, scratch: inout VectorScratch, counters: inout SearchCounters,
        cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        guard request.k > 0 else { return [] }
        let memory = scratch.memory()
        var run = SearchRun(
            index: self, request: request,
            admission: Admission(rows: rows, visibility: visibility, mask: mask),
            top: TopK(k: request.k, order: order), memory: memory, cancellation: cancellation)
        switch plan.strategy {
        case .none: return []
        case .flat, .filteredFlat: try run.scan()
        case .ivf, .filteredIVF: try run.probe(admittedShare: plan.admittedShare)
        case .graph, .filteredGraph:
            try run.walk(admittedShare: plan.admittedShare)
            if isOutrun(visibility) { try run.scanInstead() }
        }
        counters.rowsScored += run.scored
        return run.top.drainSorted()
    }

    /// Rows scored in full precision after the codes have spoken. On real embeddings codes with
    /// ten more than asked lose nothing.
    func rerankCount(_ request: Request) -> Int {
        rows.codes.model.kind.rerankCount(k: request.k)
    }

    /// Candidates that a walk keeps of the rows it may return, when those are `share` of all. The
    /// fewer they are, the more others lead on between them: among the rows of a fifth, half as
    /// many candidates already span more than twice the neighbourhood.
    func candidateCount(_ request: Request, share: Double) -> Int {
        let asked = request.efSearch > 0 ? request.efSearch : parameters.efSearch
        let scaled = Double(asked) * share.squareRoot()
        return max(Int(scaled.rounded(.up)), rerankCount(request))
    }
}
