// What answers are worth: recall against exact search, rows scored, and nDCG where there are
// judgements.
import Glibc
import KyroClient
import KyroModel

struct Quality: Sendable {
    /// Mean share of the exact ten that the default search found.
    var recall = 0.0
    /// Where the exact ten come from.
    var recallAgainst = ""
    /// Mean distance evaluations per query over the documents, in percent.
    var rowsScoredPercent = 0.0
    /// Of filtered searches, by the data set's own exact answers.
    var filteredRecall: Double?
    var missingLookups = 0
    var emptySearches = 0
    /// nDCG@10 by name of the run.
    var ndcg: [(name: String, value: Double)] = []
    var hash: UInt64 = 0
}

struct QualityRun {
    let workload: Workload
    let connection: Connection
    let queriesMax: Int

    static let depth = 10

    private var data: DataSet { workload.data }

    func measure() throws -> Quality {
        var quality = Quality()
        try checkLookups(&quality)
        try measureRecall(&quality)
        try measureFilteredRecall(&quality)
        if !data.judgements.isEmpty {
            quality.ndcg = try relevance()
        }
        return quality
    }

    private func relevance() throws -> [(name: String, value: Double)] {
        let bm25 = try ndcg { request, query, _ in request.text = TextQuery(query: query.text) }
        let dense = try ndcg { request, _, index in
            request.vector = VectorQuery(vector: data.queryVectors.row(index))
            request.exact = true
        }
        let hybrid = try [FusionMethod.weighted, .rrf].map { method in
            try ndcg { request, query, index in
                request.text = TextQuery(query: query.text)
                request.vector = VectorQuery(vector: data.queryVectors.row(index))
                request.fusion = Fusion(method: method)
            }
        }
        return [
            ("bm25", bm25), ("dense exact", dense), ("hybrid", hybrid[0]),
            ("hybrid, rrf", hybrid[1]),
        ]
    }

    /// Every document of the corpus, a thousand at a time.
    private func checkLookups(_ quality: inout Quality) throws {
        let client = SearchClient(connection)
        for start in stride(from: 0, to: data.corpus.count, by: 1_000) {
            let ids = data.corpus[start..<min(start + 1_000, data.corpus.count)].map(\.id)
            let answer = try client.lookup(
                LookupRequest(scope: workload.scope, ids: ids, projection: Projection()))
            quality.missingLookups += answer.results.count { $0.document == nil }
        }
    }

    private func measureRecall(_ quality: inout Quality) throws {
        let client = SearchClient(connection)
        let count = min(queriesMax, data.queries.count)
        var found = 0
        var wanted = 0
        var scored: UInt64 = 0
        var hash = ResultHash()
        quality.recallAgainst = data.truth == nil ? "exact search" : "gt_queries_ids.npy"
        for query in 0..<count {
            var request = SearchRequest(scope: workload.scope)
            request.vector = VectorQuery(vector: data.queryVectors.row(query))
            let exact: [DocumentID]
            if let truth = data.truth {
                exact = truth[query].prefix(Self.depth).map { data.corpus[$0].id }
            } else {
                request.exact = true
                exact = try client.search(request).hits.map(\.id)
                request.exact = false
            }
            request.explain = true
            let answer = try client.search(request)
            let ids = answer.hits.map(\.id)
            for id in ids { hash.add(id) }
            if ids.isEmpty { quality.emptySearches += 1 }
            found += Set(exact).intersection(ids).count
            wanted += exact.count
            for shard in answer.explain?.shards ?? [] { scored += shard.rowsScored }
        }
        quality.recall = Double(found) / Double(max(1, wanted))
        quality.rowsScoredPercent =
            100 * Double(scored) / Double(max(1, count) * data.corpus.count)
        quality.hash = hash.value
    }

    private func measureFilteredRecall(_ quality: inout Quality) throws {
        guard !data.filteredTruth.isEmpty else { return }
        let client = SearchClient(connection)
        var found = 0
        var wanted = 0
        for truth in data.filteredTruth.prefix(queriesMax) {
            var request = SearchRequest(scope: workload.scope)
            request.vector = VectorQuery(vector: data.queryVectors.row(truth.query))
            request.filter = truth.filter
            let ids = try client.search(request).hits.map(\.id)
            let exact = truth.rows.prefix(Self.depth).map { data.corpus[$0].id }
            found += Set(exact).intersection(ids).count
            wanted += exact.count
        }
        quality.filteredRecall = Double(found) / Double(max(1, wanted))
    }

    /// Mean nDCG@10 over the judged queries.
    private func ndcg(
        _ ask: (inout SearchRequest, QueryRow, Int) -> Void
    ) throws -> Double {
        let client = SearchClient(connection)
        var sum = 0.0
        var count = 0
        for (index, query) in data.queries.enumerated() {
            guard let judged = data.judgements[query.id] else { continue }
            guard judged.values.contains(where: { $0 > 0 }) else { continue }
            var request = SearchRequest(scope: workload.scope)
            ask(&request, query, index)
            request.limit = UInt32(Self.depth)
            let hits = try client.search(request).hits
            sum += Relevance.ndcg(hits.map(\.id), judged)
            count += 1
        }
        return sum / Double(max(1, count))
    }
}
