// What a search will cost, before any of it is done.
import KyroIndex
import KyroModel

extension Engine {
    /// Longer queries are not looked at on the caller's thread at all.
    private static let quickTextBytes = 4_096
    private static let quickSparseEntries = 4_096
    /// A row of a file, read among its neighbours or alone. Nobody knows what of it the page cache
    /// has, and a loop that waits for a disk answers nobody: the second sends all but the smallest
    /// searches to the pool.
    private static let readInTurn = 30
    private static let readAlone = 200

    /// In distance evaluations of about 0.1 µs; the caller decides by it where the search runs. An
    /// error in the request is left for `search` to report.
    public func estimatedCost(_ request: SearchRequest) -> Int {
        guard let collection = catalog.find(request.scope) else { return 0 }
        // Of a moment of the past it may have to wait for a commit that is under way.
        if mustWait(for: request.minSeq) || request.isPage || request.asOf != nil { return .max }
        if let text = request.text,
            text.query.utf8.count > Self.quickTextBytes || text.fields.count > Limits.fieldsMax
                || text.highlight != nil || text.node?.isSlowToPlan ?? false
        {
            return .max
        }
        if let sparse = request.sparse, sparse.vector.indices.count > Self.quickSparseEntries {
            return .max
        }
        let hits =
            Int(min(request.limit, UInt32(Limits.hitsMax)))
            + Int(min(request.offset, UInt32(Limits.hitsMax)))
        // A document costs about as much as 30 distances to find and encode.
        var cost = request.projection == nil ? hits : 30 * hits
        let roots = collection.shards.map { ($0, $0.currentRoot) }
        for (shard, root) in roots {
            let leaves = (request.filter?.fields.count ?? 0) + (request.timeRange == nil ? 0 : 1)
            cost += shard.slotCount / 32 * leaves
            if !request.aggregations.isEmpty {
                cost += aggregationCost(request, slotCount: shard.slotCount)
            }
            if let query = request.vector {
                let named = query.field.isEmpty ? root.vectors.names.first ?? "" : query.field
                let known = collection.recall.field(named)?.shards[shard.shard]
                let matches =
                    request.filter.map {
                        shard.metadata.estimatedMatches($0, slotCount: shard.slotCount)
                    } ?? .max
                cost += vectorCost(query, request, hits: hits, root, known, matches: matches)
            }
            if let query = request.sparse {
                let index =
                    query.field.isEmpty
                    ? root.sparse.entries.first?.value : root.sparse[query.field]
                cost += (index?.estimatedPostings(query: query.vector) ?? 0) / 16
            }
        }
        if let query = request.text { cost += textCost(query, roots.map(\.1)) }
        return cost + rankingCost(request)
    }

    /// Of a look-up, in the same unit.
    public func estimatedCost(_ request: LookupRequest) -> Int {
        if mustWait(for: request.minSeq) || request.asOf != nil { return .max }
        var each = 30
        if !(request.projection?.vectors.isNone ?? false),
            let collection = catalog.find(request.scope),
            collection.schema.vectors.contains(where: { $0.value.indexing.storage == .disk })
        {
            each += Self.readAlone
        }
        return each * request.ids.count
    }

    /// Candidates for a wanted recall, as far as is known; a number that is none is told later.
    private func efSearch(_ query: VectorQuery, k: Int, _ known: ShardRecall?) -> Int {
        let choice =
            known?.choice(target: query.recall, k: k)
            ?? RecallChoice(uncalibrated: query.recall, k: k)
        return choice.needsScan ? .max / 64 : choice.efSearch
    }

    private func vectorCost(
        _ query: VectorQuery, _ request: SearchRequest, hits: Int, _ root: IndexRoot,
        _ known: ShardRecall?, matches: Int
    ) -> Int {
        let named =
            query.field.isEmpty ? root.vectors.entries.first?.value : root.vectors[query.field]
        guard let index = named else { return 0 }
        let rows = index.rowCount
        // A full row takes as long as eight codes.
        if request.exact || query.recall == 1 {
            return (index.keepsRowsOnDisk ? Self.readInTurn : 8) * min(rows, matches)
        }
        let otherwise = request.hasOneBareLeg ? 0 : UInt32(Limits.candidatesDefault)
        let own = request.fusion?.candidates?.vector ?? 0
        let asked = own > 0 ? own : request.candidates == 0 ? otherwise : request.candidates
        let k = max(Int(min(asked, UInt32(Limits.hitsMax))), hits)
        let efSearch =
            query.recall > 0
            ? self.efSearch(query, k: k, known)
            : Int(min(query.efSearch, UInt32(Limits.efSearchMax)))
        let kept = index.keptCandidates(
            VectorIndex.Request(vector: [], k: k, efSearch: efSearch))
        let walked = index.probedCost(probes: Int(query.probes)) ?? 15 * kept + index.tailCount
        let isFiltered = request.filter != nil || request.timeRange != nil
        // Where little matches all of it is scanned, and no walk is begun.
        let codes = min(rows, matches, isFiltered ? walked + 4_000 : walked)
        let reranked = min(rows, 3 * max(Int(min(asked, UInt32(Limits.hitsMax))), hits) / 2 + 20)
        return codes + (index.keepsRowsOnDisk ? Self.readAlone * reranked : 0)
    }

    /// A mask takes 2 ns a row, a walk over a column 1; a facet may meet each value in another place,
    /// and a quantile takes several walks.
    private func aggregationCost(_ request: SearchRequest, slotCount: Int) -> Int {
        var rows = slotCount / 32
        for aggregation in request.aggregations.prefix(Limits.aggregationsMax) {
            rows += slotCount / 32 * (aggregation.filter?.fields.count ?? 0)
            switch aggregation.kind {
            case .count: rows += slotCount / 512
            case .histogram, .timeHistogram: rows += slotCount / 16
            case .facet: rows += slotCount / 4
            case .stats(let stats): rows += stats.quantiles.isEmpty ? slotCount / 16 : slotCount / 4
            }
        }
        return rows
    }

    /// A step of a formula takes at least one byte and about 3 ns, a look-up of a field 100 ns, of a
    /// document for its group 5 µs; diversity takes a cosine for each hit of its pool and each hit
    /// before the page's end.
    private func rankingCost(_ request: SearchRequest) -> Int {
        guard let ranking = request.ranking, !ranking.isEmpty else { return 0 }
        let candidates = max(request.candidatesInAll, Limits.candidatesDefault)
        let bytes = min(ranking.formula.utf8.count, Limits.formulaBytesMax)
        var cost = candidates * (10 + bytes) / 30
        if ranking.grouping != nil { cost += 50 * candidates }
        // A document's rows are about a hundred, each a distance for each row of the query.
        if let rescore = ranking.rescore {
            let rows = rescore.query.values.count / max(1, rescore.query.dimension)
            cost += 100 * Int(min(max(rescore.top, 100), 1_000)) * (1 + min(rows, 1_000))
        }
        if let diversity = ranking.diversity {
            let poolMax = UInt32(Limits.diversityPoolMax)
            let end = min(request.limit, poolMax) + min(request.offset, poolMax)
            let pool = Int(
                min(max(diversity.pool, end, UInt32(Limits.candidatesDefault)), poolMax))
            cost += pool * (Self.readInTurn + Int(end))
        }
        return cost
    }

    private func textCost(_ query: TextQuery, _ roots: [IndexRoot]) -> Int {
        var termsByField = FieldMap<[String]>()
        var cost = 0
        for root in roots {
            for entry in root.texts
            where query.fields.isEmpty || query.fields.contains(entry.name) {
                let text = query.node?.words ?? query.query
                let terms = termsByField[entry.name] ?? entry.value.analyze(text)
                termsByField[entry.name] = terms
                cost += entry.value.estimatedPostings(terms: terms) / 16
            }
        }
        return cost
    }
}

extension SearchRequest {
    /// One leg, whose scores are the answer's: no candidates are needed beyond the page.
    var hasOneBareLeg: Bool {
        let legs = (vector == nil ? 0 : 1) + (sparse == nil ? 0 : 1) + (text == nil ? 0 : 1)
        return legs == 1 && fusion == nil && timeDecay == nil && ranking?.isEmpty ?? true
    }

    /// Of all legs together, at most.
    var candidatesInAll: Int {
        let own = fusion?.candidates ?? LegCandidates()
        return [
            (vector != nil, own.vector), (sparse != nil, own.sparse), (text != nil, own.text),
        ].reduce(0) { sum, leg in
            let count = leg.1 > 0 ? leg.1 : max(candidates, UInt32(Limits.candidatesDefault))
            return sum + (leg.0 ? Int(min(count, UInt32(Limits.hitsMax))) : 0)
        }
    }
}

extension TextNode {
    /// Longer queries are not looked at on the caller's thread, nor those that look through a
    /// dictionary.
    fileprivate var isSlowToPlan: Bool {
        var rest = 64
        return isSlowToPlan(&rest)
    }

    private func isSlowToPlan(_ rest: inout Int) -> Bool {
        rest -= 1
        if rest < 0 { return true }
        switch kind {
        case .terms(let terms): return terms.count > 64
        case .match(let text, _, _): return text.utf8.count > 1_024
        case .phrase, .prefix, .fuzzy: return true
        case .boolean(let must, let should, let mustNot, _):
            for child in must + should + mustNot where child.isSlowToPlan(&rest) { return true }
            return false
        }
    }

    /// All that it looks for, one behind the other.
    fileprivate var words: String {
        switch kind {
        case .terms(let terms): terms.joined(separator: " ")
        case .match(let text, _, _), .phrase(let text, _), .prefix(let text, _),
            .fuzzy(let text, _, _, _):
            text
        case .boolean(let must, let should, let mustNot, _):
            (must + should + mustNot).map(\.words).joined(separator: " ")
        }
    }
}
