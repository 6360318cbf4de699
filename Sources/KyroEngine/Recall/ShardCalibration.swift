// What has been measured of one field in one shard, and what should be measured next.
import KyroIndex
import KyroModel

/// Trials of queries made of the rows, and of live ones, since the graph was last found changed.
///
/// `@unchecked Sendable`: touched in the calibration's turns alone.
final class ShardCalibration: @unchecked Sendable {
    /// Queries made of the rows: their mean recall is then known to about ±0.007 where it varies by
    /// 0.1 between queries.
    static let ownQueries = 192
    /// The latest live ones count.
    static let liveTrialsMax = 1_024
    /// Queries measured together, see `ExactBatch`.
    static let batchMax = 32
    /// The first change that calls for measuring anew, in per cent of the rows: at ten times the
    /// rows the same recall takes about half as many candidates again.
    static let changedPercent = 25
    /// From so many live trials on, the next ones are only to notice a change.
    static let liveTrialsCalm = 512
    static let liveWaitNanos: UInt64 = 1_000_000_000
    static let calmWaitNanos: UInt64 = 30_000_000_000

    /// What was measured, to tell whether it still is what is there.
    struct State: Equatable {
        var index: ObjectIdentifier
        var slotCount: Int
        var liveCount: Int
        var depths: RecallDepths

        func hasChanged(since old: State) -> Bool {
            if index != old.index || !depths.isSubset(of: old.depths) { return true }
            let written = abs(slotCount - old.slotCount)
            let died = abs((slotCount - liveCount) - (old.slotCount - old.liveCount))
            return (written + died) * 100 > max(1, old.liveCount) * ShardCalibration.changedPercent
        }
    }

    struct Query {
        var vector: [Float]
        var isLive: Bool
    }

    private(set) var measured: State?
    /// Still to be measured, of this state.
    private var open: [Query] = []
    private var own: [RecallTrial] = []
    private var live: [RecallTrial] = []
    /// Live queries kept by the field that have had their turn, or lost it.
    private var seen = 0
    private var liveNanos: UInt64 = 0
    private var hasModel = false
    /// For queries of its own that differ from the last time's.
    private var round: UInt64 = 0

    /// The next queries to be measured together; none when all is known.
    ///
    /// - Parameter makeOwn: so many queries made of the rows, by a seed.
    func next(
        _ state: State, _ field: FieldRecall, nowNanos: UInt64,
        makeOwn: (_ count: Int, _ seed: UInt64) -> [[Float]]
    ) -> [Query] {
        if measured.map({ state.hasChanged(since: $0) }) ?? true {
            begin(state, field, nowNanos: nowNanos, makeOwn: makeOwn)
        }
        if open.isEmpty { takeLive(field, nowNanos: nowNanos) }
        let batch = Array(open.prefix(Self.batchMax))
        open.removeFirst(batch.count)
        return batch
    }

    /// Everything anew: the live queries that are still there, and own ones where these are few.
    private func begin(
        _ state: State, _ field: FieldRecall, nowNanos: UInt64,
        makeOwn: (_ count: Int, _ seed: UInt64) -> [[Float]]
    ) {
        measured = state
        own = []
        live = []
        let kept = field.kept
        open = field.queries(behind: 0).map { Query(vector: $0, isLive: true) }
        seen = kept
        liveNanos = nowNanos
        if open.count < RecallModel.liveSamplesEnough {
            open += makeOwn(Self.ownQueries, round).map { Query(vector: $0, isLive: false) }
        }
        round += 1
        // Nothing could be made of the rows: another time.
        if open.isEmpty { measured = nil }
    }

    private func takeLive(_ field: FieldRecall, nowNanos: UInt64) {
        let kept = field.kept
        guard kept > seen else { return }
        let waited = nowNanos - min(nowNanos, liveNanos)
        var queries = field.queries(behind: seen)
        if live.count >= Self.liveTrialsCalm {
            guard waited >= Self.calmWaitNanos else { return }
            queries = queries.suffix(Self.batchMax)
        } else if queries.count < Self.batchMax {
            guard waited >= Self.liveWaitNanos else { return }
        }
        open = queries.map { Query(vector: $0, isLive: true) }
        seen = kept
        liveNanos = nowNanos
    }

    /// Takes what a batch has shown, and returns what searches should go by from now on; nil while
    /// what they have is better than what little is known anew.
    func add(_ trials: [(trial: RecallTrial, isLive: Bool)]) -> RecallModel? {
        own += trials.filter { !$0.isLive }.map(\.trial)
        let newLive = trials.filter(\.isLive).map(\.trial)
        if Self.differs(newLive, live) {
            // Others ask now, or otherwise: what was measured before says nothing of them.
            live = []
            own = []
        }
        live += newLive
        if live.count > Self.liveTrialsMax { live.removeFirst(live.count - Self.liveTrialsMax) }
        let isEnough = own.count + live.count >= RecallModel.liveSamplesEnough || open.isEmpty
        guard isEnough || !hasModel else { return nil }
        hasModel = true
        return RecallModel(own: own, live: live)
    }

    /// Whether two sets of queries fare so differently that it is no chance: more than three
    /// standard errors of the difference.
    private static func differs(_ new: [RecallTrial], _ old: [RecallTrial]) -> Bool {
        guard new.count >= 16, old.count >= RecallModel.liveSamplesEnough else { return false }
        let (a, b) = (moments(new), moments(old))
        // A few queries vary less than many where none of those that fare badly is among them.
        let variance = max(a.variance, b.variance)
        let error = (variance / Double(new.count) + variance / Double(old.count)).squareRoot()
        return abs(a.mean - b.mean) > 3 * max(error, 0.002)
    }

    private static func moments(_ trials: [RecallTrial]) -> (mean: Double, variance: Double) {
        let values = trials.map(\.overall)
        let mean = values.reduce(0, +) / Double(values.count)
        let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (mean, square / Double(values.count))
    }

    /// A batch that came to nothing is measured another time.
    func giveBack(_ queries: [Query]) { open = queries + open }
}
