// Groups and diverse orders against brute force over the same search without them.
import KyroEngine
import KyroModel
import KyroPlatform
import TestSupport
import Testing

@Suite struct RankingStagesTests {
    static let scope = Scope(namespace: "stages")
    private static let dimension = 5

    private static let schema: Schema = {
        var schema = Schema()
        schema.vectors["v"] = VectorField(dimension: dimension, metric: .l2)
        return schema
    }()

    private static func documents(_ dice: inout Dice, count: Int) -> [Document] {
        (0..<count).map { number in
            var document = Document(
                id: dice.chance(50) ? .number(UInt64(number)) : .text("d\(number)"))
            if dice.chance(80) {
                document.vectors["v"] = (0..<dimension).map { _ in Float(dice.below(7) - 3) }
                document.vectors["v"]?[0] += 0.5
            }
            document.sparseVectors["s"] = SparseVector(
                indices: [1, 2], values: [Float(1 + dice.below(6)), Float(dice.below(4))])
            if dice.chance(80) { document.metadata["team"] = .string("t\(dice.below(9))") }
            if dice.chance(70) { document.metadata["year"] = .int64(Int64(dice.below(6)) - 2) }
            if dice.chance(70) { document.metadata["share"] = .double(Double(dice.below(5)) / 4) }
            if dice.chance(70) { document.metadata["done"] = .bool(dice.chance(50)) }
            if dice.chance(80) {
                let rows = 1 + dice.below(6)
                document.multiVectors["tokens"] = MultiVector(
                    dimension: 3,
                    values: (0..<(rows * 3)).map { _ in Float(dice.below(9) - 4) / 4 })
            }
            return document
        }
    }

    /// Engines with 1, 2 and 7 shards of these documents.
    private static func loaded(
        _ documents: [Document]
    ) throws -> (engines: [TestEngine], byID: [DocumentID: Document]) {
        let engines = try [1, 2, 7].map { shards in
            let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: shards))
            try test.write(documents.map { .upsert($0) }, to: scope, creating: schema)
            return test
        }
        return (engines, Dictionary(uniqueKeysWithValues: documents.map { ($0.id, $0) }))
    }

    /// Fused or of a lone leg, with everything that a formula may say among the candidates.
    private static func question(_ dice: inout Dice) -> SearchRequest {
        var request = SearchRequest(scope: scope)
        request.exact = true
        request.candidates = UInt32(20 + dice.below(80))
        request.sparse = SparseQuery(
            vector: SparseVector(indices: [1, 2], values: [1, Float(dice.fraction())]))
        if dice.chance(60) {
            request.vector = VectorQuery(
                vector: (0..<dimension).map { _ in Float(dice.fraction() - 0.5) })
        }
        request.limit = UInt32(1 + dice.below(9))
        request.fusion = Fusion(
            candidates: LegCandidates(vector: request.candidates, sparse: request.candidates))
        var ranking = RankingOptions()
        if dice.chance(30) { ranking.formula = "score * 2 + default(meta.share, 1 / 0)" }
        if dice.chance(60) {
            ranking.grouping = Grouping(
                field: dice.pick(["team", "year", "share", "done", "nowhere"]),
                hitsPerGroup: UInt32(dice.below(4)), missing: dice.pick(MissingGroup.allCases))
        }
        if ranking.grouping == nil || dice.chance(50) {
            ranking.diversity = Diversity(
                lambda: dice.pick([0, 0.3, 0.7, 1]), pool: UInt32(dice.below(40)), field: "v")
        }
        if ranking.diversity == nil, dice.chance(40) { request.offset = UInt32(dice.below(5)) }
        request.ranking = ranking
        return request
    }

    @Test func groupsAndDiverseOrdersEqualBruteForceForAnyNumberOfShards() throws {
        let seed: UInt64 = 58
        var dice = Dice(seed: seed)
        let (engines, byID) = try Self.loaded(Self.documents(&dice, count: 150))
        defer { engines.forEach { $0.close() } }
        for round in 0..<scaled(400) {
            let request = Self.question(&dice)
            let answers = try engines.map { Self.unnumbered(try $0.search(request).hits) }
            func context() -> String { "seed \(seed), round \(round): \(request)" }
            for other in answers.dropFirst() { try #require(other == answers[0], "\(context())") }
            // Everything in the order of its score, from the same candidates.
            var plain = request
            plain.ranking = RankingOptions(formula: request.ranking?.formula ?? "")
            plain.limit = 200
            plain.offset = 0
            let groups = Self.groups(
                of: try engines[0].search(plain).hits, byID, request.ranking?.grouping)
            if let diversity = request.ranking?.diversity {
                try check(answers[0], groups, byID, diversity, request, context())
            } else {
                let page = groups.dropFirst(Int(request.offset)).prefix(Int(request.limit))
                try #require(answers[0].map(\.id) == page.flatMap { $0 }.map(\.id), "\(context())")
            }
            if let field = request.ranking?.grouping?.field {
                for hit in answers[0] {
                    try #require(hit.group == byID[hit.id]?.metadata[field], "\(context())")
                }
            }
        }
    }

    /// Sequences depend on how writes of several shards were grouped.
    private static func unnumbered(_ hits: [Hit]) -> [Hit] {
        hits.map { hit in
            var hit = hit
            hit.seq = .zero
            return hit
        }
    }

    private static func groups(
        of hits: [Hit], _ documents: [DocumentID: Document], _ grouping: Grouping?
    ) -> [[Hit]] {
        guard let grouping else { return hits.map { [$0] } }
        var groups: [(key: String, hits: [Hit])] = []
        for hit in hits {
            let value = documents[hit.id]?.metadata[grouping.field]
            let key: String
            switch (value, grouping.missing) {
            case (let value?, _): key = "\(value)"
            case (nil, .alone): key = "alone \(hit.id)"
            case (nil, .together): key = "missing"
            case (nil, .dropped): continue
            }
            if let index = groups.firstIndex(where: { $0.key == key }) {
                groups[index].hits.append(hit)
            } else {
                groups.append((key, [hit]))
            }
        }
        return groups.map { Array($0.hits.prefix(max(1, Int(grouping.hitsPerGroup)))) }
    }

    /// Follows the engine's choices: each is as good as any other that was left, and none that is as
    /// good to the last bit stands before it in the pool.
    private func check(
        _ found: [Hit], _ groups: [[Hit]], _ documents: [DocumentID: Document],
        _ diversity: Diversity, _ request: SearchRequest, _ context: String
    ) throws {
        let limit = Int(request.limit)
        let asked = diversity.pool == 0 ? 100 : Int(diversity.pool)
        let pool = Array(groups.prefix(max(asked, limit)))
        let heads = pool.map { $0[0] }
        let scores = heads.map(\.score).filter { $0 > -1e300 }
        let (low, high) = (scores.min() ?? 0, scores.max() ?? 0)
        let relevance = heads.map {
            $0.score < -1e300 ? 0 : high > low ? ($0.score - low) / (high - low) : 1
        }
        func cosine(_ a: Int, _ b: Int) -> Double {
            guard let x = documents[heads[a].id]?.vectors["v"],
                let y = documents[heads[b].id]?.vectors["v"]
            else { return 0 }
            func dot(_ p: [Float], _ q: [Float]) -> Double {
                zip(p, q).reduce(0) { $0 + Double($1.0) * Double($1.1) }
            }
            return dot(x, y) / (dot(x, x) * dot(y, y)).squareRoot()
        }
        var taken: [Int] = []
        var left = Array(heads.indices)
        var rest = found[...]
        while let next = rest.first {
            func value(_ position: Int) -> Double {
                let seen = taken.map { cosine($0, position) }.max() ?? 0
                return diversity.lambda * relevance[position] - (1 - diversity.lambda) * seen
            }
            let best = left.map(value).max() ?? 0
            let place = try #require(
                left.firstIndex { heads[$0].id == next.id }, "\(next.id); \(context)")
            let chosen = left.remove(at: place)
            try #require(value(chosen) > best - 1e-9, "\(next.id); \(context)")
            taken.append(chosen)
            // The rest of its group stands behind it.
            try #require(
                rest.prefix(pool[chosen].count).map(\.id) == pool[chosen].map(\.id), "\(context)")
            rest = rest.dropFirst(pool[chosen].count)
        }
        try #require(taken.count == min(limit, pool.count), "\(context)")
    }

    @Test func rescoringEqualsMaxSimByBruteForceForAnyNumberOfShards() throws {
        let seed: UInt64 = 59
        var dice = Dice(seed: seed)
        let (engines, byID) = try Self.loaded(Self.documents(&dice, count: 150))
        defer { engines.forEach { $0.close() } }
        for round in 0..<scaled(300) {
            var request = Self.question(&dice)
            request.ranking = RankingOptions(
                formula: dice.chance(30) ? "score + default(meta.year, 1 / 0)" : "")
            var plain = request
            plain.limit = 200
            let rows = 1 + dice.below(5)
            let rescore = Rescore(
                field: dice.pick(["tokens", ""]),
                query: MultiVector(
                    dimension: 3,
                    values: (0..<(3 * rows)).map { _ in Float(dice.below(9) - 4) / 4 }),
                top: UInt32(dice.below(40)), weight: dice.pick([0, 1, 0.25, -2]),
                scoreWeight: dice.pick([0, 1, 0.5]))
            request.ranking?.rescore = rescore
            request.explain = true
            func context() -> String { "seed \(seed), round \(round): \(request)" }
            let answers = try engines.map { Self.unnumbered(try $0.search(request).hits) }
            for other in answers.dropFirst() { try #require(other == answers[0], "\(context())") }
            let end = Int(request.offset + request.limit)
            let top = max(rescore.top == 0 ? 100 : Int(rescore.top), end)
            plain.offset = 0
            var expected = try engines[0].search(plain).hits.prefix(top).map { hit in
                let maxSim = Self.maxSim(rescore.query, byID[hit.id]?.multiVectors["tokens"])
                let weight = rescore.weight == 0 ? 1 : rescore.weight
                let score =
                    hit.score < -1e300
                    ? hit.score : rescore.scoreWeight * hit.score + weight * maxSim
                return (id: hit.id, score: score, before: hit.score, maxSim: maxSim)
            }
            expected.sort { $0.score != $1.score ? $0.score > $1.score : $0.id < $1.id }
            let page = expected.dropFirst(Int(request.offset)).prefix(Int(request.limit))
            try #require(answers[0].map(\.id) == page.map(\.id), "\(context())")
            for (hit, wanted) in zip(answers[0], page) {
                try #require(hit.score == wanted.score, "\(context())")
                let told = try #require(hit.details?.rescore)
                try #require(told.score == wanted.before && told.maxSim == wanted.maxSim)
                if request.ranking?.formula != "" {
                    try #require(hit.details?.formula == (told.score < -1e300 ? nil : told.score))
                }
            }
        }
    }

    /// Of quarters, so that every order of additions gives the same sum.
    private static func maxSim(_ query: MultiVector, _ stored: MultiVector?) -> Double {
        guard let stored else { return 0 }
        func row(_ vector: MultiVector, _ index: Int) -> [Double] {
            (0..<3).map { Double(vector.values[3 * index + $0]) }
        }
        return (0..<query.rowCount).reduce(0) { sum, q in
            let products = (0..<stored.rowCount).map { d in
                zip(row(query, q), row(stored, d)).reduce(0) { $0 + $1.0 * $1.1 }
            }
            return sum + (products.max() ?? 0)
        }
    }

    @Test func multiVectorsAreDocumentsParts() throws {
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 2))
        defer { test.close() }
        var document = Document(id: .number(1))
        document.multiVectors["a"] = MultiVector(dimension: 2, values: [1, 2, 3, 4])
        try test.write([.upsert(document)], to: Self.scope, creating: Self.schema)
        var update = PartialUpdate(set: Document(id: .number(1)))
        update.set.multiVectors["b"] = MultiVector(dimension: 1, values: [5])
        update.removedMultiVectors = ["a"]
        try test.write([.update(update)], to: Self.scope)
        let found = try test.lookup([.number(1)], in: Self.scope)[0]
        #expect(found?.multiVectors == ["b": MultiVector(dimension: 1, values: [5])])
        let wrong: [(MultiVector, String)] = [
            (MultiVector(dimension: 0, values: [1]), ".dimension"),
            (MultiVector(dimension: 2, values: [1]), ""),
            (MultiVector(dimension: 2, values: []), ""),
            (MultiVector(dimension: 1, values: [.nan]), ""),
            (MultiVector(dimension: 2, values: Array(repeating: 1, count: 1 << 20 + 2)), "upsert"),
        ]
        for (vector, suffix) in wrong {
            document.multiVectors["a"] = vector
            let outcome = try test.write([.upsert(document)], to: Self.scope).outcomes[0]
            guard case .failed(let error) = outcome else {
                Issue.record("\(vector.dimension) was taken")
                continue
            }
            let path = "mutations[0].upsert"
            #expect(
                error.field == (suffix == "upsert" ? path : path + ".multi_vectors[\"a\"]" + suffix)
            )
        }
    }

    @Test func equalChoicesAreTakenInTheOrderOfThePool() throws {
        let pool = (0..<5).map { _ in DiverseOrder.Choice(score: 1, vector: [1, 2]) }
        let taken = try DiverseOrder.take(
            4, of: pool, lambda: 0.5, cancellation: Cancellation())
        #expect(taken.map(\.position) == [0, 1, 2, 3])
        // Opposite and at right angles before the same again; what has no vector resembles nothing.
        let vectors: [[Float]?] = [[1, 0], [2, 0], [0, 1], [-3, 0], nil]
        let order = try DiverseOrder.take(
            5, of: vectors.map { DiverseOrder.Choice(score: 1, vector: $0) }, lambda: 0,
            cancellation: Cancellation())
        #expect(order.map(\.position) == [0, 3, 2, 4, 1])
        #expect(order.map(\.similarity) == [0, -1, 0, 0, 1])
        let huge = [1e308, -1e308, nil].map { DiverseOrder.Choice(score: $0, vector: nil) }
        let ranked = try DiverseOrder.take(3, of: huge, lambda: 1, cancellation: Cancellation())
        #expect(ranked.map(\.relevance) == [1, 0, 0])
    }

    @Test func relevanceAloneIsTheOrderOfTheScores() throws {
        var dice = Dice(seed: 7)
        let documents = Self.documents(&dice, count: 60)
        let test = try TestEngine(MemoryFileSystem(), EngineSettings(shardCount: 3))
        defer { test.close() }
        try test.write(documents.map { .upsert($0) }, to: Self.scope, creating: Self.schema)
        var request = SearchRequest(scope: Self.scope)
        request.sparse = SparseQuery(vector: SparseVector(indices: [1], values: [1]))
        request.candidates = 60
        request.limit = 20
        let plain = try test.search(request).hits
        request.ranking = RankingOptions(diversity: Diversity(lambda: 1))
        request.explain = true
        let same = try test.search(request).hits
        #expect(same.map(\.id) == plain.map(\.id))
        #expect(same.map(\.score) == plain.map(\.score))
        #expect(same.first?.details?.diversity == DiversityDetails(relevance: 1, similarity: 0))
    }

    @Test func limitsAndMistakesAreNamed() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var schema = Self.schema
        schema.metadata["tags"] = .strings
        schema.sparseVectors["s"] = SparseField()
        schema.vectors["wide"] = VectorField(dimension: 16_384)
        schema.multiVectors["m"] = MultiVectorField(dimension: 3)
        schema.multiVectors["n"] = MultiVectorField(dimension: 3)
        try test.create(Self.scope, schema)
        let cases: [(RankingOptions, String, String)] = [
            (RankingOptions(grouping: Grouping(field: "")), "ranking.grouping.field", "empty"),
            (RankingOptions(grouping: Grouping(field: "tags")), "ranking.grouping.field", "list"),
            (
                RankingOptions(grouping: Grouping(field: "x", hitsPerGroup: 1_001)),
                "ranking.grouping.hits_per_group", "10010"
            ),
            (RankingOptions(diversity: Diversity(lambda: 1.5)), "ranking.diversity.lambda", "1.5"),
            (
                RankingOptions(diversity: Diversity(lambda: .nan)), "ranking.diversity.lambda",
                "nan"
            ),
            (
                RankingOptions(diversity: Diversity(lambda: 1, pool: 1_001, field: "v")),
                "ranking.diversity.pool", "1000"
            ),
            (RankingOptions(diversity: Diversity(lambda: 1)), "ranking.diversity.field", "name"),
            (
                RankingOptions(
                    rescore: Rescore(field: "t", query: MultiVector(dimension: 2, values: [1]))),
                "ranking.rescore.query", "whole rows"
            ),
            (
                RankingOptions(
                    rescore: Rescore(
                        field: "t",
                        query: MultiVector(dimension: 1, values: Array(repeating: 1, count: 513)))),
                "ranking.rescore.query", "513"
            ),
            (
                RankingOptions(
                    rescore: Rescore(
                        field: "t", query: MultiVector(dimension: 1, values: [1]), top: 1_001)),
                "ranking.rescore.top", "1001"
            ),
            (
                RankingOptions(
                    rescore: Rescore(field: "m", query: MultiVector(dimension: 1, values: [1]))),
                "ranking.rescore.query", "rows of 1 dimensions; the collection has it with 3"
            ),
            (
                RankingOptions(
                    rescore: Rescore(
                        field: "", query: MultiVector(dimension: 3, values: [1, 1, 1]))),
                "ranking.rescore.field", "name one of m, n"
            ),
            (
                RankingOptions(diversity: Diversity(lambda: 1, field: "no")),
                "ranking.diversity.field", "\"no\""
            ),
            (
                RankingOptions(diversity: Diversity(lambda: 1, pool: 500, field: "wide")),
                "ranking.diversity.pool", "8192000"
            ),
        ]
        for (ranking, field, words) in cases {
            var request = SearchRequest(scope: Self.scope)
            request.sparse = SparseQuery(vector: SparseVector(indices: [1], values: [1]))
            request.ranking = ranking
            let error = #expect(throws: KyroError.self) { _ = try test.search(request) }
            #expect(error?.field == field, "\(error as Any)")
            #expect(error?.message.contains(words) == true, "\(error as Any)")
        }
    }

    @Test func anUnknownFieldOfMultiVectorsAddsNothingAndIsNoted() throws {
        let test = try TestEngine(MemoryFileSystem())
        defer { test.close() }
        var document = Document(id: .number(1))
        document.sparseVectors["s"] = SparseVector(indices: [1], values: [2])
        try test.write([.upsert(document)], to: Self.scope, creating: Schema())
        var request = SearchRequest(scope: Self.scope)
        request.sparse = SparseQuery(vector: SparseVector(indices: [1], values: [1]))
        request.ranking = RankingOptions(
            rescore: Rescore(
                field: "m", query: MultiVector(dimension: 1, values: [1]), scoreWeight: 1))
        request.explain = true
        let response = try test.search(request)
        #expect(response.hits.map(\.score) == [2])
        #expect(response.explain?.notes.contains { $0.contains("rescore field \"m\"") } == true)
    }
}
