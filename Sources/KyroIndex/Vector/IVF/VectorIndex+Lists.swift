// Plans searches of inverted lists.
import KyroModel

extension VectorIndex {
    /// What scoring a row of a list costs in distances of a scan, which reads ahead.
    static let gatherWeight = 2.0
    /// What it costs to see that a row of a list is not in the mask.
    static let maskWeight = 0.1

    /// Lists that a search without a filter scans.
    func probeCount(_ request: Request, listCount: Int) -> Int {
        let asked = request.probes > 0 ? request.probes : inverted?.parameters.probes ?? 0
        let wanted = asked > 0 ? asked : ListParameters.defaultProbes(listCount: listCount)
        return max(1, min(wanted, listCount))
    }

    /// Chooses between scanning the nearest lists and everything, by the number of distances.
    func listPlan(
        _ request: Request, _ inverted: InvertedFile, mask: SlotMask?, maskCount: Int
    ) -> VectorPlan {
        let rowCount = rowCount
        let scanned = mask == nil ? rowCount : min(maskCount, rowCount)
        if scanned == 0 { return VectorPlan(strategy: .none, estimatedCost: 0) }
        let flat = VectorPlan(
            strategy: mask == nil ? .flat : .filteredFlat, estimatedCost: scanned)
        if request.exact || rowCount <= flatRowsMax { return flat }
        let living = max(1 - deadShare.value, 0.01)
        let masked = Double(scanned) / Double(rowCount)
        let cost: Double? = inverted.serving.look { lists in
            guard let lists, lists.count > 0 else { return nil }
            let asked = Double(probeCount(request, listCount: lists.listCount))
            let probes = min(asked / (living * masked).squareRoot(), Double(lists.listCount))
            let met = min(probes * lists.metLength, Double(lists.count))
            let looked = mask == nil ? 0 : met * Self.maskWeight
            let tail = Double(rowCount - min(rowCount, lists.count))
            return Double(lists.listCount) + looked + met * masked * Self.gatherWeight
                + tail * masked
        }
        guard let cost, cost < Double(scanned) else { return flat }
        return VectorPlan(
            strategy: mask == nil ? .ivf : .filteredIVF, estimatedCost: Int(cost),
            admittedShare: living * masked)
    }
}
