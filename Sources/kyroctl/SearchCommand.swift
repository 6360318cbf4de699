// kyroctl search.
import KyroClient
import KyroCommands
import KyroModel

extension Command {
    static let search = Command(
        name: "search", summary: "Find documents by vector, words, or both.",
        details: """
            At least one of --text, --vector, --like and --sparse says what to look for; with
            several, each finds its candidates and their scores are fused: a weighted sum of
            normalised scores, or reciprocal ranks with --rrf. --facet, --histogram and --stats need
            none of them: alone they count what passes the filter.

            --all-pages goes through the whole ranking as it was when the search began, --limit hits
            at a time; --paged shows the first page, and the --page-token that goes on behind it.

            In --text, +word must be there and -word must not; "a phrase" and "a phrase"~2 with words
            between; pre* and fuzz~1 for beginnings and misspellings; title:word in one field;
            word^2 counts twice; parentheses group. A backslash takes away what a character means,
            and --plain what all of them do.

            \(ReadOptions.filterHelp)

            \(formulaHelp)
            """,
        options: [
            Option("text", value: "WORDS", "rank by these words (BM25)"),
            Option("plain", "of --text: nothing but words"),
            Option("all-words", "of --text: documents with all the words in one field"),
            Option(
                "min-words", value: "N", "of --text: documents with N of the words in one field"),
            Option("text-fields", value: "NAMES", "search only these text fields"),
            Option("highlight", "show where in the texts the words were found"),
            Option("fragments", value: "N", "of --highlight: passages of each field (default 3)"),
            Option(
                "fragment-size", value: "N", "of --highlight: characters of each (default 150)"),
            Option(
                "boosts", value: "LIST", "weights of the text fields, such as title=3,body=1"),
            Option("bm25f", "score text fields together (BM25F) instead of adding up their BM25"),
            Option(
                "vector", value: "SOURCE",
                "rank by a vector: a JSON list, a file with one, a .npy file, or - for input"),
            Option("row", value: "N", "row of the .npy file, from 0 (default 0)"),
            Option("like", value: "ID", "rank by the vector of this document, which is left out"),
            Option("vector-field", value: "NAME", "which vector field (default: the only one)"),
            Option(
                "sparse", value: "JSON", "rank by {\"indices\": [1, 5], \"values\": [0.5, 2]}"),
            Option("sparse-field", value: "NAME", "which sparse field (default: the only one)"),
            ReadOptions.filter, ReadOptions.sqlNot, ReadOptions.since, ReadOptions.until,
            Option("decay", value: "TIME", "halve a score for each such age, such as 30d"),
            Option("decay-origin", value: "TIME", "where age counts from (default: now)"),
            Option("decay-shape", value: "NAME", "exponential (default), linear or gauss"),
            Option("decay-offset", value: "TIME", "age up to here counts as none"),
            Option("decay-floor", value: "SHARE", "what age leaves of a score at least"),
            Option("fusion", value: "METHOD", "weighted (default), rrf or max"),
            Option("rrf", "fuse by reciprocal ranks, as --fusion rrf"),
            Option("rrf-k", value: "N", "constant of --rrf (default 60)"),
            Option(
                "normalise", value: "NAME", "scores by min-max (default), z-score or distribution"),
            Option("weights", value: "LIST", "weights of the legs, such as vector=1,text=0.5"),
            Option("limit", short: "k", value: "N", "how many hits (default 10)"),
            Option("offset", value: "N", "leave out the best N"),
            Option("candidates", value: "N", "of each leg (100; of one alone the limit)"),
            Option("leg-candidates", value: "LIST", "of some legs, such as vector=200,text=50"),
            Option(
                "formula", value: "FORMULA",
                "makes the final score, such as 'score * (1 + 0.1 * log(1 + meta.stars))'"),
            Option("ef", value: "N", "breadth of the graph search; more is better and slower"),
            Option("probes", value: "N", "inverted lists to scan; more is better and slower"),
            Option(
                "recall", value: "SHARE",
                "share of the true best to find, such as 0.97; the server takes the breadth it needs"
            ),
            Option("exact", "compare with every vector instead of walking the graph"),
            Option(
                "rescore", value: "SOURCE",
                "rank the best hits again by MaxSim with these rows: a JSON list of lists, a file "
                    + "with one, all rows of a .npy file, or - for input"),
            Option(
                "rescore-field", value: "NAME", "which multi-vectors (default: the only ones)"),
            Option("rescore-top", value: "N", "of so many hits (default 100)"),
            Option(
                "rescore-weights", value: "MAXSIM,SCORE",
                "the score becomes MAXSIM x MaxSim + SCORE x score (default 1,0)"),
            Option("group-by", value: "FIELD", "one hit for each value of this metadata field"),
            Option(
                "per-group", value: "N", "hits of each group (default 1); --limit counts groups"),
            Option(
                "missing-group", value: "HOW",
                "documents without the field: alone (default), together or dropped"),
            Option(
                "diversify", value: "LAMBDA",
                "prefer hits unlike those before: 1 is relevance alone, 0 difference alone"),
            Option("diversity-pool", value: "N", "hits to choose from (default 100)"),
        ] + AggregationOutput.options + [
            Option("paged", "tell how to get the page behind this one"),
            Option("page-token", value: "TOKEN", "go on behind a token that was printed before"),
            Option("all-pages", "one page after the other, to the end of the ranking"),
            Option("explain", "show what each stage and shard did, and why hits rank so"),
            ReadOptions.fields, ReadOptions.minSeq, ReadOptions.asOf,
        ],
        examples: [
            ("search -n commits --text 'flow control window'", "by words"),
            (
                "search -n commits --vector queries.npy --row 3 "
                    + "--filter 'repo = \"apple/swift-nio\" and files < 10'",
                "by a vector, among few documents"
            ),
            (
                "search -n commits --like grpc-go-4d88514f0a0f --text readme "
                    + "--weights vector=1,text=0.5 --decay 365d -k 5",
                "hybrid: like that document, with a word, newer ones first"
            ),
            (
                "search -n commits --vector queries.npy --recall 0.97 --explain",
                "as good as asked, and what it took"
            ),
            (
                "search -n papers --text 'graph index' --rescore tokens.npy",
                "the best hundred by words, in the order of their token vectors"
            ),
            (
                "search -n commits --text '+\"flow control\" -window stream*' --highlight",
                "a phrase, without a word, rather with words that begin so"
            ),
            ("search -n commits --text deadlock --since 2024-01-01 --json", "for scripts"),
            (
                "search -n commits --facet repo --histogram @time:month --stats files",
                "what there is, without looking for anything"
            ),
        ],
        run: runSearch)
}

private let formulaHelp = """
    FORMULAS
      score fused decay             what fusion and --decay gave
      vector text sparse            a leg's score, also vector.norm and vector.rank
      now event_time age            in milliseconds; 30d is thirty days of them
      meta.stars meta."any name"    numbers, bools and timestamps of the document
      + - * /  < <= > >= = !=  and or not  c ? a : b  ( )
      min max abs log log2 log10 exp sqrt pow(x, y) clamp(x, low, high) if(c, a, b)
      has(x)  default(x, otherwise) for what a document or a leg lacks
      A result that is missing or not finite ranks last.
    """

private func runSearch(_ session: Session) throws -> ExitCode {
    let arguments = session.arguments
    _ = try arguments.positionals(exactly: [])
    let scope = try session.scope()
    var request = try SearchRequest.plain(session, scope: scope)
    let client = SearchClient(try session.connection())
    let limit = Int(request.limit)
    let like = arguments.string("like").map { DocumentID(argument: $0) }
    if let like {
        let vector = try vectorOf(like, client, scope, field: request.vector?.field ?? "")
        request.vector?.vector = vector
        if !request.paged { request.limit += 1 }
    }
    request.projection = try ReadOptions.projection(session, scope: scope)

    var rank = Int(request.offset) + 1
    while true {
        let start = Now.monotonicNanos
        var response = try client.search(request)
        let micros = (Now.monotonicNanos - start) / 1_000
        let found = response.hits.count
        if let like { response.hits = Array(response.hits.filter { $0.id != like }.prefix(limit)) }
        if session.isJSON {
            session.write(json(of: response, micros: micros))
        } else {
            show(response, to: request, micros: micros, firstRank: rank, session)
        }
        let token = response.nextPageToken
        guard arguments.flag("all-pages"), !token.isEmpty else {
            if !session.isJSON, !token.isEmpty {
                session.write("…go on by --page-token \(Hex.text(token))\n")
            }
            return .done
        }
        rank += found
        request.pageToken = token
        // They are those of the first page.
        request.aggregations = []
    }
}

extension SearchRequest {
    /// Everything that needs no question to the server; the vector of `--like` is still empty.
    fileprivate static func plain(_ session: Session, scope: Scope) throws -> SearchRequest {
        let arguments = session.arguments
        var request = SearchRequest(scope: scope)
        let field = arguments.string("vector-field") ?? ""
        let efSearch = UInt32(try arguments.integer("ef", in: 1...Limits.efSearchMax) ?? 0)
        let probes = UInt32(
            try arguments.integer("probes", in: 1...Int(Limits.ivfListsMax)) ?? 0)
        let recall = try arguments.share("recall") ?? 0
        if recall > 0, efSearch > 0 || probes > 0 {
            throw UsageError("--recall finds the breadth itself; leave out --ef and --probes")
        }
        if arguments.string("like") != nil, arguments.string("vector") != nil {
            throw UsageError("--vector and --like both give the vector; choose one")
        }
        if let source = arguments.string("vector") {
            let row = try arguments.integer("row", in: 0...Int(Int32.max)) ?? 0
            request.vector = VectorQuery(
                field: field, vector: try VectorSource.read(source, row: row), efSearch: efSearch,
                probes: probes, recall: recall)
        } else if arguments.string("like") != nil {
            request.vector = VectorQuery(
                field: field, vector: [], efSearch: efSearch, probes: probes, recall: recall)
        } else if efSearch > 0 || probes > 0 || recall > 0 {
            throw UsageError("--ef, --probes and --recall need --vector or --like")
        }
        if let text = arguments.string("text") {
            request.text = try textQuery(text, arguments)
        } else if let option = ["plain", "all-words", "highlight"].first(where: arguments.flag) {
            throw UsageError("--\(option) needs --text")
        } else if arguments.string("boosts") != nil || arguments.flag("bm25f") {
            throw UsageError("--boosts and --bm25f need --text")
        }
        if let text = arguments.string("sparse") {
            request.sparse = SparseQuery(
                field: arguments.string("sparse-field") ?? "",
                vector: try VectorSource.sparse(text))
        }
        request.aggregations = try AggregationOutput.aggregations(arguments)
        let hasLeg = request.vector != nil || request.text != nil || request.sparse != nil
        guard hasLeg || !request.aggregations.isEmpty else {
            throw UsageError(
                "what to look for? Give --text, --vector, --like or --sparse, or what to count: "
                    + "--facet, --histogram or --stats")
        }
        request.filter = try ReadOptions.filter(session)
        request.asOf = try ReadOptions.asOf(session)
        request.timeRange = try ReadOptions.timeRange(session)
        let origin = try arguments.time("decay-origin", nowMillis: Now.wallMillis)
        request.timeDecay = try decay(arguments, originMillis: origin)
        let ranking = try ranking(arguments)
        if !ranking.isEmpty { request.ranking = ranking }
        request.fusion = try fusion(arguments)
        let limitMin = request.aggregations.isEmpty ? 1 : 0
        request.limit = UInt32(
            try arguments.integer("limit", in: limitMin...Limits.hitsMax) ?? (hasLeg ? 10 : 0))
        request.offset = UInt32(try arguments.integer("offset", in: 0...Limits.hitsMax) ?? 0)
        request.candidates = UInt32(
            try arguments.integer("candidates", in: 1...Limits.hitsMax) ?? 0)
        request.minSeq = try ReadOptions.minSeq(session)
        request.exact = arguments.flag("exact")
        request.explain = arguments.flag("explain")
        request.paged = arguments.flag("paged") || arguments.flag("all-pages")
        if let token = arguments.string("page-token") {
            guard let bytes = Hex.bytes(token), !bytes.isEmpty else {
                throw UsageError("--page-token: \"\(token)\" is no token of a search")
            }
            request.pageToken = bytes
            request.paged = true
        }
        return request
    }

    private static func textQuery(_ text: String, _ arguments: Arguments) throws -> TextQuery {
        let fields = arguments.string("text-fields")?.split(separator: ",").map(String.init) ?? []
        var query =
            arguments.flag("plain")
            ? TextQuery(query: text, fields: fields) : try TextQuery(parsing: text, fields: fields)
        let least = try arguments.integer("min-words", in: 1...Limits.queryTermsMax)
        if arguments.flag("all-words") || least != nil {
            guard query.node == nil else {
                throw UsageError(
                    "--all-words and --min-words are of words alone, and --text has more; "
                        + "leave them out, or say --plain")
            }
            guard !arguments.flag("all-words") || least == nil else {
                throw UsageError("--all-words and --min-words exclude each other; choose one")
            }
            query.textOperator = arguments.flag("all-words") ? .all : .any
            query.minimumShouldMatch = UInt32(least ?? 0)
        }
        if let boosts = arguments.string("boosts") {
            query.boosts = try FieldMap(parsingBoosts: boosts)
        }
        if arguments.flag("bm25f") { query.scoring = .bm25f }
        let fragments = try arguments.integer("fragments", in: 1...Int(Limits.fragmentsMax))
        let size = try arguments.integer("fragment-size", in: 1...Int(Limits.fragmentSizeMax))
        if arguments.flag("highlight") {
            query.highlight = HighlightQuery(
                fragments: UInt32(fragments ?? 0), fragmentSize: UInt32(size ?? 0))
        } else if fragments != nil || size != nil {
            throw UsageError("--fragments and --fragment-size need --highlight")
        }
        return query
    }
}

/// The stored vector of one document.
private func vectorOf(
    _ id: DocumentID, _ client: SearchClient, _ scope: Scope, field: String
) throws -> [Float] {
    let vectors = field.isEmpty ? Selection.all : Selection(names: [field])
    let answer = try client.lookup(
        LookupRequest(
            scope: scope, ids: [id],
            projection: Projection(vectors: vectors, vectorEncoding: .packedF32)))
    guard let document = answer.results.first?.document else {
        throw KyroError(
            code: .notFound, reason: "DOCUMENT_NOT_FOUND",
            message: "--like: \(scope.namespace) has no document \(id.argument)")
    }
    let found = document.vectors
    guard let vector = found.entries.first?.value, found.count == 1 else {
        throw UsageError(
            found.isEmpty
                ? "--like: the document \(id.argument) has no such vector"
                : "--like: the document has the vectors \(found.names.joined(separator: ", ")); "
                    + "choose one by --vector-field")
    }
    return vector
}

private func json(of response: SearchResponse, micros: Int64) -> JSON {
    func leg(_ name: String, _ score: LegScore?) -> [JSON.Member] {
        guard let score else { return [] }
        let members = [
            JSON.Member("score", .double(Double(score.score))),
            JSON.Member("rank", .int(Int64(score.rank))),
        ]
        return [JSON.Member(name, .object(members))]
    }
    let hits = response.hits.map { hit in
        var members = [
            JSON.Member("id", JSON(hit.id)), JSON.Member("score", .double(hit.score)),
            JSON.Member("seq", JSON(hit.seq)),
        ]
        members += leg("vector", hit.vector) + leg("sparse", hit.sparse) + leg("text", hit.text)
        if let details = hit.details {
            members.append(JSON.Member("details", ExplainOutput.json(of: details)))
        }
        if let group = hit.group { members.append(JSON.Member("group", JSON(group))) }
        if !hit.highlights.isEmpty {
            let fields = hit.highlights.map { highlight in
                JSON.Member(highlight.field, .array(highlight.fragments.map { .string($0) }))
            }
            members.append(JSON.Member("highlights", .object(fields)))
        }
        if let document = hit.document {
            members.append(JSON.Member("document", .object(JSON.parts(of: document))))
        }
        return JSON.object(members)
    }
    var members = [
        JSON.Member("hits", .array(hits)), JSON.Member("seq", JSON(response.seq)),
        JSON.Member("micros", .int(micros)),
    ]
    if !response.aggregations.isEmpty {
        let results = response.aggregations.map(AggregationOutput.json)
        members.append(JSON.Member("aggregations", .array(results)))
    }
    if !response.nextPageToken.isEmpty {
        members.append(
            JSON.Member("next_page_token", .string(Hex.text(response.nextPageToken))))
    }
    if let recall = response.recall {
        members.append(JSON.Member("recall", ExplainOutput.json(of: recall)))
    }
    if let explain = response.explain {
        members.append(JSON.Member("explain", ExplainOutput.json(of: explain)))
    }
    return .object(members)
}

private func show(
    _ response: SearchResponse, to request: SearchRequest, micros: Int64, firstRank: Int,
    _ session: Session
) {
    let hits = response.hits
    let legs: [(title: String, score: (Hit) -> LegScore?)] = [
        ("vector", { $0.vector }), ("sparse", { $0.sparse }), ("text", { $0.text }),
    ]
    let shownLegs = legs.filter { leg in hits.contains { leg.score($0) != nil } }
    let isFused = shownLegs.count > 1
    let hasTime = hits.contains { $0.document?.eventTimeMillis != nil }
    let names = ReadOptions.columns(session)

    var columns: [Table.Column] = [
        .init("#", isRightAligned: true), .init("score", isRightAligned: true),
    ]
    if isFused { columns += shownLegs.map { .init($0.title, isRightAligned: true) } }
    columns.append(.init("id", widthMin: 16))
    let isGrouped = hits.contains { $0.group != nil }
    if isGrouped { columns.append(.init("group", widthMin: 8)) }
    if hasTime { columns.append(.init("time")) }
    columns += (names ?? ["document"]).map { .init($0, widthMin: 8) }

    var table = Table(columns)
    for (index, hit) in hits.enumerated() {
        var row = [String(firstRank + index), decimal(hit.score, places: 4)]
        if isFused {
            row += shownLegs.map { leg in
                leg.score(hit).map { decimal(Double($0.score), places: 4) } ?? "-"
            }
        }
        row.append(hit.id.argument)
        if isGrouped { row.append(hit.group?.cell ?? "") }
        if hasTime { row.append(hit.document?.timeCell ?? "") }
        if let names {
            row += names.map { hit.document?.cell($0) ?? "" }
        } else {
            row.append(hit.document?.gist ?? "")
        }
        table.append(row)
    }
    if !hits.isEmpty { session.write(table) }
    for (index, hit) in hits.enumerated() where !hit.highlights.isEmpty {
        session.write("\(firstRank + index). \(hit.id.argument)\n")
        for highlight in hit.highlights {
            for fragment in highlight.fragments {
                let line = String(fragment.map { $0.isNewline || $0 == "\t" ? " " : $0 })
                session.write("   \(highlight.field): \(line)\n")
            }
        }
    }
    let noun = hits.count == 1 ? "hit" : "hits"
    session.write(
        "\(hits.count) \(noun) in \(TimeSpan.text(micros: micros)), seq \(response.seq.raw)\n")
    for result in response.aggregations { AggregationOutput.show(result, session) }
    if let recall = response.recall { ExplainOutput.show(recall, session) }
    if let explain = response.explain {
        ExplainOutput.show(explain, session)
        ExplainOutput.showScores(of: response, to: request, session)
    }
}
