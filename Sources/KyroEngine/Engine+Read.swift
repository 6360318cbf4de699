// Reading: search, look-up, scan. Any thread; no lock is held while an index is searched.
import KyroIndex
import KyroModel
import KyroPlatform

extension Engine {
    /// - Parameter pool: whose idle threads may search shards beside this one, which then waits for
    ///   them; nil where the caller must not wait.
    public func search(
        _ request: SearchRequest, cancellation: Cancellation, sharing pool: WorkerPool? = nil
    ) throws(KyroError) -> SearchResponse {
        let started = time.monotonicNanos()
        let collection = try collection(of: request.scope)
        var query = try CheckedQuery(request, schema: collection.schema)
        let learned = learnedFusion(query, request, collection)
        if let learned { query.fusion = learned.fusion }
        var page: SearchPage?
        if request.isPage {
            // A tuning since the first page would order the others by other scores.
            var asked = request
            asked.fusion = query.fusion
            page = try self.page(of: asked, in: collection, cancellation: cancellation)
        }
        if let page { query.turn(to: page) }
        try waitForSequence(request.minSeq, cancellation: cancellation)
        var past = page?.lease
        if page == nil {
            past = try lease(
                request.asOf, in: collection, minSeq: request.minSeq, cancellation: cancellation)
        }
        if request.asOf != nil { query.readThePast() }
        let seen = past?.seq ?? max(clock.stable, request.minSeq)
        let nowMillis = page?.nowMillis ?? expiry.nowMillis()
        let recall = recall(of: query, in: collection)
        var execution = SearchExecution(
            query: query, recall: recall,
            views: past.map { past in
                collection.shards.map { $0.view(seq: past.seq, nowMillis: nowMillis) }
            } ?? views(of: collection, shards: router.shards(for: request), nowMillis: nowMillis),
            cancellation: cancellation, time: time, nowMillis: nowMillis)
        let planned = time.monotonicNanos()
        let ranked = try execution.run(scratches: scratches, sharing: pool)
        let highlights = try Highlights(
            query, views: execution.views, cancellation: cancellation)
        let searched = time.monotonicNanos()

        var response = SearchResponse(hits: [], seq: seen)
        response.hits.reserveCapacity(ranked.count)
        var size = AnswerSize()
        for hit in ranked {
            let view = execution.views[hit.shard]
            let rows = view.shard.rows
            var answer = Hit(
                id: rows.ids[hit.slot], score: hit.score, seq: Sequence(rows.born[hit.slot]))
            answer.vector = hit.vector
            answer.sparse = hit.sparse
            answer.text = hit.text
            if request.explain { answer.details = execution.details(of: hit) }
            if !execution.groups.isEmpty { answer.group = execution.groups[hit.key] }
            if let projection = request.projection {
                try cancellation.check()
                let document = try view.shard.document(
                    at: hit.slot, root: view.root, projection: projection)
                try size.add(document, field: "limit")
                answer.document = document
            }
            if let highlights {
                answer.highlights = try highlights.highlights(
                    of: try view.shard.storedDocument(at: hit.slot), view: hit.shard,
                    cancellation: cancellation)
                try size.add(answer.highlights, field: "text.highlight.fragments")
            }
            response.hits.append(answer)
        }
        response.vectorEncoding = request.projection?.vectorEncoding ?? .floats
        response.recall = execution.recallEstimate
        response.aggregations = execution.aggregations
        if let page, execution.hasNextPage, let last = response.hits.last {
            response.nextPageToken = page.nextToken(
                query, last: last, count: response.hits.count)
        }
        past?.isEnded = response.nextPageToken.isEmpty
        if request.explain {
            var explain = Explain()
            explain.shards = execution.answers.map(\.explain)
            explain.notes = notes(on: request, query, schema: collection.schema)
            if let learned { explain.notes.append(learned.note) }
            explain.planMicros = (planned - started) / 1_000
            explain.searchMicros = (searched - planned) / 1_000
            explain.mergeMicros = (time.monotonicNanos() - searched) / 1_000
            explain.add(execution.legExplains)
            explain.stages = execution.stages.micros
            explain.stages?.fetch = explain.mergeMicros
            response.explain = explain
        }
        return response
    }

    /// What is known of the recall of the field that is asked, where somebody has wanted to know;
    /// this query is one of those to learn it from.
    private func recall(of query: CheckedQuery, in collection: Collection) -> FieldRecall? {
        guard let leg = query.vector else { return nil }
        var known = collection.recall.field(leg.field)
        if leg.recall > 0, let field = collection.schema.vectors[leg.field] {
            let (asked, isNews) = collection.recall.ask(
                field, leg.field, k: query.candidates(of: .vector), shardCount: shards.count)
            if isNews { recallGate.open() }
            known = asked
        }
        guard let known else { return nil }
        if known.note(leg.vector) { recallGate.open() }
        return known
    }

    public func lookup(
        _ request: LookupRequest, cancellation: Cancellation
    ) throws(KyroError) -> LookupResponse {
        // Documents on other shards are beyond doubt while one is stopped.
        let isWhole = shards.allSatisfy { $0.state != .stopped }
        let collection = try collection(
            of: request.scope,
            inShards: isWhole ? [] : Set(request.ids.map { router.home(of: $0) }))
        guard request.ids.count <= Limits.lookupIDsMax else {
            throw .overLimit(
                "ids", "has \(request.ids.count) entries; the limit is \(Limits.lookupIDsMax)")
        }
        for (index, id) in request.ids.enumerated() {
            try NameValidation.check(id, field: "ids[\(index)]")
        }
        try waitForSequence(request.minSeq, cancellation: cancellation)
        let past = try lease(
            request.asOf, in: collection, minSeq: request.minSeq, cancellation: cancellation)
        let seen = past?.seq ?? max(clock.stable, request.minSeq)
        let nowMillis = expiry.nowMillis()
        // Of the shards that are asked alone.
        var views = [CollectionView?](repeating: nil, count: shards.count)
        let projection = request.projection ?? .everything
        var response = LookupResponse(results: [], seq: seen)
        response.results.reserveCapacity(request.ids.count)
        var size = AnswerSize()
        for (index, id) in request.ids.enumerated() {
            if index % 16 == 15 { try cancellation.check() }
            let home = router.home(of: id)
            let view =
                views[home]
                ?? (past.map { collection.shard(home).view(seq: $0.seq, nowMillis: nowMillis) }
                    ?? latestView(of: collection, shard: home, nowMillis: nowMillis))
            views[home] = view
            guard let slot = view.slot(of: id) else {
                response.results.append(LookupResult(id: id, document: nil, seq: .zero))
                continue
            }
            let document = try view.shard.document(
                at: slot, root: view.root, projection: projection)
            try size.add(document, field: "ids")
            response.results.append(
                LookupResult(
                    id: id, document: document, seq: Sequence(view.shard.rows.born[slot])))
        }
        response.vectorEncoding = projection.vectorEncoding
        past?.isEnded = true
        return response
    }

    /// Gathers what matches; `ScanCursor.next` then returns it piece by piece.
    public func scan(
        _ request: ScanRequest, cancellation: Cancellation
    ) throws(KyroError) -> ScanCursor {
        let collection = try collection(of: request.scope)
        if let filter = request.filter {
            try FilterValidation.check(filter, collection.schema)
        }
        _ = try CheckedQuery.check(request.timeRange)
        let order = try ScanOrder(request.orderBy, schema: collection.schema)
        let token =
            request.resumeToken.isEmpty ? nil : try ScanToken(decoding: request.resumeToken)
        if let token, token.orderHash != order.hash {
            throw KyroError(
                .tokenInvalid,
                "resume_token belongs to a scan in another order; repeat its order_by",
                field: "resume_token")
        }
        // One sequence for all shards, and none that was acknowledged lies above it.
        // A token names its own sequence.
        let lease = try lease(
            token?.seq, orAsOf: token == nil ? request.asOf : nil, in: collection,
            minSeq: request.minSeq, field: "resume_token", cancellation: cancellation)
        let nowMillis = expiry.nowMillis()
        if request.filter != nil || request.timeRange != nil || !order.isByID {
            for part in collection.shards { try part.requireMetadata() }
        }
        return try ScanCursor(
            views: collection.shards.map { $0.view(seq: lease.seq, nowMillis: nowMillis) },
            request: request, order: order, lease: lease, after: token?.after,
            cancellation: cancellation)
    }

    /// Waits until every shard has published `seq`, which takes one commit at most.
    func waitForSequence(
        _ seq: Sequence, cancellation: Cancellation
    ) throws(KyroError) {
        guard seq > clock.stable else { return }
        guard seq <= clock.latest else {
            throw KyroError(
                .seqNotReached,
                "min_seq is \(seq.raw), but the highest sequence written is \(clock.latest.raw)",
                field: "min_seq")
        }
        let pause = Gate()
        let deadline = time.monotonicNanos() + 5_000_000_000
        while seq > clock.stable {
            try cancellation.check()
            guard time.monotonicNanos() < deadline else {
                throw KyroError(
                    .seqNotReached,
                    "min_seq \(seq.raw) was not published within 5 s; stable is \(clock.stable.raw)",
                    field: "min_seq", retryAfterMillis: 100)
            }
            _ = pause.wait(timeoutNanos: 100_000)
        }
    }

    func views(
        of collection: Collection, shards indices: [Int], nowMillis: Int64
    ) -> [CollectionView] {
        // Each shard at its latest published state: the sequence is read before the part, and the
        // row count after it. A part that took another's place in between may have dropped what died
        // since that sequence.
        return indices.map { latestView(of: collection, shard: $0, nowMillis: nowMillis) }
    }

    private func latestView(
        of collection: Collection, shard index: Int, nowMillis: Int64
    ) -> CollectionView {
        while true {
            let seq = shards[index].published
            let part = collection.shard(index)
            if part.horizon <= seq { return part.view(seq: seq, nowMillis: nowMillis) }
        }
    }

    private func notes(
        on request: SearchRequest, _ query: CheckedQuery, schema: Schema
    ) -> [String] {
        var notes: [String] = []
        for field in request.filter?.fields ?? [] where schema.metadata[field] == nil {
            notes.append(
                "filter field \"\(field)\" is unknown to the collection: it matches nothing")
        }
        for aggregation in request.aggregations {
            guard let field = aggregation.field, !field.isEmpty, schema.metadata[field] == nil
            else { continue }
            notes.append(
                "aggregation field \"\(field)\" is unknown to the collection: no document has it")
        }
        for field in query.ranking?.formula?.fields ?? [] where schema.metadata[field.name] == nil {
            notes.append(
                "formula field \"\(field.name)\" is unknown to the collection: it is missing "
                    + "everywhere")
        }
        if let field = query.ranking?.rescore?.field, schema.multiVectors[field] == nil {
            notes.append(
                "rescore field \"\(field)\" is unknown to the collection: MaxSim is 0 everywhere")
        }
        return notes
    }
}

/// Bounds what one answer builds in memory.
private struct AnswerSize {
    private var byteCount = 0

    mutating func add(_ highlights: [Highlight], field: String) throws(KyroError) {
        for highlight in highlights {
            byteCount += highlight.fragments.reduce(0) { $0 + $1.utf8.count }
        }
        try check(field)
    }

    /// - Parameter field: what the caller can lower.
    mutating func add(_ document: Document, field: String) throws(KyroError) {
        byteCount += document.approximateByteCount
        try check(field)
    }

    private func check(_ field: String) throws(KyroError) {
        guard byteCount <= Limits.answerBytesMax else {
            throw KyroError(
                .messageTooLarge,
                "\(field): the answer takes more than \(Limits.answerBytesMax) bytes; ask for fewer "
                    + "documents, or for fewer of their fields by projection", field: field)
        }
    }
}

extension Engine {
    /// Whether a read that demands `seq` has to wait for a commit, and so must not run on a loop.
    public func mustWait(for seq: Sequence) -> Bool { seq > clock.stable }
}
