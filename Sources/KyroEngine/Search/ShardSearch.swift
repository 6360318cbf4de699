// What one shard answers to a query: the mask of its filter and the candidates of each leg. Shards of
// one query may be searched side by side.
import KyroIndex
import KyroModel
import KyroPlatform

/// Of one shard.
struct ShardAnswer: Sendable {
    /// nil for every visible row.
    var mask: SlotMask?
    /// Best first; of a leg that was not asked for, or whose field the shard does not have, nil.
    var vector: [Candidate]?
    var sparse: [Candidate]?
    var text: [Candidate]?
    /// Of the vector leg, where a recall is wanted.
    var recall = RecallTally()
    var explain: ShardExplain
    var stages = StageNanos()
}

/// A query in the terms of the whole collection, which any thread may put to any shard, once.
struct ShardSearch: Sendable {
    let query: CheckedQuery
    /// Of the vector leg's field; nil where nobody has asked for any.
    let recall: FieldRecall?
    let views: [CollectionView]
    let text: CollectionTextLeg
    let cancellation: Cancellation
    let time: any Clock
    private let sparseFloor: SharedFloor
    private let textFloor: SharedFloor

    init(
        query: CheckedQuery, recall: FieldRecall?, views: [CollectionView],
        cancellation: Cancellation, time: any Clock
    ) throws(KyroError) {
        self.query = query
        self.recall = recall
        self.views = views
        self.cancellation = cancellation
        self.time = time
        if query.filter != nil || query.timeRange != nil {
            for view in views { try view.shard.requireMetadata() }
        }
        if let leg = query.sparse {
            for view in views { try view.shard.requireSparse(leg.field) }
        }
        text = try CollectionTextLeg(query, views: views, cancellation: cancellation)
        sparseFloor = SharedFloor(count: query.candidates(of: .sparse))
        textFloor = SharedFloor(count: query.candidates(of: .text))
    }

    /// Searches the shard of `views[index]`: filter, then the legs under its mask.
    func answer(
        ofView index: Int, scratch: inout SearchScratch
    ) throws(KyroError) -> ShardAnswer {
        let view = views[index]
        var answer = ShardAnswer(explain: ShardExplain(shard: UInt32(view.shard.shard)))
        answer.explain.rows = UInt64(view.visibility.slotCount)
        var counters = SearchCounters()
        let started = time.monotonicNanos()
        var mark = started
        var maskCount = 0
        if query.filter != nil || query.timeRange != nil {
            answer.mask = try view.shard.metadata.evaluate(
                filter: query.filter, timeRange: query.timeRange, visibility: view.visibility,
                cancellation: cancellation)
            maskCount = answer.mask?.count() ?? 0
            answer.explain.filterMatches = UInt64(maskCount)
            StageNanos.lap(&answer.stages.filter, &mark, time)
        }
        if let leg = query.vector {
            answer.vector = try vectorLeg(
                leg, index, maskCount: maskCount, &answer, &scratch.vector, &counters)
            StageNanos.lap(&answer.stages.vector, &mark, time)
        }
        if let leg = query.sparse {
            answer.sparse = try sparseLeg(leg, index, answer.mask, &scratch.sparse, &counters)
            answer.explain.sparseCandidates = UInt64(answer.sparse?.count ?? 0)
            StageNanos.lap(&answer.stages.sparse, &mark, time)
        }
        if query.text != nil {
            answer.text = try textLeg(index, answer.mask, &scratch.text, &counters)
            answer.explain.textCandidates = UInt64(answer.text?.count ?? 0)
            StageNanos.lap(&answer.stages.text, &mark, time)
        }
        answer.explain.rowsScored = UInt64(counters.rowsScored)
        answer.explain.postingsScored = UInt64(counters.postingsScored)
        answer.explain.postingsListed = UInt64(counters.postingsListed)
        answer.explain.micros = (mark - started) / 1_000
        return answer
    }

    private func vectorLeg(
        _ leg: CheckedQuery.VectorLeg, _ index: Int, maskCount: Int, _ answer: inout ShardAnswer,
        _ scratch: inout VectorScratch, _ counters: inout SearchCounters
    ) throws(KyroError) -> [Candidate]? {
        let view = views[index]
        guard let vectors = view.root.vectors[leg.field] else { return nil }
        var request = VectorIndex.Request(
            vector: leg.vector, k: query.candidates(of: .vector), efSearch: leg.efSearch,
            probes: leg.probes, exact: query.exact || leg.recall == 1)
        let plan: VectorPlan
        if leg.recall > 0, let known = recall?.shards[view.shard.shard] {
            (request, plan) = answer.recall.plan(
                request, for: leg.recall, vectors, known, visibility: view.visibility,
                mask: answer.mask, maskCount: maskCount)
        } else {
            plan = vectors.plan(
                request, visibility: view.visibility, mask: answer.mask, maskCount: maskCount)
        }
        let found = try vectors.search(
            request, plan: plan, visibility: view.visibility, mask: answer.mask,
            order: view.shard.rows, scratch: &scratch, counters: &counters,
            cancellation: cancellation)
        let walk = counters.filteredWalk
        answer.explain.vectorStrategy = walk.isLeft ? .filteredFlat : plan.strategy
        answer.explain.estimatedCost = UInt64(plan.estimatedCost)
        answer.explain.graphRows = UInt64(vectors.indexedCount)
        answer.explain.tailRows = UInt64(vectors.tailCount)
        if query.explains { answer.explain.vectorReason = plan.reason(after: walk) }
        answer.explain.vectorCandidates = UInt64(found.count)
        return Self.candidates(found, shard: index)
    }

    private func sparseLeg(
        _ leg: CheckedQuery.SparseLeg, _ index: Int, _ mask: SlotMask?,
        _ scratch: inout SparseScratch, _ counters: inout SearchCounters
    ) throws(KyroError) -> [Candidate]? {
        let view = views[index]
        guard let sparse = view.root.sparse[leg.field] else { return nil }
        let found = try sparse.search(
            query: leg.vector, floor: sparseFloor.score, k: query.candidates(of: .sparse),
            visibility: view.visibility, mask: mask, order: view.shard.rows,
            scratch: &scratch, counters: &counters, cancellation: cancellation)
        if views.count > 1 { sparseFloor.take(found) }
        return Self.candidates(found, shard: index)
    }

    private func textLeg(
        _ index: Int, _ mask: SlotMask?, _ scratch: inout TextScratch,
        _ counters: inout SearchCounters
    ) throws(KyroError) -> [Candidate]? {
        let view = views[index]
        let found: [ScoredSlot]
        switch text {
        case .none: return nil
        case .words(let fields, let scoring):
            found = try TextSearch.run(
                legs: fields.map { $0.leg.inShard($0.name, view) }, scoring: scoring,
                floor: textFloor.score, k: query.candidates(of: .text),
                visibility: view.visibility, mask: mask, order: view.shard.rows,
                scratch: &scratch, counters: &counters, cancellation: cancellation)
            if views.count > 1 { textFloor.take(found) }
        case .structured(let plans):
            let plan = plans.plan(ofView: index)
            let indexes = plans.fields.map { view.root.texts[$0.name] }
            if query.explains { counters.postingsListed += plan.estimatedPostings(indexes) }
            found = try StructuredTextSearch.run(
                plan, indexes: indexes, k: query.candidates(of: .text),
                visibility: view.visibility, mask: mask, order: view.shard.rows,
                counters: &counters, cancellation: cancellation)
        }
        return Self.candidates(found, shard: index)
    }

    /// A product of huge vectors may lie beyond Float; normalising an infinity would give NaN.
    private static func candidates(_ found: [ScoredSlot], shard: Int) -> [Candidate] {
        let bound = Float.greatestFiniteMagnitude
        return found.map {
            Candidate(shard: shard, slot: $0.slot, score: max(-bound, min(bound, $0.score)))
        }
    }
}

extension ShardSearch {
    /// All shards' answers, in the order of `views`: one after the other on this thread, or beside
    /// each other where the pool has threads with nothing to do.
    func answers(
        scratches: ScratchPool, sharing pool: WorkerPool?
    ) throws(KyroError) -> [ShardAnswer] {
        var answers: [ShardAnswer] = []
        answers.reserveCapacity(views.count)
        guard let pool, views.count > 1 else {
            var scratch = scratches.take()
            for index in views.indices {
                answers.append(try answer(ofView: index, scratch: &scratch))
            }
            scratches.giveBack(scratch)
            return answers
        }
        let slots = Locked<[Result<ShardAnswer, KyroError>?]>(
            Array(repeating: nil, count: views.count))
        pool.share(views.count) { index in
            let result: Result<ShardAnswer, KyroError>
            var scratch = scratches.take()
            do throws(KyroError) {
                result = .success(try answer(ofView: index, scratch: &scratch))
            } catch {
                result = .failure(error)
            }
            scratches.giveBack(scratch)
            slots.withLock { $0[index] = result }
        }
        for result in slots.withLock({ $0 }) {
            guard let result else { preconditionFailure("a shard was not asked") }
            answers.append(try result.get())
        }
        return answers
    }
}
