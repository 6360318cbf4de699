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
    /// Candidates that any walk keeps. With fewer, one through a graph whose rows have been replaced
    /// ends too early: with 30 it finds 0.015 less of `wordnet` than through a fresh one, with 40
    /// 0.006 less, and it saves a tenth of the distances.
    static let candidatesMin = 40
    /// From this share of dead rows on, a walk sorts them out on its way and not at its end.
    static let checkedDeadShareMin = 0.25

    /// Chooses between scanning and walking by the number of distances.
    ///
    /// - Parameter maskCount: members of the mask; ignored without one.
    public func plan(
        _ request: Request, visibility: Visibility, mask: SlotMask?, maskCount: Int
    ) -> VectorPlan {
        let rowCount = rowCount
        var plan: VectorPlan
        if let inverted {
            let scanned = mask == nil ? rowCount : min(maskCount, rowCount)
            plan =
                scannedPlan(
                    mask == nil ? .flat : .filteredFlat, request, visibility, scanned: scanned)
                ?? listPlan(request, inverted, isFiltered: mask != nil, scanned: scanned)
        } else if mask == nil {
            plan = unfilteredPlan(request, visibility)
        } else {
            plan = filteredPlan(request, visibility, matching: min(maskCount, rowCount))
        }
        plan.rowCount = rowCount
        plan.matching = mask == nil ? nil : maskCount
        return plan
    }

    private func unfilteredPlan(_ request: Request, _ visibility: Visibility) -> VectorPlan {
        let rowCount = rowCount
        if let plan = scannedPlan(.flat, request, visibility, scanned: rowCount) {
            return plan
        }
        let folded = graphCount
        let tail = rowCount - folded
        let dead = deadShare.value
        let share = max(1 - dead, 0.01)
        let candidates = Double(candidateCount(request, share: share))
        let walked = min(candidates * Self.distancesPerCandidate / share, Double(folded))
        let isChecked = dead > Self.checkedDeadShareMin
        let walk = Int(isChecked ? walked * FilterCosts.walkWeight : walked) + tail
        return VectorPlan(
            strategy: walk >= rowCount ? .flat : .graph, estimatedCost: min(walk, rowCount),
            admittedShare: share, basis: .costs(scan: rowCount, walk: walk))
    }

    private func filteredPlan(
        _ request: Request, _ visibility: Visibility, matching: Int
    ) -> VectorPlan {
        if let plan = scannedPlan(.filteredFlat, request, visibility, scanned: matching) {
            return plan
        }
        let costs = filterCosts(request, matching: matching, rowCount: rowCount)
        if costs.scansAtOnce {
            return VectorPlan(
                strategy: .filteredFlat, estimatedCost: matching,
                basis: .shortScan(scan: matching))
        }
        // The tail is scanned in any case.
        let tail = max(0, Double(matching - costs.matching))
        let walk = Int(costs.walk + tail)
        let scan = Int(costs.scan + tail)
        return VectorPlan(
            strategy: .filteredGraph, estimatedCost: min(walk, scan),
            basis: .costs(scan: scan, walk: walk))
    }

    /// Where there is nothing to choose.
    private func scannedPlan(
        _ strategy: VectorStrategy, _ request: Request, _ visibility: Visibility, scanned: Int
    ) -> VectorPlan? {
        let basis: PlanBasis
        if scanned == 0 {
            return VectorPlan(strategy: .none, estimatedCost: 0, basis: .nothingMatches)
        } else if request.exact {
            basis = .exact
        } else if rowCount <= max(exactRowsMax, rerankCount(request)) {
            basis = .small
        } else if rowCount <= flatRowsMax {
            basis = .few
        } else if inverted != nil {
            return nil
        } else if graphCount == 0 {
            basis = buildsGraph ? .noGraph : .flatKind
        } else if isOutrun(visibility) {
            basis = .outrun
        } else {
            return nil
        }
        return VectorPlan(strategy: strategy, estimatedCost: scanned, basis: basis)
    }

    /// Of the rows in the graph, as if those that match were spread evenly.
    func filterCosts(_ request: Request, matching: Int, rowCount: Int) -> FilterCosts {
        let folded = min(graphCount, rowCount)
        return FilterCosts(
            matching: Int(Double(matching) * Double(folded) / Double(max(1, rowCount))),
            rowCount: folded, needed: rerankCount(request),
            efSearch: efSearch(request))
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
        case .graph:
            try run.walk(admittedShare: plan.admittedShare)
            if isOutrun(visibility) { try run.scanInstead() }
        case .filteredGraph:
            try run.walkFiltered(matching: plan.matching)
            if isOutrun(visibility) { try run.scanInstead() }
        }
        counters.rowsScored += run.scored
        counters.filteredWalk = run.outcome
        return run.top.drainSorted()
    }

    /// Rows scored in full precision after the codes have spoken. On real embeddings codes with
    /// ten more than asked lose nothing.
    func rerankCount(_ request: Request) -> Int {
        rows.codes.model.kind.rerankCount(k: request.k)
    }

    /// Candidates that a walk without a filter keeps.
    private func efSearch(_ request: Request) -> Int {
        request.efSearch > 0 ? request.efSearch : parameters.efSearch(rowCount: rowCount)
    }

    /// Candidates that a walk keeps of the rows it may return, when those are `share` of all. The
    /// fewer they are, the more others lead on between them: among the rows of a fifth, half as
    /// many candidates already span more than twice the neighbourhood.
    func candidateCount(_ request: Request, share: Double) -> Int {
        let scaled = Double(efSearch(request)) * share.squareRoot()
        return max(Int(scaled.rounded(.up)), rerankCount(request), Self.candidatesMin)
    }
}
