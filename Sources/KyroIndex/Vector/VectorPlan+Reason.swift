// A plan and what became of it, in words, for those who ask to have a search explained.
import KyroModel

/// What a plan rests on.
enum PlanBasis: Equatable, Sendable {
    case nothingMatches
    case exact
    /// So few rows that all are scored in full precision.
    case small
    /// So few rows that their codes are scanned.
    case few
    /// The field's kind has neither a graph nor lists.
    case flatKind
    /// No row is in the graph yet.
    case noGraph
    /// There are no inverted lists yet.
    case noLists
    /// The read is older than what has been taken out of the graph.
    case outrun
    /// There are inverted lists.
    case lists
    /// No walk has the recall that is asked for.
    case recallTarget
    /// Costs in distances of a scan.
    case costs(scan: Int, walk: Int)
    /// The scan is short enough to need no comparison.
    case shortScan(scan: Int)
}

extension VectorPlan {
    /// One or two sentences without a full stop.
    ///
    /// - Parameter outcome: what became of a walk under a filter.
    public func reason(after outcome: FilteredWalkOutcome) -> String {
        let rows =
            matching.map { "\(grouped($0)) of \(grouped(rowCount)) rows match" }
            ?? "\(grouped(rowCount)) rows"
        switch basis {
        case nil: return ""
        case .nothingMatches: return matching == nil ? "no rows" : "no row matches"
        case .exact: return "\(rows): all scored in full precision, as asked"
        case .small: return "\(rows), few enough to score all in full precision"
        case .few: return "\(rows), few enough to scan their codes"
        case .flatKind: return "\(rows): scan of their codes, as the field's kind has it"
        case .noLists: return "\(rows), for which there are no lists yet: scan of their codes"
        case .noGraph: return "\(rows), of which none is in the graph yet: scan of their codes"
        case .outrun:
            return "\(rows): scan of their codes, since the graph has lost rows that this read sees"
        case .lists:
            let cost = grouped(estimatedCost)
            return strategy == .ivf || strategy == .filteredIVF
                ? "\(rows): the nearest lists cost about \(cost) distances"
                : "\(rows): scan of their codes \(cost) distances, no more than of the nearest lists"
        case .recallTarget:
            return "\(rows): scan of their codes, for the recall that was asked for"
        case .shortScan(let scan):
            return "\(rows): scan of their codes \(grouped(scan)) distances, too few to walk"
        case .costs(let scan, let walk):
            let costs =
                "\(rows): scan of their codes as \(grouped(scan)) distances in order, "
                + (matching == nil ? "walk" : "filtered walk") + " about \(grouped(walk))"
            return costs + Self.words(outcome)
        }
    }

    private static func words(_ outcome: FilteredWalkOutcome) -> String {
        let met = "\(grouped(outcome.matched)) of \(grouped(outcome.met)) rows met match"
        let scored = grouped(outcome.scored)
        return switch outcome.course {
        case .none: ""
        case .lead: "; \(met): walked over all rows"
        case .hop: "; \(met): walked over those that match and their neighbours' neighbours"
        case .left: "; walk left after \(scored) distances: \(met)"
        case .exhausted: "; walk left after \(scored) distances, when a scan had become cheaper"
        case .starved: "; walk left after \(scored) distances: it found too few rows that match"
        }
    }
}

/// With a comma between thousands.
private func grouped(_ number: Int) -> String {
    var digits = String(number)
    var end = digits.count - 3
    while end > 0 {
        digits.insert(",", at: digits.index(digits.startIndex, offsetBy: end))
        end -= 3
    }
    return digits
}
