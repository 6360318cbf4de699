// Learning how searches are fused, and what they go by.
import KyroModel
import Synchronization

extension Engine {
    /// One at a time: it holds the candidates of all its queries.
    public func beginTuning(_ start: TuneStart) throws(KyroError) -> TuningRun {
        let collection = try collection(of: start.scope)
        try TuningValidation.check(start)
        if let shortage = refusalForMemory(isStream: false) { throw shortage }
        let (isOurs, _) = tuningInProgress.compareExchange(
            expected: false, desired: true, ordering: .relaxed)
        guard isOurs else {
            throw Self.busy("another tuning is under way")
        }
        return TuningRun(start, collection, self)
    }

    /// Keeps what a run has learnt, as a new version, unless it is a dry run. Searches go by it before
    /// it is answered.
    public func finishTuning(
        _ run: TuningRun,
        completion: @escaping @Sendable (Result<TuneOutcome, KyroError>) -> Void
    ) {
        let learned = run.learned(timeMillis: expiry.nowMillis())
        run.release()
        if run.start.isDryRun {
            return completion(.success(TuneOutcome(version: 0, fusion: learned)))
        }
        let collection = run.collection
        changeCatalog(completion) { engine throws(KyroError) in
            let tunings = try engine.catalog.changeTunings(collection) { $0.add(learned) }
            return TuneOutcome(version: tunings.activeVersion, fusion: learned)
        }
    }

    public func rollBackTuning(
        _ request: RollBackTuningRequest,
        completion: @escaping @Sendable (Result<RollBackTuningResponse, KyroError>) -> Void
    ) {
        changeCatalog(completion) { engine throws(KyroError) in
            let collection = try engine.collection(of: request.scope)
            guard collection.fields.tunings.activeVersion != request.version else {
                return RollBackTuningResponse(version: request.version)
            }
            _ = try engine.catalog.changeTunings(collection) { (tunings) throws(KyroError) in
                guard tunings.rollBack(to: request.version) else {
                    let known = tunings.versions.map { "\($0.version)" }.joined(separator: ", ")
                    throw .invalid(
                        "version",
                        "is \(request.version); the collection's history has "
                            + (known.isEmpty ? "no version" : known) + ", and 0 stands for none")
                }
            }
            return RollBackTuningResponse(version: request.version)
        }
    }

    /// The legs of a search, merged over the shards, at their latest published state.
    func legs(
        of request: SearchRequest, _ collection: Collection, _ cancellation: Cancellation
    ) throws(KyroError) -> (CheckedQuery, SearchExecution) {
        try refuseIfStopped()
        guard !collection.isDropped else { throw Self.notFound(collection.scope) }
        let query = try CheckedQuery(request, schema: collection.schema)
        try waitForSequence(request.minSeq, cancellation: cancellation)
        let nowMillis = expiry.nowMillis()
        var execution = SearchExecution(
            query: query, recall: query.vector.flatMap { collection.recall.field($0.field) },
            views: views(of: collection, shards: router.shards(for: request), nowMillis: nowMillis),
            cancellation: cancellation, time: time, nowMillis: nowMillis)
        execution.keepsLegs = true
        _ = try execution.run(scratches: scratches, sharing: nil)
        return (query, execution)
    }

    /// What a search goes by that does not say how to fuse its legs, and in words that it does.
    func learnedFusion(
        _ query: CheckedQuery, _ request: SearchRequest, _ collection: Collection
    ) -> (fusion: Fusion, note: String)? {
        guard query.fusion == nil, query.legCount > 1,
            let (version, learned) = collection.fields.learned(LegCombination(query, request))
        else { return nil }
        return (learned.fusion, learned.note(version: version))
    }
}

extension LegCombination {
    /// - Parameter query: made of the request.
    init(_ query: CheckedQuery, _ request: SearchRequest) {
        let asked = request.text.map { text in
            text.fields.isEmpty ? [] : query.text?.fields ?? []
        }
        self.init(
            vectorField: query.vector?.field, sparseField: query.sparse?.field, textFields: asked)
    }

    var count: Int {
        (vectorField == nil ? 0 : 1) + (sparseField == nil ? 0 : 1) + (textFields == nil ? 0 : 1)
    }
}

extension LearnedFusion {
    fileprivate func note(version: UInt32) -> String {
        let weights = fusion.weights ?? LegWeights()
        let parts = [
            legs.vectorField == nil ? nil : "vector \(weights.vector)",
            legs.sparseField == nil ? nil : "sparse \(weights.sparse)",
            legs.textFields == nil ? nil : "text \(weights.text)",
        ].compactMap { $0 }.joined(separator: ", ")
        let form =
            switch (fusion.method, fusion.normalisation) {
            case (.rrf, _): "reciprocal ranks"
            case (.max, _): "greatest score"
            case (.weighted, .minMax): "scores from 0 to 1"
            case (.weighted, .zScore): "z-scores"
            case (.weighted, .distribution): "scores by their distribution"
            }
        return "fused by version \(version) of the collection's tuning: "
            + "\(form), " + parts
    }
}
