// Structured text queries against brute force, over documents that come, change and go.
import KyroIndex
import KyroModel
import TestSupport
import Testing

/// Two text fields over some shards.
private struct Collection {
    static let names = ["body", "title"]
    let field: TextField
    var shards: [(fields: [TextIndex], rows: Rows)] = []
    /// Shard, slot and texts of every version; dead ones are no longer in `live`.
    var versions: [(shard: Int, slot: Int, texts: [String])] = []
    var live: [Int] = []

    init(shardCount: Int, parameters: BM25Parameters) {
        field = TextField(bm25: parameters, stopWords: .list(["the"]), stems: false)
        for _ in 0..<shardCount {
            shards.append(([TextIndex(field: field), TextIndex(field: field)], Rows()))
        }
    }

    mutating func insert(_ texts: [String]) {
        let shard = versions.count % shards.count
        let slot = shards[shard].rows.append()
        for (index, text) in zip(shards[shard].fields, texts) { index.append(text, slot: slot) }
        live.append(versions.count)
        versions.append((shard, slot.index, texts))
    }

    mutating func remove(at position: Int) {
        let (shard, slot, texts) = versions[live.remove(at: position)]
        for (index, text) in zip(shards[shard].fields, texts) {
            index.remove(text, slot: Slot(index: slot))
        }
        shards[shard].rows.kill(slot)
    }

    func publish() { for shard in shards { shard.rows.publish() } }

    var oracle: TextTreeOracle {
        var documents: [Int: [OracleText]] = [:]
        for version in live { documents[version] = versions[version].texts.map(OracleText.init) }
        return TextTreeOracle(
            documents: documents, fieldNames: Self.names, parameters: field.bm25)
    }

    func search(
        _ node: TextNode, k: Int, isWanted: ((Int) -> Bool)? = nil
    ) throws -> [(version: Int, score: Float)] {
        var planner = TextPlanner(
            fields: Self.names.enumerated().map { number, name in
                TextPlanner.Field(
                    name: name, model: shards[0].fields[number],
                    shards: shards.map { $0.fields[number] })
            }, cancellation: Cancellation())
        let plan = try planner.plan(node)
        var counters = SearchCounters()
        var merged: [(version: Int, score: Float)] = []
        for (number, shard) in shards.enumerated() {
            let visibility = shard.rows.visibility()
            var mask: SlotMask?
            if let isWanted {
                var wanted = SlotMask(slotCount: visibility.slotCount)
                for slot in 0..<visibility.slotCount
                where isWanted(slot * shards.count + number) {
                    wanted.insert(slot)
                }
                mask = wanted
            }
            let hits = try StructuredTextSearch.run(
                plan, indexes: shard.fields, k: k, visibility: visibility, mask: mask,
                order: SlotsAreIDs(), counters: &counters, cancellation: Cancellation())
            merged += hits.map { ($0.slot * shards.count + number, $0.score) }
        }
        merged.sort { ($1.score, $0.version) < ($0.score, $1.version) }
        return Array(merged.prefix(k))
    }
}

extension SeededGenerator {
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    /// Few words, near each other in spelling, and some that are no terms.
    mutating func word() -> String {
        let words = [
            "ab", "abc", "abcd", "abdc", "bacd", "abce", "xbcd", "a", "b", "ba", "the", "the",
            "abcdef", "abcdfe", "über", "ubër",
        ]
        return words[below(words.count)]
    }

    mutating func text(_ countMax: Int) -> String {
        (0..<below(countMax + 1)).map { _ in word() }.joined(separator: " ")
    }

    mutating func node(depth: Int) -> TextNode {
        var node: TextNode
        switch below(depth > 0 ? 9 : 6) {
        case 0: node = TextNode(.terms((0...below(2)).map { _ in word() }))
        case 1:
            let isAll = below(2) == 0
            node = TextNode(
                .match(
                    text(3) + " " + word(), isAll ? .all : .any,
                    minimumShouldMatch: isAll ? 0 : UInt32(below(4))))
        case 2: node = TextNode(.phrase(word() + " " + word(), slop: 0))
        case 3:
            let words = (0..<(1 + below(4))).map { _ in word() }
            node = TextNode(.phrase(words.joined(separator: " "), slop: UInt32(below(6))))
        case 4:
            node = TextNode(
                .prefix(String(word().prefix(1 + below(4))), expansions: UInt32(below(4))))
        case 5:
            node = TextNode(
                .fuzzy(
                    word(), edits: UInt32(1 + below(2)), prefixLength: UInt32(below(3)),
                    expansions: UInt32(below(4))))
        default:
            func nodes(_ countMax: Int) -> [TextNode] {
                (0..<below(countMax + 1)).map { _ in self.node(depth: depth - 1) }
            }
            let (must, some) = (nodes(2), nodes(3))
            let should = must.isEmpty && some.isEmpty ? [self.node(depth: 0)] : some
            node = .boolean(
                must: must, should: should, mustNot: nodes(1),
                minimumShouldMatch: UInt32(below(should.count + 1)))
        }
        if below(3) == 0 { node.fields = [Collection.names[below(2)]] }
        if below(3) == 0 { node.boost = [0.5, 2, 10][below(3)] }
        return node
    }
}

@Suite struct StructuredTextTests {
    @Test(arguments: [1, 2, 7], [UInt64(31), 32])
    func equalsBruteForceUnderUpdatesAndDeletes(shardCount: Int, seed: UInt64) throws {
        var generator = SeededGenerator(seed &+ UInt64(shardCount))
        var collection = Collection(
            shardCount: shardCount,
            parameters: seed % 2 == 0 ? BM25Parameters() : BM25Parameters(k1: 0.7, b: 0.3))
        var compared = 0
        for step in 0..<scaled(60) {
            for _ in 0..<(1 + generator.below(6)) {
                if collection.live.count > 20, generator.below(2) == 0 {
                    collection.remove(at: generator.below(collection.live.count))
                }
                collection.insert([generator.text(9), generator.text(3)])
            }
            collection.publish()
            let oracle = collection.oracle
            for _ in 0..<12 {
                let node = generator.node(depth: generator.below(4))
                let isMasked = generator.below(3) == 0
                let k = 1 + generator.below(50)
                var expected = oracle.scores(node)
                if isMasked { expected = expected.filter { $0.key % 3 != 0 } }
                let hits = try collection.search(
                    node, k: k, isWanted: isMasked ? { $0 % 3 != 0 } : nil)
                let ranked = expected.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                guard hits.count == min(k, ranked.count) else {
                    Issue.record(
                        """
                        \(hits.count) hits of \(min(k, ranked.count)), seed \(seed) step \(step), \
                        shards \(shardCount): \(node)
                        """)
                    return
                }
                for (hit, wanted) in zip(hits, ranked) {
                    let score = expected[hit.version] ?? -1
                    #expect(
                        abs(Double(hit.score) - score) < 1e-6 * max(1, score)
                            && (hit.version == wanted.key || abs(score - wanted.value) < 1e-6),
                        "seed \(seed) step \(step) shards \(shardCount): \(node)")
                }
                compared += hits.count
            }
        }
        print("structured text: \(compared) hits equal, shards \(shardCount), seed \(seed)")
        #expect(compared > 0)
    }

    /// Windows, jumps over them, and blocks of postings.
    @Test func longListsAreWalkedInWindows() throws {
        let index = TextIndex(field: TextField(stems: false))
        let rows = Rows()
        for slot in 0..<20_000 {
            var words = ["every"]
            if slot % 7 == 0 { words += ["seven", "wonders"] }
            if slot % 11 == 0 { words += ["wonders", "seven"] }
            if slot == 9_001 || slot == 18_000 { words.append("rare") }
            index.append(words.joined(separator: " "), slot: rows.append())
        }
        rows.publish()
        func slots(_ node: TextNode) throws -> [Int] {
            var planner = TextPlanner(
                fields: [TextPlanner.Field(name: "t", model: index, shards: [index])],
                cancellation: Cancellation())
            var counters = SearchCounters()
            return try StructuredTextSearch.run(
                planner.plan(node), indexes: [index], k: 30_000, visibility: rows.visibility(),
                mask: nil, order: SlotsAreIDs(), counters: &counters, cancellation: Cancellation()
            ).map(\.slot).sorted()
        }
        let phrase = TextNode(.phrase("seven wonders", slop: 0))
        #expect(try slots(phrase) == (0..<20_000).filter { $0 % 7 == 0 })
        #expect(
            try slots(.boolean(must: [phrase, .match("rare")])) == [18_000].filter { $0 % 7 == 0 })
        #expect(
            try slots(.boolean(must: [.match("every")], mustNot: [.match("seven")]))
                == (0..<20_000).filter { $0 % 7 != 0 && $0 % 11 != 0 })
        #expect(
            try slots(
                .boolean(
                    should: [.match("rare"), phrase, .match("wonders")], minimumShouldMatch: 2))
                == (0..<20_000).filter { $0 % 7 == 0 })
        #expect(try slots(.match("rare")) == [9_001, 18_000])
    }

    @Test func phrasesOfCodeFindPartsOneBehindTheOther() throws {
        let index = TextIndex(field: TextField(analyzer: .code))
        let rows = Rows()
        for text in [
            "func parseHTTPRequest(body)", "parse http request", "http parse request",
            "snake_case_name = value",
        ] {
            index.append(text, slot: rows.append())
        }
        rows.publish()
        func slots(_ phrase: String, slop: UInt32 = 0) throws -> [Int] {
            var planner = TextPlanner(
                fields: [TextPlanner.Field(name: "t", model: index, shards: [index])],
                cancellation: Cancellation())
            var counters = SearchCounters()
            return try StructuredTextSearch.run(
                planner.plan(TextNode(.phrase(phrase, slop: slop))), indexes: [index], k: 9,
                visibility: rows.visibility(), mask: nil, order: SlotsAreIDs(),
                counters: &counters, cancellation: Cancellation()
            ).map(\.slot).sorted()
        }
        #expect(try slots("http request") == [0, 1])
        #expect(try slots("request body") == [0])
        #expect(try slots("parseHTTPRequest") == [0])
        #expect(try slots("parse http") == [0, 1])
        #expect(try slots("parse http", slop: 2) == [0, 1, 2])
        #expect(try slots("case_name") == [])
        #expect(try slots("case name value") == [3])
    }

    @Test(arguments: [
        (TextNode(.match("", .any, minimumShouldMatch: 0)), "text.node.match.text is empty"),
        (
            .boolean(should: [TextNode(.fuzzy("x", edits: 3, prefixLength: 0, expansions: 0))]),
            "text.node.boolean.should[0].fuzzy.edits is 3; it must lie in 1...2"
        ),
        (
            .boolean(mustNot: [.match("x")]),
            "text.node.boolean has neither must nor should"
        ),
        (
            .boolean(must: [TextNode(.match("x", .any, minimumShouldMatch: 0), boost: 0)]),
            "text.node.boolean.must[0].boost is 0.0; it must lie in 0.001...1000.0"
        ),
        (
            TextNode(.match("x", .any, minimumShouldMatch: 0), fields: ["nowhere"]),
            "text.node.fields names \"nowhere\", but the collection's text fields are: t"
        ),
        (TextNode(.phrase("x", slop: 10_001)), "text.node.phrase.slop is 10001; the limit is"),
        (TextNode(.prefix("x", expansions: 1_025)), "text.node.prefix.expansions is 1025; the"),
        (
            .boolean(should: [.match("x")], minimumShouldMatch: 2),
            "text.node.boolean.minimum_should_match is 2, but should has 1 nodes"
        ),
    ])
    func errorsNameTheNodeAndWhatItMustBe(_ node: TextNode, _ message: String) {
        var schema = Schema()
        schema.texts["t"] = TextField()
        let error = #expect(throws: KyroError.self) {
            try TextNodeValidation.check(node, schema)
        }
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }

    @Test func treesHaveBounds() {
        var schema = Schema()
        schema.texts["t"] = TextField()
        var deep = TextNode.match("x")
        for _ in 0..<Limits.textDepthMax { deep = .boolean(must: [deep]) }
        let wide = TextNode.boolean(
            should: Array(repeating: .match("x"), count: Limits.textNodesMax))
        let long = TextNode.match(String(repeating: "x", count: Limits.textNodeBytesMax + 1))
        for node in [deep, wide, long] {
            let error = #expect(throws: KyroError.self) {
                try TextNodeValidation.check(node, schema)
            }
            #expect(error?.reason == "LIMIT_EXCEEDED")
        }
    }

    @Test func anExpandedWordIsOneWord() throws {
        let index = TextIndex(field: TextField())
        var planner = TextPlanner(
            fields: [TextPlanner.Field(name: "t", model: index, shards: [index])],
            cancellation: Cancellation())
        let error = #expect(throws: KyroError.self) {
            try planner.plan(.boolean(must: [TextNode(.prefix("two wor", expansions: 0))]))
        }
        #expect(
            error?.message
                == "text.node.boolean.must[0].prefix.text is 2 words in field \"t\"; "
                + "it must be one")
    }
}
