// Measuring the recall of an index's searches, and queries to do it with.
import KyroBytes
import KyroModel

extension VectorIndex {
    /// Whether a search so planned compares every row in full precision, and misses nothing.
    public func isExact(_ request: Request, plan: VectorPlan) -> Bool {
        switch plan.strategy {
        case .none: true
        case .flat, .filteredFlat:
            request.exact || rowCount <= max(exactRowsMax, rerankCount(request))
        case .graph, .filteredGraph, .ivf, .filteredIVF: false
        }
    }

    /// Whether searches for few hits may miss some, so that there is something to measure.
    public var isApproximate: Bool { rowCount > exactRowsMax }

    /// The request with so many candidates kept of a graph. Of inverted lists it scans one for every
    /// candidate and hit: both grow and fall alike with the recall that is wanted.
    public func keeping(_ efSearch: Int, _ request: Request) -> Request {
        var request = request
        if inverted == nil {
            request.efSearch = efSearch
        } else {
            let hits = max(request.k, RecallGrid.depths[0])
            request.probes = max(1, (efSearch + hits - 1) / hits)
        }
        return request
    }

    /// Candidates that a walk without a filter keeps.
    public func keptCandidates(_ request: Request) -> Int { candidateCount(request, share: 1) }

    /// A search that was not planned as a scan is one nevertheless.
    public func scanInstead(of plan: VectorPlan, maskCount: Int?) -> VectorPlan {
        var scan = plan
        switch plan.strategy {
        case .graph, .ivf: (scan.strategy, scan.estimatedCost) = (.flat, rowCount)
        case .filteredGraph, .filteredIVF:
            (scan.strategy, scan.estimatedCost) = (.filteredFlat, maskCount ?? rowCount)
        case .none, .flat, .filteredFlat: return plan
        }
        scan.basis = .recallTarget
        return scan
    }

    /// How far a query lies from the row it is made of: this times the way between two other rows.
    /// Measured: between how hard live queries are that resemble the rows and such that do not.
    public static let ownQueryStep: Float = 0.5

    /// Queries that nobody asked, made of rows that are visible: a row moved along the way between
    /// two others. It stays where rows may lie, unlike a row with noise of no direction, and it has
    /// no place in the graph yet, unlike a row itself, which its own neighbours lead to.
    ///
    /// - Parameters:
    ///   - seed: other queries for another one; the same for the same rows.
    ///   - step: how far from the row, in ways between two others.
    /// - Throws: where a row is in a file that cannot be read.
    public func ownQueries(
        count: Int, seed: UInt64, step: Float = VectorIndex.ownQueryStep, visibility: Visibility
    ) throws(KyroError) -> [[Float]] {
        let rowCount = rows.rows(belowSlot: visibility.slotCount, rowCount: rows.count)
        guard rowCount > 2 else { return [] }
        var queries: [[Float]] = []
        queries.reserveCapacity(count)
        var number = seed
        func nextRow() throws(KyroError) -> [Float]? {
            // Most rows are visible, or else the index would be made anew.
            for _ in 0..<16 {
                number &+= 0x9E37_79B9_7F4A_7C15
                let slot = Int(rows.slots[Int(mix64(number) % UInt64(rowCount))])
                if visibility.isVisible(slot), let row = try vector(of: Slot(index: slot)) {
                    return field.metric == .cosine ? Self.normalised(row) : row
                }
            }
            return nil
        }
        for _ in 0..<count {
            guard let origin = try nextRow(), let from = try nextRow(), let to = try nextRow()
            else {
                continue
            }
            let query = origin.indices.map { i in
                origin[i] + step * (to[i] - from[i])
            }
            if query.allSatisfy(\.isFinite), query.contains(where: { $0 != 0 }) {
                queries.append(query)
            }
        }
        return queries
    }

    private static func normalised(_ row: [Float]) -> [Float] {
        let square = row.reduce(0.0) { $0 + Double($1) * Double($1) }
        guard square > 0 else { return row }
        let factor = Float(1 / square.squareRoot())
        return row.map { $0 * factor }
    }

    /// Recall of searches that keep more and more candidates, planned as any other.
    ///
    /// - Parameters:
    ///   - truth: scores of the best rows, best first, as `ExactBatch` finds them.
    ///   - weights: what each rank counts for.
    ///   - measuresScan: also of a scan by codes, which takes as long as an exact answer.
    /// - Throws: `cancelled` or `deadlineExceeded`.
    public func recallTrial(
        _ query: [Float], truth: [Float], depths: RecallDepths, weights: RecallWeights,
        measuresScan: Bool, visibility: Visibility, order: any SlotOrder,
        scratch: inout VectorScratch,
        cancellation: Cancellation
    ) throws(KyroError) -> RecallTrial {
        var trial = RecallTrial(shares: RecallGrid.depths.map { _ in [] })
        if measuresScan { trial.scanned = RecallGrid.depths.map { _ in 1 } }
        var counters = SearchCounters()
        for (number, depth) in RecallGrid.depths.enumerated()
        where depths.contains(number: number) {
            let wanted = min(depth, truth.count)
            guard wanted > 0 else { continue }
            let best = truth[..<wanted]
            func share(_ request: Request, _ plan: VectorPlan) throws(KyroError) -> Float {
                let hits = try search(
                    request, plan: plan, visibility: visibility, mask: nil, order: order,
                    scratch: &scratch, counters: &counters, cancellation: cancellation)
                return weights.share(of: best, in: hits, depth: number)
            }
            let efs = RecallGrid.efs[number]
            var shares: [Float] = []
            for (place, efSearch) in efs.enumerated() {
                let request = keeping(efSearch, Request(vector: query, k: depth))
                // What keeps more candidates than asked does the same at the next point.
                if inverted == nil, place + 1 < efs.count,
                    keptCandidates(request) >= efs[place + 1]
                {
                    continue
                }
                let plan = plan(request, visibility: visibility, mask: nil, maskCount: 0)
                let found = try share(request, plan)
                while shares.count <= place { shares.append(found) }
                // Who keeps more has these as well.
                if found == 1 { break }
            }
            while shares.count < efs.count { shares.append(1) }
            trial.shares[number] = shares
            if measuresScan {
                let plan = VectorPlan(strategy: .flat, estimatedCost: rowCount)
                trial.scanned[number] = try share(Request(vector: query, k: depth), plan)
            }
        }
        return trial
    }
}
