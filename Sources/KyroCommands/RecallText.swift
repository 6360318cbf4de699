// The recall of an answer in one line.
import KyroModel

extension RecallEstimate {
    /// What was asked, how far the search looked for it, and what may be expected of that.
    public var text: String {
        let asked = "recall \(decimal(target, places: 3)) asked"
        // What compares every row in full precision rests on no samples, and needs none.
        if samples == 0, mean == 1 { return "\(asked): exact" }
        let breadth =
            probes > 0
            ? "\(countText(UInt64(probes))) lists"
            : efSearch > 0 ? "ef \(countText(UInt64(efSearch)))" : "scan of the codes"
        guard samples > 0 else {
            return "\(asked), \(breadth); nothing is known yet of what it reaches"
        }
        return "\(asked), \(breadth); estimated mean \(decimal(mean, places: 3)), worst tenth "
            + "\(decimal(worstDecile, places: 3)), from \(countText(UInt64(samples))) queries"
    }
}
