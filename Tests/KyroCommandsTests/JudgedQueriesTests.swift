// Judged queries as files have them.
import Foundation
import KyroCommands
import KyroModel
import Testing

@Suite struct JudgedQueriesTests {
    private func file(_ name: String, _ text: String) throws -> String {
        let path = NSTemporaryDirectory() + "kyro-\(UUID().uuidString)-\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test(arguments: [
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\t#7\t0\nq2\td2\t-1\n",
        "q1 0 d1 2\nq1 0 #7 0\n\nq2 0 d2 -1",
    ])
    func judgementsOfBothKindsAreRead(text: String) throws {
        let path = try file("qrels", text)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let judgements = try Judgements(path: path)
        #expect(judgements.count == 3)
        #expect(
            judgements.byQuery["q1"] == [
                Judgement(id: .text("d1"), grade: 2), Judgement(id: .number(7), grade: 0),
            ])
        // Below 0 stands for harmful, which gains nothing either.
        #expect(judgements.byQuery["q2"] == [Judgement(id: .text("d2"), grade: 0)])
    }

    @Test func aBadLineIsNamed() throws {
        let path = try file("qrels", "q\td\t1\nq\td\n")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let error = #expect(throws: InputError.self) { try Judgements(path: path) }
        #expect(error?.description.contains("line 2") == true)
    }

    @Test func queriesAskWhatTheirLinesSay() throws {
        let path = try file(
            "queries",
            """
            {"id": "a", "text": "words", "vector": [1, 0.5]}
            {"id": "nobody judged this", "text": "words"}

            {"id": 3, "text": "more", "sparse": {"indices": [4], "values": [2]}}
            """)
        defer { try? FileManager.default.removeItem(atPath: path) }
        var judgements = Judgements()
        judgements.add("a", .text("d"), 1)
        judgements.add("3", .text("e"), 2)
        var reader = try JudgedQueryReader(path: path, vectors: nil, judgements: judgements)
        reader.vectorField = "v"
        reader.textFields = ["t"]
        var first = JudgedQuery(judgements: [Judgement(id: .text("d"), grade: 1)])
        first.text = TextQuery(query: "words", fields: ["t"])
        first.vector = VectorQuery(field: "v", vector: [1, 0.5])
        #expect(try reader.next() == first)
        let second = try reader.next()
        #expect(second?.sparse?.vector == SparseVector(indices: [4], values: [2]))
        #expect(second?.vector == nil)
        #expect(try reader.next() == nil)
        #expect(reader.skipped == 1)
    }
}
