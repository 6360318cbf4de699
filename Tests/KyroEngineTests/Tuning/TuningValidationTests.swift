// Every judged query that cannot be learnt from is refused by name.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

@Suite struct TuningValidationTests {
    private static let scope = Scope(namespace: "v")

    private func engine() throws -> TestEngine {
        let test = try TestEngine(MemoryFileSystem())
        var document = Document(id: .number(1))
        document.texts["t"] = "one"
        document.vectors["v"] = [1, 0]
        try test.write([.upsert(document)], to: Self.scope, creating: Schema())
        return test
    }

    private static func query(_ change: (inout JudgedQuery) -> Void = { _ in }) -> JudgedQuery {
        var query = JudgedQuery(judgements: [Judgement(id: .number(1), grade: 1)])
        query.text = TextQuery(query: "one")
        query.vector = VectorQuery(vector: [1, 0])
        change(&query)
        return query
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var query: JudgedQuery
        var field: String
    }

    static let refusals: [Refusal] = [
        Refusal(
            testDescription: "one leg", query: query { $0.text = nil }, field: "queries[1].vector"),
        Refusal(
            testDescription: "other legs than before",
            query: query { $0.text?.fields = ["t"] }, field: "queries[1].vector"),
        Refusal(
            testDescription: "no judgement", query: query { $0.judgements = [] },
            field: "queries[1].judgements"),
        Refusal(
            testDescription: "nothing relevant", query: query { $0.judgements[0].grade = 0 },
            field: "queries[1].judgements"),
        Refusal(
            testDescription: "a negative grade", query: query { $0.judgements[0].grade = -1 },
            field: "queries[1].judgements[0].grade"),
        Refusal(
            testDescription: "a grade that is no number",
            query: query { $0.judgements[0].grade = .nan }, field: "queries[1].judgements[0].grade"),
        Refusal(
            testDescription: "a document twice",
            query: query { $0.judgements.append($0.judgements[0]) },
            field: "queries[1].judgements[1].id"),
        Refusal(
            testDescription: "an empty id",
            query: query { $0.judgements[0].id = .text("") },
            field: "queries[1].judgements[0].id"),
        Refusal(
            testDescription: "too many judgements",
            query: query {
                $0.judgements = (0...UInt64(Limits.judgementsMax)).map {
                    Judgement(id: .number($0), grade: 1)
                }
            }, field: "queries[1].judgements"),
        Refusal(
            testDescription: "another dimension", query: query { $0.vector?.vector = [1] },
            field: "queries[1].vector.vector"),
    ]

    @Test(arguments: refusals)
    func isRefused(_ refusal: Refusal) throws {
        let test = try engine()
        defer { test.close() }
        let run = try test.engine.beginTuning(TuneStart(scope: Self.scope))
        try run.add(Self.query(), cancellation: Cancellation())
        let error = #expect(throws: KyroError.self) {
            try run.add(refusal.query, cancellation: Cancellation())
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.field == refusal.field)
        #expect(error?.message.hasPrefix("queries[1]: ") == true, "\(error?.message ?? "")")
        // What was refused leaves no trace.
        #expect(run.progress.queries == 1)
    }

    @Test func theStartIsChecked() throws {
        let test = try engine()
        defer { test.close() }
        for (field, folds, candidates) in [
            ("folds", 1, 0), ("folds", 21, 0), ("candidates", 0, 9), ("candidates", 0, 1_001),
        ] as [(String, UInt32, UInt32)] {
            var start = TuneStart(scope: Self.scope)
            start.folds = folds
            start.candidates = candidates
            let error = #expect(throws: KyroError.self) { try test.engine.beginTuning(start) }
            #expect(error?.field == field)
        }
        #expect(throws: KyroError.self) {
            try test.engine.beginTuning(TuneStart(scope: Scope(namespace: "none")))
        }
    }

    @Test func oneRunsAtATimeAndItsEndMakesRoomForTheNext() throws {
        let test = try engine()
        defer { test.close() }
        let start = TuneStart(scope: Self.scope)
        var run: TuningRun? = try test.engine.beginTuning(start)
        let error = #expect(throws: KyroError.self) { try test.engine.beginTuning(start) }
        #expect(error?.reason == KyroError.Reason.queueFull.rawValue)
        for _ in 0..<9 { try run?.add(Self.query(), cancellation: Cancellation()) }
        let few = #expect(throws: KyroError.self) {
            try run?.step(cancellation: Cancellation()) ?? true
        }
        #expect(few?.field == "queries")
        run = nil
        run = try test.engine.beginTuning(start)
        for _ in 0..<10 { try run?.add(Self.query(), cancellation: Cancellation()) }
        let cancellation = Cancellation()
        cancellation.cancel()
        #expect(throws: KyroError.self) { try run?.step(cancellation: cancellation) }
    }

    /// Threads let go of a run some time after it was answered.
    @Test func whoeverHasTheAnswerMayTuneAgainAtOnce() throws {
        let test = try engine()
        defer { test.close() }
        var start = TuneStart(scope: Self.scope)
        start.isDryRun = true
        var first: TuningRun? = try test.engine.beginTuning(start)
        for _ in 0..<10 { try first?.add(Self.query(), cancellation: Cancellation()) }
        while !(try first?.step(cancellation: Cancellation()) ?? true) {}
        let run = try #require(first)
        _ = try awaited { done in test.engine.finishTuning(run, completion: done) }.get()
        let second = try test.engine.beginTuning(start)
        withExtendedLifetime(run) {}
        first = nil
        // The first one's end takes nothing from the second.
        #expect(throws: KyroError.self) { try test.engine.beginTuning(start) }
        withExtendedLifetime(second) {}
    }
}
