// Lines of JSON as documents, and ids on the command line.
import KyroCommands
import KyroModel
import Testing

@Suite struct DocumentLineTests {
    private func document(
        _ line: String, row: [Float]? = nil, _ change: (inout LineMapping) -> Void = { _ in }
    ) throws -> Document {
        var mapping = LineMapping()
        change(&mapping)
        return try mapping.document(line: Array(line.utf8), row: row)
    }

    @Test("Fields go where their names and values say")
    func fields() throws {
        let line = """
            {"id": "a", "title": "T", "text": "", "repo": "r", "files": 3, "score": 1.5, \
            "draft": false, "dirs": ["x", "y"], "none": null, "empty": [], "ints": [1, 2], \
            "mixed": [1, 2.5], "flags": [true], "ts": 1421456611}
            """
        let result = try document(line) { $0.timeField = "ts" }
        var expected = Document(id: .text("a"))
        expected.texts = ["title": "T", "text": ""]
        expected.metadata = [
            "repo": .string("r"), "files": .int64(3), "score": .double(1.5),
            "draft": .bool(false), "dirs": .strings(["x", "y"]), "ints": .int64s([1, 2]),
            "mixed": .doubles([1, 2.5]), "flags": .bools([true]),
        ]
        expected.eventTimeMillis = 1_421_456_611_000
        #expect(result == expected)
    }

    @Test("Named text fields replace the usual two")
    func texts() throws {
        let result = try document(#"{"id": 7, "title": "T", "body": "B"}"#) {
            $0.textFields = ["body"]
        }
        #expect(result.id == .number(7))
        #expect(result.texts == ["body": "B"])
        #expect(result.metadata == ["title": .string("T")])
    }

    @Test("Vectors come inline, sparse, and from a row beside the line")
    func vectors() throws {
        let line = #"{"id": "a", "v": [1, 2.5], "s": {"indices": [3, 1], "values": [0.5, 2]}}"#
        let result = try document(line, row: [9]) {
            $0.vectorFields = ["v"]
            $0.sparseFields = ["s"]
        }
        #expect(result.vectors == ["v": [1, 2.5], "vector": [9]])
        #expect(
            result.sparseVectors == ["s": SparseVector(indices: [3, 1], values: [0.5, 2])])
    }

    @Test("Multi-vectors are lists of rows, and come back as such")
    func multiVectors() throws {
        let result = try document(#"{"id": "a", "m": [[1, 2.5], [0, -1], [3, 4]]}"#) {
            $0.multiVectorFields = ["m"]
        }
        let rows = MultiVector(dimension: 2, values: [1, 2.5, 0, -1, 3, 4])
        #expect(result.multiVectors == ["m": rows])
        #expect(result.metadata.isEmpty)
        #expect(try VectorSource.multi(JSON(rows).text) == rows)
        for (source, problem) in [
            ("[[1, 2], [3]]", "1 numbers in row 1 and 2 in row 0"), ("[]", "has no rows"),
            ("[[]]", "0 numbers in row 0"), ("[1, 2]", "in the place of row 0"),
            ("[[1, \"a\"]]", "holds a string"), ("[[1,", "not JSON"),
        ] {
            let error = #expect(throws: InputError.self) { try VectorSource.multi(source) }
            #expect(error?.description.contains(problem) == true, "\(error as Any)")
        }
    }

    @Test("Times are numbers of the unit or RFC 3339")
    func times() throws {
        let line = #"{"id": "a", "t": 1500, "x": "2024-01-31", "m": [1, 2], "skip": {}}"#
        let result = try document(line) {
            $0.timeField = "t"
            $0.expiryField = "x"
            $0.timestampFields = ["m"]
            $0.timeUnit = .millis
            $0.skippedFields = ["skip"]
        }
        #expect(result.eventTimeMillis == 1_500)
        #expect(result.expiresAtMillis == 1_706_659_200_000)
        #expect(result.metadata == ["m": .timestamps([1, 2])])
    }

    static let bad: [(String, String)] = [
        ("", "not JSON"), ("[1]", "a document is an object"), ("{}", "no field \"id\""),
        (#"{"id": null}"#, "\"id\" is null"), (#"{"id": -1}"#, "an integer"),
        (#"{"id": 1.5}"#, "a number"), (#"{"id": true}"#, "a boolean"),
        (#"{"id": 1, "o": {"a": 1}}"#, "--skip-field o"),
        (#"{"id": 1, "l": [1, "a"]}"#, "mixes types"), (#"{"id": 1, "l": [null]}"#, "holds null"),
        (#"{"id": 1, "v": 3}"#, "not a list of numbers"),
        (#"{"id": 1, "v": [1, "a"]}"#, "holds a string"),
        (#"{"id": 1, "m": [1, 2]}"#, "in the place of row 0"),
        (#"{"id": 1, "m": {}}"#, "not a list of lists"),
        (#"{"id": 1, "t": "yesterday"}"#, "not a time"),
        (#"{"id": 1, "t": 9223372036854775807}"#, "beyond 64 bits"),
    ]

    @Test("A bad line says what is wrong with it", arguments: bad)
    func refuses(_ line: String, _ problem: String) {
        do {
            _ = try document(line) {
                $0.vectorFields = ["v"]
                $0.multiVectorFields = ["m"]
                $0.timeField = "t"
            }
            Issue.record("\(line) was taken")
        } catch {
            #expect("\(error)".contains(problem), "\(error)")
        }
    }

    @Test("Ids: #7 is a number, 7 a text, quotes are JSON, and all come back")
    func ids() {
        #expect(DocumentID(argument: "#7") == .number(7))
        #expect(DocumentID(argument: "7") == .text("7"))
        #expect(DocumentID(argument: "\"#7\"") == .text("#7"))
        #expect(DocumentID(argument: "#seven") == .text("#seven"))
        #expect(DocumentID(argument: "\"open") == .text("\"open"))
        for id: DocumentID in [
            .number(7), .number(.max), .text("7"), .text("#7"), .text("#x"), .text("\"q\""),
            .text("日本"),
        ] {
            #expect(DocumentID(argument: id.argument) == id)
        }
    }
}
