// Structured text queries and highlights through the engine: the same for every number of shards.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import Testing

@Suite struct StructuredTextQueryTests {
    private static let scope = Scope(namespace: "texts")

    private static func life(shardCount: Int) throws -> SteppedEngine {
        var configuration = EngineConfiguration(path: "/db")
        configuration.shardCount = shardCount
        let stepped = try SteppedEngine(
            seed: 7, MemoryFileSystem(), configuration,
            clock: ManualClock(nanos: 1, wallMillis: 1_000_000))
        var schema = Schema()
        schema.texts["title"] = TextField()
        schema.texts["body"] = TextField()
        var dice = Dice(seed: 99)
        let words = [
            "flow", "control", "window", "windows", "stream", "streams", "streaming", "of", "the",
            "deadlock", "dead", "lock", "flown", "flows", "contrl",
        ]
        func text(_ count: Int) -> String {
            (0..<dice.below(count)).map { _ in dice.pick(words) }.joined(separator: " ")
        }
        for round in 0..<4 {
            var batch: [Mutation] = []
            for id in 0..<60 where round == 0 || dice.chance(30) {
                if round > 0, dice.chance(30) {
                    batch.append(.remove(.number(UInt64(id))))
                    continue
                }
                var document = Document(id: .number(UInt64(id)))
                document.texts["title"] = text(5)
                document.texts["body"] = text(20)
                document.metadata["n"] = .int64(Int64(id % 5))
                batch.append(.upsert(document))
            }
            try stepped.write(batch, to: scope, creating: schema)
        }
        return stepped
    }

    private static let queries: [TextQuery] = {
        var all: [TextQuery] = []
        func add(_ node: TextNode, fields: [String] = []) {
            var query = TextQuery(query: "", fields: fields)
            query.node = node
            all.append(query)
        }
        add(.match("flow control"))
        add(TextNode(.phrase("flow control", slop: 0)))
        add(TextNode(.phrase("flow of the control", slop: 0)), fields: ["body"])
        add(TextNode(.phrase("control flow window", slop: 4)))
        add(TextNode(.prefix("str", expansions: 1)))
        add(TextNode(.prefix("d", expansions: 0)))
        add(TextNode(.fuzzy("contorl", edits: 2, prefixLength: 1, expansions: 2)))
        add(
            .boolean(
                must: [.match("flow")],
                should: [TextNode(.fuzzy("dedlock", edits: 1, prefixLength: 0, expansions: 0))],
                mustNot: [
                    TextNode(.match("window", .any, minimumShouldMatch: 0), fields: ["title"])
                ]
            ))
        add(.boolean(must: [.match("the")], should: [.match("lock")]))
        add(TextNode(.terms(["stream", "nothing"])))
        for (words, operation, least) in [
            ("flow control window", TextOperator.all, 0), ("flow dead stream", .any, 2),
        ] {
            var query = TextQuery(query: words)
            query.textOperator = operation
            query.minimumShouldMatch = UInt32(least)
            all.append(query)
        }
        return all
    }()

    @Test func answersDoNotDependOnTheNumberOfShards() throws {
        let lives = try [1, 2, 7].map(Self.life)
        for (number, query) in Self.queries.enumerated() {
            for isFiltered in [false, true] {
                var request = SearchRequest(scope: Self.scope)
                request.text = query
                request.text?.highlight = HighlightQuery(fragmentSize: 40)
                request.limit = 25
                if isFiltered { request.filter = .equals(field: "n", .int64(2)) }
                let answers = try lives.map { try $0.search(request).hits.map(Self.comparable) }
                #expect(!answers[0].isEmpty || isFiltered, "query \(number)")
                #expect(answers[0] == answers[1] && answers[0] == answers[2], "query \(number)")
            }
        }
        for life in lives { life.engine.close() }
    }

    /// But for the sequence.
    private static func comparable(_ hit: Hit) -> Hit {
        var hit = hit
        hit.seq = .zero
        return hit
    }

    @Test func aMatchOfAnyTermIsThePlainQuery() throws {
        let life = try Self.life(shardCount: 2)
        var request = SearchRequest(scope: Self.scope)
        request.limit = 60
        request.text = TextQuery(query: "flow of streams, dead or alive")
        let plain = try life.search(request).hits
        request.text = TextQuery(query: "")
        request.text?.node = .match("flow of streams, dead or alive")
        let tree = try life.search(request).hits
        #expect(!plain.isEmpty && plain.map(\.id) == tree.map(\.id))
        for (a, b) in zip(plain, tree) { #expect(abs(a.score - b.score) < 1e-6) }
        life.engine.close()
    }

    @Test func highlightsMarkTheWordsOfTheText() throws {
        var configuration = EngineConfiguration(path: "/db")
        configuration.shardCount = 1
        let life = try SteppedEngine(
            seed: 1, MemoryFileSystem(), configuration, clock: ManualClock(nanos: 1, wallMillis: 1))
        var schema = Schema()
        schema.texts["body"] = TextField()
        schema.texts["code"] = TextField(analyzer: .code)
        var document = Document(id: .number(1))
        document.texts["body"] = "Streams, and the streaming of a Stream; nothing else here."
        document.texts["code"] = "let x = parseHTTPRequest(y)"
        try life.write([.upsert(document)], to: Self.scope, creating: schema)
        var request = SearchRequest(scope: Self.scope)
        request.text = TextQuery(query: "stream request")
        request.text?.highlight = HighlightQuery(before: "[", after: "]")
        #expect(
            try life.search(request).hits.first?.highlights == [
                Highlight(
                    field: "body",
                    fragments: [
                        "[Streams], and the [streaming] of a [Stream]; nothing else here."
                    ]),
                Highlight(field: "code", fragments: ["let x = parseHTTP[Request](y)"]),
            ])
        request.text?.highlight = HighlightQuery(
            fields: ["body"], fragments: 1, fragmentSize: 24)
        #expect(
            try life.search(request).hits.first?.highlights == [
                Highlight(
                    field: "body", fragments: ["<em>streaming</em> of a <em>Stream</em>;"])
            ])
        life.engine.close()
    }

    @Test func errorsNameTheField() throws {
        let life = try Self.life(shardCount: 1)
        func refusal(_ change: (inout TextQuery) -> Void) -> KyroError? {
            var request = SearchRequest(scope: Self.scope)
            var query = TextQuery(query: "")
            change(&query)
            request.text = query
            do {
                _ = try life.search(request)
                return nil
            } catch { return error as? KyroError }
        }
        #expect(
            refusal {
                $0.query = "x"
                $0.node = .match("y")
            }?.field == "text.query")
        #expect(
            refusal {
                $0.node = .match("y")
                $0.textOperator = .all
            }?.field == "text.operator")
        #expect(
            refusal {
                $0.query = "x"
                $0.textOperator = .all
                $0.minimumShouldMatch = 1
            }?.field == "text.minimum_should_match")
        #expect(refusal { $0.node = .match("") }?.field == "text.node.match.text")
        #expect(
            refusal {
                $0.query = "x"
                $0.highlight = HighlightQuery(fields: ["no"])
            }?.field == "text.highlight.fields")
        #expect(
            refusal {
                $0.query = "x"
                $0.highlight = HighlightQuery(fragments: 101)
            }?.field == "text.highlight.fragments")
        life.engine.close()
    }
}
