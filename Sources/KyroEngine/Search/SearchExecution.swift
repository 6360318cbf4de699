// One hybrid query over the shards: filter, legs, merge, fusion, documents.
import KyroIndex
import KyroModel
import KyroPlatform

/// Memory that searches reuse; one query at a time.
struct SearchScratch: Sendable {
    var vector = VectorScratch()
    var text = TextScratch()
    var sparse = SparseScratch()
}

/// A query against fixed views of its shards. Runs on whichever thread has it.
struct SearchExecution {
    let query: CheckedQuery
    /// Of the vector leg's field; nil where nobody has asked for any.
    let recall: FieldRecall?
    let views: [CollectionView]
    let cancellation: Cancellation
    let time: any Clock
    let nowMillis: Int64
    /// Where a recall was asked for.
    private(set) var recallEstimate: RecallEstimate?
    var explains: [ShardExplain]
    private(set) var aggregations: [AggregationResult] = []
    /// Whether a page follows this one.
    private(set) var hasNextPage = false
    var masks: [SlotMask?]
    /// For whoever wants the legs' candidates themselves.
    var keepsLegs = false
    private(set) var legs: [Ranking.Leg] = []
    private var maskCounts: [Int]
    var counters: [SearchCounters]
    private var nanos: [UInt64]
    /// What the legs' scores count, once they are fused.
    private var fusedLegs = FusedLegs()
    private(set) var stages = StageNanos()
    /// Where explain was asked for.
    private(set) var legExplains: [(kind: Ranking.Leg.Kind, explain: LegExplain)] = []
    /// By `RankedHit.key`, of the page, where hits were grouped or diversified.
    private(set) var groups: [UInt64: MetadataValue] = [:]
    private var diversities: [UInt64: DiversityDetails] = [:]
    private var rescored: [UInt64: RescoreDetails] = [:]

    init(
        query: CheckedQuery, recall: FieldRecall?, views: [CollectionView],
        cancellation: Cancellation, time: any Clock, nowMillis: Int64
    ) {
        self.query = query
        self.recall = recall
        self.views = views
        self.cancellation = cancellation
        self.time = time
        self.nowMillis = nowMillis
        explains = views.map { view in
            var explain = ShardExplain(shard: UInt32(view.shard.shard))
            explain.rows = UInt64(view.visibility.slotCount)
            return explain
        }
        masks = Array(repeating: nil, count: views.count)
        maskCounts = Array(repeating: 0, count: views.count)
        counters = Array(repeating: SearchCounters(), count: views.count)
        nanos = Array(repeating: 0, count: views.count)
    }

    /// Rows of the page, best first: legs, fusion, decay, ranking, order.
    mutating func run(scratch: inout SearchScratch) throws(KyroError) -> [RankedHit] {
        var mark = time.monotonicNanos()
        try evaluateFilters()
        StageNanos.lap(&stages.filter, &mark, time)
        var legs: [Ranking.Leg] = []
        if let leg = query.vector {
            let found = try vectorLeg(leg, scratch: &scratch.vector)
            StageNanos.lap(&stages.vector, &mark, time)
            legs.append(merged(.vector, found))
            StageNanos.lap(&stages.merge, &mark, time)
        }
        if let leg = query.sparse {
            let found = try sparseLeg(leg, scratch: &scratch.sparse)
            StageNanos.lap(&stages.sparse, &mark, time)
            legs.append(merged(.sparse, found))
            StageNanos.lap(&stages.merge, &mark, time)
        }
        if let leg = query.text {
            let found = try textLeg(leg, scratch: &scratch.text)
            StageNanos.lap(&stages.text, &mark, time)
            legs.append(merged(.text, found))
            StageNanos.lap(&stages.merge, &mark, time)
        }
        for index in views.indices {
            explains[index].rowsScored = UInt64(counters[index].rowsScored)
            explains[index].postingsScored = UInt64(counters[index].postingsScored)
            explains[index].postingsListed = UInt64(counters[index].postingsListed)
            explains[index].micros = nanos[index] / 1_000
        }
        if keepsLegs { self.legs = legs }
        let keepsRawScore = query.legCount == 1 && query.fusion == nil && query.decay == nil
        var hits: [RankedHit]
        (hits, fusedLegs) = Ranking.fuse(legs, fusion: query.fusion, keepsRawScore: keepsRawScore)
        if query.decay != nil {
            for view in views { try view.shard.requireMetadata() }
            for index in hits.indices { hits[index].score *= decayFactor(of: hits[index]) }
        }
        StageNanos.lap(&stages.fuse, &mark, time)
        if !query.aggregations.isEmpty { aggregations = try aggregate(hits) }
        StageNanos.lap(&stages.aggregate, &mark, time)
        if let ranking = query.ranking { try rank(&hits, by: ranking) }
        if let place = query.page { hasNextPage = place.leavePassed(&hits, query, views) }
        let page = try page(of: &hits)
        StageNanos.lap(&stages.rank, &mark, time)
        return page
    }

    /// The shards' candidates of one leg as one list.
    private mutating func merged(
        _ kind: Ranking.Leg.Kind, _ perShard: [[Candidate]]
    ) -> Ranking.Leg {
        let asked = query.candidates(of: kind)
        let leg = Ranking.Leg(
            kind: kind, candidates: Ranking.merge(perShard, count: asked, precedes: precedes))
        if query.explains {
            legExplains.append(
                (
                    kind,
                    LegExplain(
                        leg, asked: asked, weight: (query.fusion?.weights ?? LegWeights())[kind])
                ))
        }
        return leg
    }

    func eventTime(of hit: RankedHit) -> Int64? {
        views[hit.shard].shard.metadata.eventTime(of: hit.slot)
    }

    func decayFactor(of hit: RankedHit) -> Double {
        guard let decay = query.decay else { return 1 }
        return decay.factor(
            eventTimeMillis: eventTime(of: hit), originMillis: decay.originMillis ?? nowMillis)
    }

    /// Why a hit scores what it does.
    func details(of hit: RankedHit) -> ScoreDetails {
        var details = fusedLegs.details(of: hit)
        details.decay = decayFactor(of: hit)
        details.rescore = rescored[hit.key]
        let ranked = details.rescore?.score ?? hit.score
        if query.ranking?.formula != nil, ranked != Formula.missingScore {
            details.formula = ranked
        }
        details.diversity = diversities[hit.key]
        return details
    }

    private mutating func rank(
        _ hits: inout [RankedHit], by ranking: CheckedRanking
    ) throws(KyroError) {
        if let formula = ranking.formula {
            try FormulaRanking(formula, fusedLegs, self).apply(to: &hits)
        }
        if let rescore = ranking.rescore {
            Ranking.sort(&hits, precedes: precedes)
            rescored = try self.rescore(&hits, by: rescore)
        }
    }

    private mutating func page(of hits: inout [RankedHit]) throws(KyroError) -> [RankedHit] {
        guard let ranking = query.ranking, ranking.grouping != nil || ranking.diversity != nil
        else {
            return Array(
                Ranking.page(&hits, offset: query.offset, limit: query.limit, precedes: precedes))
        }
        Ranking.sort(&hits, precedes: precedes)
        let end = query.offset + query.limit
        let needed = max(ranking.diversity?.pool ?? 0, end)
        var groups: [HitGroup]
        if let grouping = ranking.grouping {
            groups = try HitGrouping(grouping: grouping, execution: self).groups(of: hits)
        } else {
            groups = hits.indices.prefix(needed).map { HitGroup(hits: [$0]) }
        }
        if let diversity = ranking.diversity {
            groups.removeLast(max(0, groups.count - needed))
            let taken = try DiverseOrder.take(
                end, of: try choices(groups.map { hits[$0.hits[0]] }, field: diversity.field),
                lambda: diversity.lambda, cancellation: cancellation)
            for choice in taken {
                diversities[hits[groups[choice.position].hits[0]].key] = DiversityDetails(
                    relevance: choice.relevance, similarity: choice.similarity)
            }
            groups = taken.map { groups[$0.position] }
        }
        var page: [RankedHit] = []
        for group in groups.dropFirst(query.offset).prefix(query.limit) {
            for index in group.hits {
                page.append(hits[index])
                if let value = group.value { self.groups[hits[index].key] = value }
            }
        }
        return page
    }

    private func choices(
        _ hits: [RankedHit], field: String
    ) throws(KyroError) -> [DiverseOrder.Choice] {
        var choices: [DiverseOrder.Choice] = []
        for hit in hits {
            if choices.count % 64 == 0 { try cancellation.check() }
            let index = views[hit.shard].root.vectors[field]
            choices.append(
                DiverseOrder.Choice(
                    score: hit.score == Formula.missingScore ? nil : hit.score,
                    vector: try index?.vector(of: Slot(index: hit.slot))))
        }
        return choices
    }

    private mutating func evaluateFilters() throws(KyroError) {
        guard query.filter != nil || query.timeRange != nil else { return }
        for (index, view) in views.enumerated() {
            try view.shard.requireMetadata()
            let started = time.monotonicNanos()
            defer { count(started, index) }
            let mask = try view.shard.metadata.evaluate(
                filter: query.filter, timeRange: query.timeRange, visibility: view.visibility,
                cancellation: cancellation)
            maskCounts[index] = mask?.count() ?? 0
            masks[index] = mask
            explains[index].filterMatches = UInt64(maskCounts[index])
        }
    }

    private mutating func vectorLeg(
        _ leg: CheckedQuery.VectorLeg, scratch: inout VectorScratch
    ) throws(KyroError) -> [[Candidate]] {
        let asked = VectorIndex.Request(
            vector: leg.vector, k: query.candidates(of: .vector), efSearch: leg.efSearch,
            probes: leg.probes,
            exact: query.exact || leg.recall == 1)
        var tally = RecallTally(target: leg.recall)
        var perShard: [[Candidate]] = []
        for (index, view) in views.enumerated() {
            guard let vectors = view.root.vectors[leg.field] else { continue }
            let started = time.monotonicNanos()
            defer { count(started, index) }
            let (request, plan) = Self.plan(
                asked, vectors, leg.recall > 0 ? recall?.shards[view.shard.shard] : nil, &tally,
                view.visibility, masks[index], maskCount: maskCounts[index])
            explains[index].vectorStrategy = plan.strategy
            explains[index].estimatedCost = UInt64(plan.estimatedCost)
            explains[index].graphRows = UInt64(vectors.indexedCount)
            explains[index].tailRows = UInt64(vectors.tailCount)
            let found = try vectors.search(
                request, plan: plan, visibility: view.visibility, mask: masks[index],
                order: view.shard.rows, scratch: &scratch, counters: &counters[index],
                cancellation: cancellation)
            let walk = counters[index].filteredWalk
            if walk.isLeft { explains[index].vectorStrategy = .filteredFlat }
            if query.explains { explains[index].vectorReason = plan.reason(after: walk) }
            explains[index].vectorCandidates = UInt64(found.count)
            perShard.append(Self.candidates(found, shard: index))
        }
        if leg.recall > 0 { recallEstimate = tally.estimate }
        return perShard
    }

    /// Of one shard, with the candidates that the wanted recall takes where there is one.
    private static func plan(
        _ request: VectorIndex.Request, _ vectors: VectorIndex, _ recall: ShardRecall?,
        _ tally: inout RecallTally, _ visibility: Visibility, _ mask: SlotMask?, maskCount: Int
    ) -> (VectorIndex.Request, VectorPlan) {
        guard let recall else {
            let plan = vectors.plan(
                request, visibility: visibility, mask: mask, maskCount: maskCount)
            return (request, plan)
        }
        return tally.plan(
            request, vectors, recall, visibility: visibility, mask: mask, maskCount: maskCount)
    }

    private mutating func sparseLeg(
        _ leg: CheckedQuery.SparseLeg, scratch: inout SparseScratch
    ) throws(KyroError) -> [[Candidate]] {
        var perShard: [[Candidate]] = []
        var floor = LegFloor(count: query.candidates(of: .sparse))
        for view in views { try view.shard.requireSparse(leg.field) }
        for (index, view) in views.enumerated() {
            guard let sparse = view.root.sparse[leg.field] else { continue }
            let started = time.monotonicNanos()
            defer { count(started, index) }
            let found = try sparse.search(
                query: leg.vector, floor: floor.score, k: query.candidates(of: .sparse),
                visibility: view.visibility, mask: masks[index], order: view.shard.rows,
                scratch: &scratch, counters: &counters[index], cancellation: cancellation)
            if index + 1 < views.count { floor.take(found) }
            explains[index].sparseCandidates = UInt64(found.count)
            perShard.append(Self.candidates(found, shard: index))
        }
        return perShard
    }

    private mutating func textLeg(
        _ leg: CheckedQuery.TextLeg, scratch: inout TextScratch
    ) throws(KyroError) -> [[Candidate]] {
        if leg.node != nil || isAnalyserChanging(leg) { return try structuredTextLeg(leg) }
        let fields = try textFields(leg)
        var perShard: [[Candidate]] = []
        var floor = LegFloor(count: query.candidates(of: .text))
        for (index, view) in views.enumerated() {
            let started = time.monotonicNanos()
            defer { count(started, index) }
            let legs = fields.map { $0.leg.inShard($0.name, view) }
            let found = try TextSearch.run(
                legs: legs, scoring: leg.scoring, floor: floor.score,
                k: query.candidates(of: .text),
                visibility: view.visibility, mask: masks[index], order: view.shard.rows,
                scratch: &scratch, counters: &counters[index], cancellation: cancellation)
            if index + 1 < views.count { floor.take(found) }
            explains[index].textCandidates = UInt64(found.count)
            perShard.append(Self.candidates(found, shard: index))
        }
        return perShard
    }

    /// Adds the time since `startedNanos` to a shard's.
    mutating func count(_ startedNanos: UInt64, _ shard: Int) {
        nanos[shard] += time.monotonicNanos() - startedNanos
    }

    /// A product of huge vectors may lie beyond Float; normalising an infinity would give NaN.
    static func candidates(_ found: [ScoredSlot], shard: Int) -> [Candidate] {
        let bound = Float.greatestFiniteMagnitude
        return found.map {
            Candidate(shard: shard, slot: $0.slot, score: max(-bound, min(bound, $0.score)))
        }
    }

    /// By document id, whichever shards the rows are in.
    var precedes: RowPrecedes {
        let views = views
        return { a, b in
            if a.shard == b.shard { return views[a.shard].shard.rows.precedes(a.slot, b.slot) }
            return views[a.shard].shard.rows.ids[a.slot] < views[b.shard].shard.rows.ids[b.slot]
        }
    }
}
