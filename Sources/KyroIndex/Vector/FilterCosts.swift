// What a search under a filter costs, scanned or walked, and which of them it takes.
import KyroModel

/// Costs are in distances of a scan that reads every code in order: 22 ns at 384 dimensions.
///
/// The figures were measured on 117,659 real rows of 384 dimensions and 200,000 synthetic ones of
/// 768, see docs/decisions/0044.
struct FilterCosts {
    /// Rows of the graph that match, of so many.
    let matching: Int
    let rowCount: Int
    /// Admitted candidates that are scored again at least.
    let needed: Int
    let efSearch: Int

    /// A distance of a walk, or a list that it reads: codes and lists lie anywhere, what was seen is
    /// sorted out, and candidates are kept in order.
    static let walkWeight = 3.0
    /// The descent, and the look around the query.
    static let approachDistances = 420.0
    static let approachKept = 8
    /// A scan that costs no more than so many looks around the query is begun at once.
    static let approachesMin = 8.0
    /// Distances and lists for each row that is expanded: by a walk that all rows lead, and for each
    /// candidate of one that leads over matching rows alone.
    static let leadWork = 15.0
    static let hopWork = 60.0
    /// Below this share too few rows match to lead to each other.
    static let hopShareMin = 0.03
    /// Candidates of that walk for each that a walk without a filter keeps: it first expands as many
    /// rows around the query, whatever they are, and sees far from each.
    static let hopKeptShare = 0.38
    /// Below this share it keeps more than that.
    static let sparseShare = 0.1

    var share: Double { Double(matching) / Double(max(1, rowCount)) }

    /// Codes of the rows that match. Where few do they are fetched one by one.
    var scan: Double { Double(matching) * (1 + 1 / (1 + 16 * share)) }

    /// Candidates that a walk keeps of rows that match, where `local` is their share.
    func leadWanted(_ local: Double) -> Int {
        max(needed, Int((Double(efSearch) * local.squareRoot()).rounded(.up)))
    }

    /// The same, where only those lead on. The fewer they are, the more often what leads from one to
    /// the next is missing.
    var hopWanted: Int {
        let kept = Self.hopKeptShare * max(1, (Self.sparseShare / max(share, 1e-9)).squareRoot())
        return max(needed, Int((Double(efSearch) * min(kept, 1)).rounded(.up)))
    }

    private func lead(_ local: Double) -> Double {
        Self.walkWeight * Self.leadWork * Double(leadWanted(local)) / max(local, 1e-6)
    }

    private func hop(_ local: Double) -> Double {
        guard local >= Self.hopShareMin else { return .infinity }
        return Self.walkWeight * Self.hopWork * Double(hopWanted)
    }

    private var approach: Double { Self.walkWeight * Self.approachDistances }

    /// Of a walk where the filter does not care where the query is.
    var walk: Double { min(approach + min(lead(share), hop(share)), 1e15) }

    /// A scan cannot be much dearer than what tells whether a walk is cheaper.
    var scansAtOnce: Bool { scan <= Self.approachesMin * approach }

    /// Distances and lists that the rest of a walk may take before the scan would have been cheaper.
    var workMax: Int { Int(clamping: Int64(min(scan / Self.walkWeight, 1e15))) }

    /// How to go on after a look around the query.
    ///
    /// Where the filter spares the query's surroundings, a walk through what matches finds too few
    /// of the nearest: they lie far off on all sides.
    func course(met: Int, matched: Int) -> FilteredCourse {
        // As if 1 / share rows more had been met, as many of them as is usual.
        let local = (Double(matched) + 1) / (Double(met) + 1 / max(share, 1e-9))
        if 2 * local < share { return .scan }
        let lead = lead(local)
        let hop = hop(local)
        if min(lead, hop) >= scan { return .scan }
        return lead <= hop
            ? .lead(wanted: leadWanted(local)) : .hop(wanted: hopWanted)
    }
}

enum FilteredCourse: Equatable {
    /// Every row leads on.
    case lead(wanted: Int)
    /// Rows that match lead on, over neighbours that do not.
    case hop(wanted: Int)
    case scan
}

/// What became of a walk under a filter.
public struct FilteredWalkOutcome: Equatable, Sendable {
    public enum Course: Sendable {
        /// There was none.
        case none
        case lead
        case hop
        /// Left for a scan after a look around the query.
        case left
        /// Left for a scan after more distances than the scan takes.
        case exhausted
        /// Left for a scan because it found too few.
        case starved
    }

    public internal(set) var course = Course.none
    /// Distances of codes until it ended or was left.
    public internal(set) var scored = 0
    /// Rows met around the query, and those of them that match.
    public internal(set) var met = 0
    public internal(set) var matched = 0

    public init() {}

    public var isLeft: Bool {
        switch course {
        case .none, .lead, .hop: false
        case .left, .exhausted, .starved: true
        }
    }
}
