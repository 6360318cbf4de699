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
    private(set) var explains: [ShardExplain]
    var masks: [SlotMask?]
    private var maskCounts: [Int]
    var counters: [SearchCounters]
    private var nanos: [UInt64]

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

    /// Rows of the page, best first.
    mutating func run(scratch: inout SearchScratch) throws(KyroError) -> [RankedHit] {
        try evaluateFilters()
        var legs: [Ranking.Leg] = []
        if let leg = query.vector {
            legs.append(
                Ranking.Leg(kind: .vector, candidates: try vectorLeg(leg, scratch: &scratch.vector))
            )
        }
        if let leg = query.sparse {
            legs.append(
                Ranking.Leg(kind: .sparse, candidates: try sparseLeg(leg, scratch: &scratch.sparse))
            )
        }
        if let leg = query.text {
            legs.append(
                Ranking.Leg(kind: .text, candidates: try textLeg(leg, scratch: &scratch.text)))
        }
        for index in views.indices {
            explains[index].rowsScored = UInt64(counters[index].rowsScored)
            explains[index].postingsScored = UInt64(counters[index].postingsScored)
            explains[index].micros = nanos[index] / 1_000
        }
        let keepsRawScore = query.legCount == 1 && query.fusion == nil && query.decay == nil
        var hits = Ranking.fuse(legs, fusion: query.fusion, keepsRawScore: keepsRawScore)
        if let decay = query.decay {
            for view in views { try view.shard.requireMetadata() }
            let origin = decay.originMillis ?? nowMillis
            for index in hits.indices {
                let hit = hits[index]
                let time = views[hit.shard].shard.metadata.eventTime(of: hit.slot)
                hits[index].score *= Ranking.decayFactor(
                    eventTimeMillis: time, originMillis: origin,
                    halfLifeMillis: decay.halfLifeMillis)
            }
        }
        return Array(
            Ranking.page(&hits, offset: query.offset, limit: query.limit, precedes: precedes))
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
    ) throws(KyroError) -> [Candidate] {
        let asked = VectorIndex.Request(
            vector: leg.vector, k: query.candidates, efSearch: leg.efSearch, probes: leg.probes,
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
            perShard.append(Self.candidates(found, shard: index))
        }
        if leg.recall > 0 { recallEstimate = tally.estimate }
        return Ranking.merge(perShard, count: query.candidates, precedes: precedes)
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
    ) throws(KyroError) -> [Candidate] {
        var perShard: [[Candidate]] = []
        for view in views { try view.shard.requireSparse(leg.field) }
        for (index, view) in views.enumerated() {
            guard let sparse = view.root.sparse[leg.field] else { continue }
            let started = time.monotonicNanos()
            defer { count(started, index) }
            let found = try sparse.search(
                query: leg.vector, k: query.candidates, visibility: view.visibility,
                mask: masks[index], order: view.shard.rows, scratch: &scratch,
                counters: &counters[index], cancellation: cancellation)
            perShard.append(Self.candidates(found, shard: index))
        }
        return Ranking.merge(perShard, count: query.candidates, precedes: precedes)
    }

    private mutating func textLeg(
        _ leg: CheckedQuery.TextLeg, scratch: inout TextScratch
    ) throws(KyroError) -> [Candidate] {
        if leg.node != nil || isAnalyserChanging(leg) { return try structuredTextLeg(leg) }
        var terms: [[String]] = []
        var statistics: [TextIndex.Statistics] = []
        for field in leg.fields {
            for view in views { try view.shard.requireText(field) }
            let analysed = views.lazy.compactMap { $0.root.texts[field] }.first?.analyze(leg.query)
            let fieldTerms = analysed ?? []
            guard fieldTerms.count <= Limits.queryTermsMax else {
                throw .overLimit(
                    "text.query",
                    "has \(fieldTerms.count) distinct terms; the limit is \(Limits.queryTermsMax)")
            }
            var sum = TextIndex.Statistics(
                documentCount: 0, totalLength: 0,
                documentFrequency: Array(repeating: 0, count: fieldTerms.count))
            for view in views {
                guard let texts = view.root.texts[field] else { continue }
                sum = sum + texts.statistics(of: fieldTerms)
            }
            terms.append(fieldTerms)
            statistics.append(sum)
        }
        var perShard: [[Candidate]] = []
        for (index, view) in views.enumerated() {
            let started = time.monotonicNanos()
            defer { count(started, index) }
            var legs: [TextLeg] = []
            for (position, field) in leg.fields.enumerated() {
                guard let texts = view.root.texts[field] else { continue }
                legs.append(
                    TextLeg(
                        index: texts, terms: terms[position], statistics: statistics[position]))
            }
            let found = try TextSearch.run(
                legs: legs, k: query.candidates, visibility: view.visibility, mask: masks[index],
                order: view.shard.rows, scratch: &scratch, counters: &counters[index],
                cancellation: cancellation)
            perShard.append(Self.candidates(found, shard: index))
        }
        return Ranking.merge(perShard, count: query.candidates, precedes: precedes)
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
