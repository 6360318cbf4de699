// The recall that an answer of several shards may be expected to have.
import KyroIndex
import KyroModel

/// A shard's recall is that of the hits which it contributes to the merged answer, see
/// `RecallWeights`, so that the merged answer has the mean over the shards.
struct RecallTally: Sendable {
    private var rowCount = 0
    private var sum = 0.0
    private var worstDecile = 1.0
    private var sampleCount: Int?
    private var isUnknown = false
    private var efSearch = 0
    private var probes = 0

    /// Plans the search of one shard for the target, and counts in what is to be expected of it.
    ///
    /// - Parameter request: without a number of candidates.
    mutating func plan(
        _ request: VectorIndex.Request, for target: Double, _ index: VectorIndex,
        _ recall: ShardRecall, visibility: Visibility, mask: SlotMask?, maskCount: Int
    ) -> (VectorIndex.Request, VectorPlan) {
        let choice = recall.choice(target: target, k: request.k)
        let request = index.keeping(choice.efSearch, request)
        var plan = index.plan(request, visibility: visibility, mask: mask, maskCount: maskCount)
        if choice.needsScan {
            plan = index.scanInstead(of: plan, maskCount: mask == nil ? nil : maskCount)
        }
        if index.isExact(request, plan: plan) {
            add(index.rowCount, mean: 1, worst: 1, samples: nil)
            return (request, plan)
        }
        switch plan.strategy {
        case .none, .flat, .filteredFlat:
            let scanned = recall.model?.scanned(k: request.k) ?? (0, 0, 0)
            add(
                index.rowCount, mean: scanned.mean, worst: scanned.worstDecile,
                samples: scanned.sampleCount)
        case .graph, .filteredGraph, .ivf, .filteredIVF:
            if request.probes > 0 {
                probes = max(probes, request.probes)
            } else {
                efSearch = max(efSearch, index.keptCandidates(request))
            }
            add(
                index.rowCount, mean: choice.mean, worst: choice.worstDecile,
                samples: choice.sampleCount)
        }
        return (request, plan)
    }

    /// - Parameter samples: nil where nothing had to be measured.
    private mutating func add(_ rows: Int, mean: Double, worst: Double, samples: Int?) {
        rowCount += rows
        sum += mean * Double(rows)
        worstDecile = min(worstDecile, worst)
        guard let samples else { return }
        sampleCount = min(sampleCount ?? samples, samples)
        if samples == 0 { isUnknown = true }
    }

    /// Counts in what was counted of other shards.
    mutating func add(_ other: RecallTally) {
        rowCount += other.rowCount
        sum += other.sum
        worstDecile = min(worstDecile, other.worstDecile)
        if let samples = other.sampleCount { sampleCount = min(sampleCount ?? samples, samples) }
        isUnknown = isUnknown || other.isUnknown
        efSearch = max(efSearch, other.efSearch)
        probes = max(probes, other.probes)
    }

    func estimate(target: Double) -> RecallEstimate {
        let known = rowCount == 0 ? 1 : sum / Double(rowCount)
        return RecallEstimate(
            target: target, mean: isUnknown ? 0 : known, worstDecile: isUnknown ? 0 : worstDecile,
            samples: UInt32(clamping: sampleCount ?? 0), efSearch: UInt32(clamping: efSearch),
            probes: UInt32(clamping: probes))
    }
}
