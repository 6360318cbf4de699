// Plans searches of inverted lists.
import KyroModel

extension VectorIndex {
    /// What scoring a row of a list costs in distances of a scan, which reads ahead.
    static let gatherWeight = 2.0
    /// What it costs to see that a row of a list is not in the mask.
    static let maskWeight = 0.1

    /// Lists that a search without a filter scans.
    func probeCount(_ request: Request, listCount: Int) -> Int {
        let asked = request.probes > 0 ? request.probes : Int(field.indexing.probes)
        let wanted = asked > 0 ? asked : ListParameters.defaultProbes(listCount: listCount)
        return max(1, min(wanted, listCount))
    }

    /// Chooses between scanning the nearest lists and everything, by the number of distances.
    ///
    /// - Parameter scanned: rows that match the filter where there is one, else all; at least one.
    func listPlan(
        _ request: Request, _ inverted: InvertedFile, isFiltered: Bool, scanned: Int
    ) -> VectorPlan {
        let living = max(1 - deadShare.value, 0.01)
        let masked = Double(scanned) / Double(rowCount)
        let cost = inverted.serving.look { lists in
            lists.flatMap { lists in
                listCost(
                    lists, probes: probeCount(request, listCount: lists.listCount),
                    masked: isFiltered ? masked : nil, living: living)
            }
        }
        guard let cost, cost < Double(scanned) else {
            return VectorPlan(
                strategy: isFiltered ? .filteredFlat : .flat, estimatedCost: scanned,
                basis: cost == nil ? .noLists : .lists)
        }
        return VectorPlan(
            strategy: isFiltered ? .filteredIVF : .ivf, estimatedCost: Int(cost),
            admittedShare: living * masked, basis: .lists)
    }

    /// Distances of a scan that it takes to scan the nearest lists, before any of it is done; nil
    /// where there are none.
    ///
    /// - Parameter probes: lists asked for; zero for the default.
    public func probedCost(probes: Int) -> Int? {
        guard let inverted else { return nil }
        let request = Request(vector: [], k: 1, probes: probes)
        return inverted.serving.look { lists in
            lists.flatMap { lists in
                let probes = probeCount(request, listCount: lists.listCount)
                return listCost(lists, probes: probes, masked: nil, living: 1).map { Int($0) }
            }
        }
    }

    /// - Parameters:
    ///   - masked: the mask's share of the rows, where there is one.
    ///   - living: of the rows that searches meet.
    private func listCost(
        _ lists: InvertedLists, probes: Int, masked: Double?, living: Double
    ) -> Double? {
        let count = Double(lists.count)
        guard count > 0 else { return nil }
        let share = masked ?? 1
        let probed = min(Double(probes) / (living * share).squareRoot(), Double(lists.listCount))
        let met = min(probed * lists.metLength, count)
        let looked = masked == nil ? 0 : met * Self.maskWeight
        let tail = max(0, Double(rowCount) - count)
        return Double(lists.listCount) + looked + met * share * Self.gatherWeight + tail * share
    }
}
