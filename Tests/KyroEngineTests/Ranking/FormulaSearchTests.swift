import KyroEngine
// Formulas over the hits of a search.
import KyroModel
import KyroPlatform
import Testing

@Suite struct FormulaSearchTests {
    static let scope = Scope(namespace: "formulas")

    /// Sparse values 4, 3, 2 and 1 at 5; years, an event time and texts here and there.
    private func engine(_ shardCount: Int) throws -> TestEngine {
        var settings = EngineSettings(shardCount: shardCount)
        settings.clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        let test = try TestEngine(MemoryFileSystem(), settings)
        let years: [Int64?] = [2_000, nil, 2_020, 2_010]
        let documents = years.enumerated().map { index, year in
            var document = Document(id: .number(UInt64(index)))
            document.sparseVectors["s"] = SparseVector(indices: [5], values: [Float(4 - index)])
            if let year { document.metadata["year"] = .int64(year) }
            if index == 1 { document.metadata["kind"] = .string("x") }
            if index == 2 { document.eventTimeMillis = 400_000 }
            document.metadata["share"] = .double(Double(index) / 4)
            document.metadata["flag"] = .bool(index > 1)
            return Mutation.upsert(document)
        }
        try test.write(documents, to: Self.scope, creating: Schema())
        return test
    }

    private func ask(_ formula: String) -> SearchRequest {
        var request = SearchRequest(scope: Self.scope)
        request.sparse = SparseQuery(vector: SparseVector(indices: [5], values: [1]))
        request.ranking = RankingOptions(formula: formula)
        request.explain = true
        return request
    }

    @Test(arguments: [1, 2, 7])
    func theFormulaMakesScoreAndOrder(shardCount: Int) throws {
        let test = try engine(shardCount)
        defer { test.close() }
        let last = Formula.missingScore
        let cases: [(String, [UInt64], [Double])] = [
            ("score", [0, 1, 2, 3], [4, 3, 2, 1]), ("-sparse", [3, 2, 1, 0], [-1, -2, -3, -4]),
            ("meta.year", [2, 3, 0, 1], [2_020, 2_010, 2_000, last]),
            ("default(meta.year, 0) - 2000", [2, 3, 0, 1], [20, 10, 0, -2_000]),
            ("meta.share + meta.flag", [3, 2, 1, 0], [1.75, 1.5, 0.25, 0]),
            ("has(meta.kind)", [1, 0, 2, 3], [1, 0, 0, 0]),
            ("age", [2, 0, 1, 3], [600_000, last, last, last]),
            ("now - event_time + vector", [0, 1, 2, 3], [last, last, last, last]),
            ("sparse.rank * 10 + sparse.norm", [3, 2, 1, 0], [41, 32, 23, 14]),
            ("meta.nowhere", [0, 1, 2, 3], [last, last, last, last]),
        ]
        for (formula, ids, scores) in cases {
            let hits = try test.search(ask(formula)).hits
            #expect(hits.map(\.id) == ids.map { .number($0) }, "\(formula)")
            #expect(hits.map(\.score) == scores, "\(formula)")
            for hit in hits {
                #expect(hit.details?.formula == (hit.score == last ? nil : hit.score))
                #expect(hit.details?.fused == Double(hit.sparse?.score ?? 0))
            }
        }
    }

    /// A lone leg takes its hundred candidates, since the last of them may come first.
    @Test func theBestOfTheFormulaNeedNotBeTheBestOfTheLeg() throws {
        let test = try engine(3)
        defer { test.close() }
        var request = ask("-score")
        request.limit = 1
        #expect(try test.search(request).hits.map(\.id) == [.number(3)])
        request.offset = 1
        #expect(try test.search(request).hits.map(\.id) == [.number(2)])
        request.candidates = 2
        request.offset = 0
        #expect(try test.search(request).hits.map(\.id) == [.number(1)])
        let notes = try test.search(ask("meta.nowhere")).explain?.notes ?? []
        #expect(notes.contains { $0.contains("nowhere") })
    }

    @Test func anEmptyRankingChangesNothing() throws {
        let test = try engine(2)
        defer { test.close() }
        var request = ask("")
        request.limit = 2
        #expect(try test.search(request).explain?.sparse?.asked == 2)
        #expect(try test.search(request).hits.map(\.score) == [4, 3])
    }
}
