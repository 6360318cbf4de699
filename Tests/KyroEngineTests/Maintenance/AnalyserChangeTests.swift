// Analysers that change while their collection serves.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

@Suite struct AnalyserChangeTests {
    private static let scope = Scope(namespace: "texts")
    private static let plain = TextField()
    private static let folded = TextField(
        language: "french", foldsDiacritics: true, stopWords: .none, stems: false)

    private struct Life {
        var disk = MemoryFileSystem()
        var configuration = EngineConfiguration(path: "/db")
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        var stepped: SteppedEngine
        var dice: Dice
        var documents: [UInt64: String] = [:]

        init(seed: UInt64, shardCount: Int, field: TextField) throws {
            configuration.shardCount = shardCount
            configuration.logSegmentBytes = 1 << 16
            dice = Dice(seed: seed)
            stepped = try SteppedEngine(seed: seed, disk, configuration, clock: clock)
            var schema = Schema()
            schema.texts["t"] = field
            try stepped.write([], to: AnalyserChangeTests.scope, creating: schema)
        }

        mutating func write(_ count: Int) throws {
            let words = ["café", "cafe", "the", "running", "run", "été", "ete", "naïve", "a"]
            var batch: [Mutation] = []
            for _ in 0..<count {
                let id = UInt64(dice.below(200))
                if dice.chance(20), documents[id] != nil {
                    documents[id] = nil
                    batch.append(.remove(.number(id)))
                    continue
                }
                var document = Document(id: .number(id))
                let text = (0..<(1 + dice.below(8))).map { _ in dice.pick(words) }
                    .joined(separator: " ")
                document.texts["t"] = text
                documents[id] = text
                batch.append(.upsert(document))
            }
            try stepped.write(batch, to: AnalyserChangeTests.scope)
        }

        func ids(_ query: TextQuery) throws -> [DocumentID: Float] {
            var request = SearchRequest(scope: AnalyserChangeTests.scope)
            request.text = query
            request.limit = 1_000
            let hits = try stepped.search(request).hits
            return Dictionary(
                uniqueKeysWithValues: hits.map { ($0.id, Float($0.score)) })
        }

        func status() throws -> TextIndexStatus? {
            let answer = try stepped.engine.describeCollection(
                DescribeCollectionRequest(scope: AnalyserChangeTests.scope))
            return answer.texts.first { $0.field == "t" }
        }

        func change(_ field: TextField) throws -> CollectionDescription {
            try stepped.awaited { done in
                stepped.engine.rebuild(
                    RebuildRequest(scope: AnalyserChangeTests.scope, texts: ["t": field]),
                    completion: done)
            }.get()
        }

        mutating func restart(seed: UInt64) throws {
            stepped.engine.close()
            stepped = try SteppedEngine(seed: seed, disk, configuration, clock: clock)
        }
    }

    @Test(
        "Answers are of the old or the new analyser, and in the end of the new one",
        arguments: 0..<UInt64(scaled(6)))
    func answersAreOfOneAnalyserOrTheOther(seed: UInt64) throws {
        let shardCount = [1, 2, 7][Int(seed % 3)]
        var life = try Life(seed: seed, shardCount: shardCount, field: Self.plain)
        for _ in 0..<20 { try life.write(30) }
        life.stepped.scheduler.settle()
        if seed % 2 == 0 { try life.stepped.snapshot() }
        #expect(try life.ids(TextQuery(query: "the")).isEmpty)
        let changed = try life.change(Self.folded)
        #expect(changed.schema.texts["t"] == Self.folded)
        for turn in 0..<400 {
            life.stepped.scheduler.step()
            if turn % 40 == 0 { try life.write(3) }
            // A document with the word itself is found by either analyser.
            let found = try life.ids(TextQuery(query: "café"))
            for (id, text) in life.documents {
                let words = text.split(separator: " ")
                if words.contains("café") {
                    #expect(found[.number(id)] != nil, "seed \(seed) turn \(turn): \(text)")
                } else if !words.contains("cafe") {
                    #expect(found[.number(id)] == nil, "seed \(seed) turn \(turn): \(text)")
                }
            }
        }
        if seed % 3 == 1 { try life.restart(seed: seed + 100) }
        life.stepped.scheduler.settle()
        try compareWithFresh(life)
        // The snapshot tells which analyser its terms are of.
        try life.stepped.snapshot()
        try life.restart(seed: seed + 200)
        life.stepped.scheduler.settle()
        #expect(life.stepped.rebuilds == 0, "what is done is not done again")
        try compareWithFresh(life)
        life.stepped.engine.close()
    }

    /// A collection that had the new analyser from the beginning answers the same.
    private func compareWithFresh(_ life: Life) throws {
        let fresh = try Life(seed: 5, shardCount: 1, field: Self.folded)
        try fresh.stepped.write(
            life.documents.sorted { $0.key < $1.key }.map { id, text in
                var document = Document(id: .number(id))
                document.texts["t"] = text
                return .upsert(document)
            }, to: Self.scope)
        var queries = ["the", "cafe", "ÉTÉ", "running a", "naive"].map { TextQuery(query: $0) }
        var phrase = TextQuery(query: "")
        phrase.node = TextNode(.phrase("the cafe", slop: 1))
        queries.append(phrase)
        for query in queries {
            let wanted = try fresh.ids(query)
            #expect(!wanted.isEmpty)
            #expect(try life.ids(query) == wanted, "\(query)")
        }
        fresh.stepped.engine.close()
    }

    @Test(
        "Describe tells how far a change is, and nothing of one that is done",
        arguments: [1, 2, 7])
    func progressIsTold(shardCount: Int) throws {
        var life = try Life(seed: 11, shardCount: shardCount, field: Self.plain)
        for _ in 0..<60 { try life.write(30) }
        life.stepped.scheduler.settle()
        #expect(try life.status() == TextIndexStatus(field: "t"))
        _ = try life.change(Self.folded)
        var told: [TextIndexStatus] = []
        for _ in 0..<100_000 {
            let status = try #require(try life.status())
            if status != told.last { told.append(status) }
            if status.rebuildRowsTotal == 0 { break }
            life.stepped.scheduler.step()
        }
        #expect(told.first?.rebuildRowsDone == 0)
        #expect(told.last == TextIndexStatus(field: "t"))
        let under = told.dropLast()
        #expect(under.allSatisfy { $0.rebuildRowsTotal >= UInt64(life.documents.count) })
        #expect(under.allSatisfy { $0.rebuildRowsDone <= $0.rebuildRowsTotal })
        // A shard that is done has no dead rows any more, so that both numbers fall.
        let left = under.map { $0.rebuildRowsTotal - $0.rebuildRowsDone }
        #expect(zip(left, left.dropFirst()).allSatisfy { $0 >= $1 }, "\(told)")
        #expect(left.last.map { $0 < left[0] } == true)
        #expect(told.count >= 3, "\(told)")
        life.stepped.engine.close()
    }

    @Test func anotherWeightingTakesTermsOver() throws {
        var life = try Life(seed: 9, shardCount: 2, field: Self.plain)
        for _ in 0..<5 { try life.write(30) }
        let before = try life.ids(TextQuery(query: "cafe run"))
        var field = Self.plain
        field.bm25 = BM25Parameters(k1: 0.5, b: 0)
        _ = try life.change(field)
        life.stepped.scheduler.settle()
        let after = try life.ids(TextQuery(query: "cafe run"))
        #expect(Set(before.keys) == Set(after.keys) && before != after)
        let rebuilds = life.stepped.rebuilds
        #expect(rebuilds > 0)
        _ = try life.change(field)
        life.stepped.scheduler.settle()
        #expect(life.stepped.rebuilds == rebuilds)
        life.stepped.engine.close()
    }

    @Test func whatCannotBeIsRefused() throws {
        let life = try Life(seed: 3, shardCount: 1, field: Self.plain)
        func refusal(_ name: String, _ field: TextField) -> KyroError? {
            let answer = life.stepped.awaited { done in
                life.stepped.engine.rebuild(
                    RebuildRequest(scope: Self.scope, texts: [name: field]), completion: done)
            }
            if case .failure(let error) = answer { return error }
            return nil
        }
        #expect(refusal("u", Self.plain)?.field == "texts[\"u\"]")
        let language = refusal("t", TextField(language: "klingon"))
        #expect(language?.field == "texts[\"t\"].language")
        #expect(language?.message.contains("it must be one of arabic") == true)
        let words = refusal("t", TextField(stopWords: .list(["good", "two words"])))
        #expect(
            words?.message
                == "texts[\"t\"].stop_word_list[1] is \"two words\"; it must be one word")
        #expect(
            refusal("t", TextField(analyzer: .code, stems: false))?.field
                == "texts[\"t\"].no_stemming")
        #expect(
            refusal("t", TextField(analyzer: .raw, foldsDiacritics: true))?.field
                == "texts[\"t\"].fold_diacritics")
        life.stepped.engine.close()
    }
}
