// One page of a ranking that stays as it was when the first was read.
import KyroModel

/// The moment and the place of a page. All pages read at one sequence, which the lease keeps for
/// them, and with the statistics of then.
struct SearchPage {
    let lease: ScanLease
    let nowMillis: Int64
    let requestHash: UInt64
    /// Nil for the first.
    let token: PageToken?

    /// Hits before this page.
    func passed(_ query: CheckedQuery) -> Int { token.map { Int($0.passed) } ?? query.offset }

    /// Takes out of the hits what earlier pages showed; whether a page follows.
    func leavePassed(
        _ hits: inout [RankedHit], _ query: CheckedQuery, _ views: [CollectionView]
    ) -> Bool {
        let found = hits.count
        if let token {
            let id = token.id
            hits.removeAll { hit in
                if hit.score != token.score { return hit.score > token.score }
                return !(id < views[hit.shard].shard.rows.ids[hit.slot])
            }
        }
        let end = passed(query) + query.limit
        if end >= Limits.hitsMax || query.limit == 0 { return false }
        // A leg that could be longer was asked for one more than the page needs at least.
        return hits.count > query.limit + query.offset
            || query.candidatesGrow && found >= query.candidates
    }

    /// Of the page behind the last of these hits.
    func nextToken(_ query: CheckedQuery, last: Hit, count: Int) -> [UInt8] {
        PageToken(
            requestHash: requestHash, seq: lease.seq, nowMillis: nowMillis,
            candidates: query.candidatesGrow ? 0 : UInt32(query.candidates),
            passed: UInt32(passed(query) + count), score: last.score, id: last.id
        ).encoded()
    }
}

extension CheckedQuery {
    /// Makes this query that of a page.
    mutating func turn(to page: SearchPage) {
        self.page = page
        isOfThePast = true
        limit = min(limit, Limits.hitsMax - page.passed(self))
        if candidatesGrow {
            candidates = max(candidates, page.passed(self) + limit + 1)
            candidates = min(candidates, Limits.hitsMax)
        } else if let token = page.token {
            candidates = max(1, Int(token.candidates))
        }
    }
}

extension Engine {
    /// The moment and place that a request for a page names; a first page is about now.
    func page(
        of request: SearchRequest, in collection: Collection, cancellation: Cancellation
    ) throws(KyroError) -> SearchPage {
        let hash = request.pageHash
        var token: PageToken?
        if !request.pageToken.isEmpty {
            let given = try PageToken.decode(request.pageToken)
            guard given.requestHash == hash else {
                throw KyroError(
                    .tokenInvalid,
                    "page_token belongs to another request: repeat the one that it came from, of "
                        + "which limit, projection, aggregations, min_seq and explain may differ; "
                        + "a tuning of the collection since then makes it another one, too",
                    field: "page_token")
            }
            token = given
        }
        let lease = try lease(
            token?.seq, orAsOf: request.asOf, in: collection,
            minSeq: token == nil ? request.minSeq : .zero, field: "page_token",
            cancellation: cancellation)
        return SearchPage(
            lease: lease, nowMillis: token?.nowMillis ?? expiry.nowMillis(), requestHash: hash,
            token: token)
    }

    /// A hold on one sequence for all shards: the one that a token names, or else that of `asOf`, or
    /// one that nothing acknowledged lies above.
    /// - Parameter field: of the request, where the token was.
    func lease(
        _ asked: Sequence?, orAsOf asOf: AsOf?, in collection: Collection, minSeq: Sequence,
        field: String, cancellation: Cancellation
    ) throws(KyroError) -> ScanLease {
        if asked == nil, asOf != nil {
            let past = try lease(
                asOf, in: collection, minSeq: minSeq, cancellation: cancellation)
            if let past { return past }
        }
        while true {
            let published = shards.reduce(minSeq) { max($0, $1.published) }
            try waitForSequence(published, cancellation: cancellation)
            // What was stable once stays published, though a writer that is about to begin may make
            // the clock's own answer fall back for a moment.
            let latest = max(published, clock.stable)
            let seq = asked ?? latest
            guard seq <= latest else {
                throw KyroError(
                    .tokenInvalid,
                    "\(field) names sequence \(seq.raw), which this server has not reached",
                    field: field)
            }
            if let lease = collection.leases.take(seq, time: time) { return lease }
            if asked != nil {
                throw KyroError(
                    .tokenExpired,
                    "\(field) names sequence \(seq.raw), of which versions have been dropped since; "
                        + "start again without it", field: field)
            }
        }
    }
}
