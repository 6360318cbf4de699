// One tuning under way: queries are searched as they come and kept as candidates, then fitted.
import KyroModel
import Synchronization

/// One call at a time, each from any thread. Nothing of the collection is held between two calls.
///
/// `@unchecked Sendable`: whoever has it makes one call at a time.
public final class TuningRun: @unchecked Sendable {
    let start: TuneStart
    let collection: Collection
    private let engine: Engine
    private let foldCount: Int
    private let candidates: UInt32
    private var legs: LegCombination?
    private var kinds: [Ranking.Leg.Kind] = []
    private var queries: [JudgedCandidates] = []
    private var byteCount = 0
    private var fit: FusionFit?
    /// Whether the engine's one tuning is this one's.
    private let holdsTurn = Atomic<Bool>(true)

    /// - Precondition: the engine's one tuning is this one's, which gives it back at its end.
    init(_ start: TuneStart, _ collection: Collection, _ engine: Engine) {
        self.start = start
        self.collection = collection
        self.engine = engine
        foldCount = start.folds == 0 ? Limits.foldsDefault : Int(start.folds)
        candidates = start.candidates == 0 ? UInt32(Limits.candidatesDefault) : start.candidates
    }

    deinit { release() }

    /// The next tuning may begin. Called before this one is answered, since whoever has the answer may
    /// ask again at once, while another thread still has its reference to this.
    public func release() {
        guard holdsTurn.exchange(false, ordering: .relaxed) else { return }
        engine.tuningInProgress.store(false, ordering: .relaxed)
    }

    public var progress: TuneProgress {
        TuneProgress(
            queries: UInt64(queries.count),
            fitPercent: UInt32((fit?.fractionDone ?? 0) * 100))
    }

    // MARK: Queries

    /// Searches a query's legs and keeps their candidates.
    public func add(_ query: JudgedQuery, cancellation: Cancellation) throws(KyroError) {
        precondition(fit == nil, "a query came behind the last one")
        let path = "queries[\(queries.count)]"
        guard queries.count < Limits.tuneQueriesMax else {
            throw .overLimit(
                path, "is beyond the limit of \(Limits.tuneQueriesMax) queries; send a sample")
        }
        do throws(KyroError) {
            try search(query, cancellation)
        } catch {
            var error = error
            guard error.code == .invalidArgument else { throw error }
            error.message = "\(path): \(error.message)"
            error.field = error.field.map { "\(path).\($0)" } ?? path
            throw error
        }
        byteCount += queries.last?.byteCount ?? 0
        guard byteCount <= Limits.tuneBytesMax else {
            throw .overLimit(
                path,
                "takes the candidates of all queries beyond \(Limits.tuneBytesMax) bytes; send fewer "
                    + "queries, or ask for fewer candidates")
        }
    }

    private func search(
        _ query: JudgedQuery, _ cancellation: Cancellation
    ) throws(KyroError) {
        let grades = try TuningValidation.grades(query.judgements)
        var request = SearchRequest(scope: start.scope)
        request.vector = query.vector
        request.sparse = query.sparse
        request.text = query.text
        request.filter = query.filter
        request.timeRange = query.timeRange
        request.limit = UInt32(NDCG.depth)
        request.candidates = candidates
        request.minSeq = start.minSeq
        let (checked, execution) = try engine.legs(of: request, collection, cancellation)
        let combination = LegCombination(checked, request)
        try TuningValidation.check(combination, like: legs)
        legs = combination
        kinds = execution.legs.map(\.kind)
        queries.append(
            JudgedCandidates(
                execution.legs, idealGains: Array(grades.values), precedes: execution.precedes
            ) { candidate in
                grades[execution.views[candidate.shard].shard.rows.ids[candidate.slot]] ?? 0
            })
    }

    // MARK: The fit

    /// A piece of the fit, some ten milliseconds; true when it is done. No query may follow.
    public func step(cancellation: Cancellation) throws(KyroError) -> Bool {
        if fit == nil {
            let needed = max(Limits.tuneQueriesMin, foldCount)
            guard queries.count >= needed else {
                throw .invalid(
                    "queries",
                    "has \(queries.count) entries; it takes at least \(needed) for \(foldCount) folds"
                )
            }
            let added = FusionFit.byteCount(queryCount: queries.count, legCount: kinds.count)
            guard engine.budget.hasRoom(for: added) else {
                throw engine.budget.refusal(queuedBytes: engine.queuedBytes)
            }
            fit = FusionFit(queries, foldCount: foldCount)
        }
        try fit?.step(cancellation: cancellation)
        return fit?.isDone ?? false
    }

    /// What it came to.
    ///
    /// - Precondition: the fit is done.
    func learned(timeMillis: Int64) -> LearnedFusion {
        guard let fit, let fitted = fit.fitted, let legs else {
            preconditionFailure("a tuning of \(queries.count) queries that is not done")
        }
        let all = Array(fit.queries.indices)
        let verdict = FusionGuard(
            tuned: fit.heldOut, defaults: fit.defaults,
            legs: kinds.indices.map { leg in fit.queries.map { $0.legFigures[leg] } },
            chance: fit.queries.map(\.chanceFigure), legNames: kinds.map(\.name)
        ).verdict()
        let point =
            switch verdict.choice {
            case .tuned: fitted
            case .bestLeg: FusionPoint.alone(leg: verdict.bestLeg, legCount: kinds.count)
            case .defaults: FusionPoint.equal(legCount: kinds.count)
            }
        var learned = LearnedFusion(
            legs: legs, choice: verdict.choice,
            fusion: verdict.choice == .defaults ? .defaults : fusion(point),
            queryCount: UInt32(all.count))
        learned.figures = figures(fit, all)
        learned.folds = fit.folds.enumerated().map { fold, point in
            let queries = fit.queries(ofFold: fold)
            return TuningFold(
                queryCount: UInt32(queries.count), figures: figures(fit, queries),
                fusion: fusion(point))
        }
        learned.reason = verdict.reason
        learned.timeMillis = timeMillis
        return learned
    }

    private func fusion(_ point: FusionPoint) -> Fusion {
        var fusion = FusionForms.all[point.form]
        var weights = LegWeights(vector: 0, sparse: 0, text: 0)
        for (kind, weight) in zip(kinds, point.weights) { weights[kind] = weight }
        fusion.weights = weights
        return fusion
    }

    private func figures(_ fit: FusionFit, _ queries: [Int]) -> TuningFigures {
        func mean(_ value: (Int) -> Double) -> Double { FusionGuard.mean(queries.map(value)) }
        var figures = TuningFigures()
        figures.tuned = mean { fit.heldOut[$0] }
        figures.defaults = mean { fit.defaults[$0] }
        for (leg, kind) in kinds.enumerated() {
            let value = mean { fit.queries[$0].legFigures[leg] }
            switch kind {
            case .vector: figures.vector = value
            case .sparse: figures.sparse = value
            case .text: figures.text = value
            }
        }
        return figures
    }
}

extension Fusion {
    /// As a search is fused that says nothing, in so many words.
    fileprivate static let defaults = Fusion(weights: LegWeights())
}

extension Ranking.Leg.Kind {
    var name: String {
        switch self {
        case .vector: "vector"
        case .sparse: "sparse"
        case .text: "text"
        }
    }
}
