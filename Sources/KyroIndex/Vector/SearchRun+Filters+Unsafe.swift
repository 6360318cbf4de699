// A search under a filter on its way: a look around the query, a walk, a scan where that is cheaper.
import KyroBytes
import KyroModel
import Synchronization

extension SearchRun {
    /// Walks, and scans where a walk would cost more or finds too few.
    ///
    /// - Parameter matching: members of the mask; counted where nobody knows.
    mutating func walkFiltered(matching: Int?) throws(KyroError) {
        let query = unsafe EncodedQuery(request.vector, rows: index.rows, memory: memory)
        guard let mask = admission.mask else { return try unsafe scan(query) }
        let rowCount = index.rows.count
        let costs = index.filterCosts(
            request, matching: min(matching ?? mask.count(), rowCount), rowCount: rowCount)
        // The entry first, then the count: an entry is stored after the count that includes it.
        let entry = index.graph.entry
        let bound = UInt32(index.graph.count)
        if let entry {
            let wantedMax = costs.leadWanted(1)
            let capacity = wantedMax * Self.poolFactor
            memory.reserve(pool: capacity)
            var pool = unsafe CandidatePool(
                keys: memory.pool, capacity: capacity, wanted: wantedMax)
            let start = unsafe index.graph.descend(
                from: entry, top: index.graph.height(entry), bottom: 1, bound: bound,
                query: query.code, memory: memory, scored: &scored)
            try unsafe walk(query, mask, costs, from: start, bound: bound, &pool)
            outcome.scored = scored
            if !outcome.isLeft {
                try unsafe scanTail(query, from: Int(bound), rowCount: rowCount, &pool)
                let needed = index.rerankCount(request)
                if try unsafe rerank(query, pool, needed: needed, isAdmitted: true).found >= needed
                {
                    return
                }
                outcome.course = .starved
                top = TopK(k: request.k, order: top.order)
            }
        }
        try unsafe scan(query)
    }

    /// Notes in `outcome` how it went.
    private mutating func walk(
        _ query: EncodedQuery, _ mask: SlotMask, _ costs: FilterCosts, from start: UInt32,
        bound: UInt32, _ pool: inout CandidatePool
    ) throws(KyroError) {
        let rows = index.rows
        let rowCount = rows.count
        try unsafe mask.words.withUnsafeBufferPointer { words throws(KyroError) in
            var walk = unsafe FilteredWalk(
                graph: index.graph, bound: bound, query: query.code,
                filter: RowFilter(words: words, rows: rows, rowCount: rowCount),
                admission: admission, memory: memory, cancellation: cancellation)
            unsafe walk.begin(at: start, &pool)
            _ = try unsafe walk.lead(&pool, keptMax: FilterCosts.approachKept)
            outcome.met = unsafe walk.met
            outcome.matched = unsafe walk.matched
            unsafe walk.costMax = unsafe walk.scored + costs.workMax
            let isWhole: Bool
            switch unsafe costs.course(met: walk.met, matched: walk.matched) {
            case .scan:
                outcome.course = .left
                isWhole = true
            case .lead(let wanted):
                outcome.course = .lead
                unsafe pool.keep(wanted: wanted)
                isWhole = try unsafe walk.lead(&pool, keptMax: .max)
            case .hop(let wanted):
                outcome.course = .hop
                unsafe pool.keep(wanted: wanted)
                _ = try unsafe walk.lead(&pool, keptMax: wanted)
                isWhole = try unsafe walk.hop(&pool)
            }
            if !isWhole { outcome.course = .exhausted }
            unsafe scored += walk.scored
        }
    }
}
