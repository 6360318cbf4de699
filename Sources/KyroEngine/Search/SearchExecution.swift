// One hybrid query over the shards: filter, legs, merge, fusion, documents.
import KyroIndex
import KyroModel
import KyroPlatform

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
    /// Of each view, once it was searched.
    private(set) var answers: [ShardAnswer] = []
    private(set) var aggregations: [AggregationResult] = []
    /// Whether a page follows this one.
    private(set) var hasNextPage = false
    /// For whoever wants the legs' candidates themselves.
    var keepsLegs = false
    private(set) var legs: [Ranking.Leg] = []
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
    }

    /// Rows of the page, best first: legs, fusion, decay, ranking, order.
    ///
    /// - Parameter pool: whose idle threads may search shards, too.
    mutating func run(
        scratches: ScratchPool, sharing pool: WorkerPool?
    ) throws(KyroError) -> [RankedHit] {
        var mark = time.monotonicNanos()
        let search = try ShardSearch(
            query: query, recall: recall, views: views, cancellation: cancellation, time: time)
        // What is known of terms before the first shard is asked.
        StageNanos.lap(&stages.text, &mark, time)
        answers = try search.answers(scratches: scratches, sharing: pool)
        mark = time.monotonicNanos()
        for answer in answers { stages.add(answer.stages) }
        if let leg = query.vector, leg.recall > 0 {
            var tally = RecallTally()
            for answer in answers { tally.add(answer.recall) }
            recallEstimate = tally.estimate(target: leg.recall)
        }
        var legs: [Ranking.Leg] = []
        if query.vector != nil { legs.append(merged(.vector, answers.compactMap(\.vector))) }
        if query.sparse != nil { legs.append(merged(.sparse, answers.compactMap(\.sparse))) }
        if query.text != nil { legs.append(merged(.text, answers.compactMap(\.text))) }
        StageNanos.lap(&stages.merge, &mark, time)
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

    /// By document id, whichever shards the rows are in.
    var precedes: RowPrecedes {
        let views = views
        return { a, b in
            if a.shard == b.shard { return views[a.shard].shard.rows.precedes(a.slot, b.slot) }
            return views[a.shard].shard.rows.ids[a.slot] < views[b.shard].shard.rows.ids[b.slot]
        }
    }
}
