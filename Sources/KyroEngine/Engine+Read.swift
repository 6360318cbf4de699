// Reading: search, look-up, scan. Any thread; no lock is held while an index is searched.
import KyroIndex
import KyroModel
import KyroPlatform

extension Engine {
    /// What a search will cost, in distance evaluations of about 0.1 µs; the caller decides by it
    /// where the search runs. An error in the request is left for `search` to report.
    public func estimatedCost(_ request: SearchRequest) -> Int {
        guard let collection = catalog.find(request.scope) else { return 0 }
        if request.minSeq > clock.stable { return .max }
        var cost = 0
        for shard in collection.shards {
            let rows = shard.slotCount
            let root = shard.currentRoot
            if request.filter != nil || request.timeRange != nil { cost += rows / 32 }
            if let query = request.vector {
                let index =
                    query.field.isEmpty ? root.vectors.values.first : root.vectors[query.field]
                if let index {
                    let indexRows = index.rowCount
                    let walked = 1_500 + 10 * Int(min(query.efSearch, 10_000)) + index.tailCount
                    cost += request.exact ? 8 * indexRows : min(indexRows, walked)
                    if request.filter != nil { cost += min(indexRows, 4_000) }
                }
            }
            if let query = request.text {
                for (name, index) in root.texts
                where query.fields.isEmpty || query.fields.contains(name) {
                    cost += index.estimatedPostings(terms: index.analyze(query.query)) / 16
                }
            }
            if let query = request.sparse {
                let index =
                    query.field.isEmpty ? root.sparse.values.first : root.sparse[query.field]
                cost += (index?.estimatedPostings(query: query.vector) ?? 0) / 16
            }
        }
        return cost
    }

    public func search(
        _ request: SearchRequest, cancellation: Cancellation
    ) throws(KyroError) -> SearchResponse {
        let started = time.monotonicNanos()
        let collection = try collection(of: request.scope)
        let query = try CheckedQuery(request, schema: collection.schema)
        try waitForSequence(request.minSeq, cancellation: cancellation)
        let seen = clock.stable
        let nowMillis = time.wallMillis()
        var execution = SearchExecution(
            query: query,
            views: views(of: collection, shards: router.shards(for: request), nowMillis: nowMillis),
            cancellation: cancellation, time: time, nowMillis: nowMillis)
        let planned = time.monotonicNanos()
        var scratch = takeScratch()
        defer { giveBack(scratch) }
        let ranked = try execution.run(scratch: &scratch)
        let searched = time.monotonicNanos()

        var response = SearchResponse(hits: [], seq: seen)
        response.hits.reserveCapacity(ranked.count)
        var room = AnswerRoom(cancellation: cancellation)
        for hit in ranked {
            let view = execution.views[hit.shard]
            let rows = view.shard.rows
            var answer = Hit(
                id: rows.ids[hit.slot], score: hit.score, seq: Sequence(rows.born[hit.slot]))
            answer.vector = hit.vector
            answer.sparse = hit.sparse
            answer.text = hit.text
            if let projection = request.projection {
                let document = try view.shard.document(
                    at: hit.slot, root: view.root, projection: projection)
                try room.take(document, field: "limit")
                answer.document = document
            }
            response.hits.append(answer)
        }
        response.vectorEncoding = request.projection?.vectorEncoding ?? .floats
        if request.explain {
            var explain = Explain()
            explain.shards = execution.explains
            explain.notes = notes(on: request, schema: collection.schema)
            explain.planMicros = (planned - started) / 1_000
            explain.searchMicros = (searched - planned) / 1_000
            explain.mergeMicros = (time.monotonicNanos() - searched) / 1_000
            response.explain = explain
        }
        return response
    }

    public func lookup(
        _ request: LookupRequest, cancellation: Cancellation
    ) throws(KyroError) -> LookupResponse {
        let collection = try collection(of: request.scope)
        guard request.ids.count <= Limits.lookupIDsMax else {
            throw .overLimit(
                "ids", "has \(request.ids.count) entries; the limit is \(Limits.lookupIDsMax)")
        }
        for (index, id) in request.ids.enumerated() {
            try NameValidation.check(id, field: "ids[\(index)]")
        }
        try waitForSequence(request.minSeq, cancellation: cancellation)
        let seen = clock.stable
        let views = views(
            of: collection, shards: Array(0..<shards.count), nowMillis: time.wallMillis())
        let projection = request.projection ?? .everything
        var response = LookupResponse(results: [], seq: seen)
        response.results.reserveCapacity(request.ids.count)
        var room = AnswerRoom(cancellation: cancellation)
        for id in request.ids {
            let view = views[router.home(of: id)]
            guard let slot = view.slot(of: id) else {
                response.results.append(LookupResult(id: id, document: nil, seq: .zero))
                continue
            }
            let document = try view.shard.document(
                at: slot, root: view.root, projection: projection)
            try room.take(document, field: "ids")
            response.results.append(
                LookupResult(
                    id: id, document: document, seq: Sequence(view.shard.rows.born[slot])))
        }
        response.vectorEncoding = projection.vectorEncoding
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
        // One sequence for all shards, and none that was acknowledged lies above it.
        let published = shards.reduce(request.minSeq) { max($0, $1.published) }
        try waitForSequence(published, cancellation: cancellation)
        var seq = clock.stable
        var after: DocumentID?
        if !request.resumeToken.isEmpty {
            let token = try ScanToken(decoding: request.resumeToken)
            guard token.seq <= seq else {
                throw KyroError(
                    .tokenInvalid,
                    "resume_token names sequence \(token.seq.raw), which this server has not reached",
                    field: "resume_token")
            }
            seq = token.seq
            after = token.after
        }
        let nowMillis = time.wallMillis()
        return try ScanCursor(
            views: collection.shards.map { $0.view(seq: seq, nowMillis: nowMillis) },
            request: request, seq: seq, after: after, cancellation: cancellation)
    }

    /// Waits until every shard has published `seq`, which takes one commit at most.
    private func waitForSequence(
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

    private func views(
        of collection: Collection, shards indices: [Int], nowMillis: Int64
    ) -> [CollectionView] {
        let parts = collection.shards
        // Each shard at its latest published state: the sequence is read before the row count.
        return indices.map { index in
            let seq = shards[index].published
            return parts[index].view(seq: seq, nowMillis: nowMillis)
        }
    }

    private func notes(on request: SearchRequest, schema: Schema) -> [String] {
        var notes: [String] = []
        for field in request.filter?.fields ?? [] where schema.metadata[field] == nil {
            notes.append(
                "filter field \"\(field)\" is unknown to the collection: it matches nothing")
        }
        return notes
    }
}

extension Filter {
    /// Names of the fields it looks at, in order of appearance.
    var fields: [String] {
        switch self {
        case .all(let filters), .any(let filters): filters.flatMap(\.fields)
        case .not(let filter): filter.fields
        case .equals(let field, _), .isIn(let field, _), .range(let field, _, _),
            .exists(let field), .prefix(let field, _):
            [field]
        }
    }
}

extension Engine {
    /// Whether a read that demands `seq` has to wait for a commit, and so must not run on a loop.
    public func mustWait(for seq: Sequence) -> Bool { seq > clock.stable }
}

/// Keeps the documents of one answer within their limit, and looks now and then whether anybody
/// still waits for them.
private struct AnswerRoom {
    let cancellation: Cancellation
    private var byteCount = 0
    private var documentCount = 0

    init(cancellation: Cancellation) { self.cancellation = cancellation }

    /// - Parameter field: of the request, where one asks for less.
    mutating func take(_ document: Document, field: String) throws(KyroError) {
        documentCount += 1
        if documentCount % 256 == 0 { try cancellation.check() }
        byteCount += document.approximateByteCount
        guard byteCount <= Limits.answerBytesMax else {
            throw .overLimit(
                field,
                "asks for more than \(Limits.answerBytesMax) bytes of documents in one answer; "
                    + "ask for fewer, for fewer fields, or scan")
        }
    }
}
