// Command lines, times and schemas as text.
import KyroCommands
import KyroModel
import Testing

@Suite struct ArgumentsTests {
    private let options: [Option] = [
        Option("limit", short: "k", value: "N", ""), Option("exact", ""),
        Option("field", value: "NAME", isRepeatable: true, ""),
        Option("since", value: "TIME", ""), Option("time-unit", value: "s|ms", ""),
    ]

    private func parse(_ words: String...) throws(UsageError) -> Arguments {
        try Arguments(words, options: options)
    }

    @Test("Options may stand anywhere, in any spelling")
    func spellings() throws {
        let arguments = try parse(
            "a", "--limit=3", "--exact", "--field", "x", "-", "--field", "--y", "--", "--limit")
        #expect(arguments.positionals == ["a", "-", "--limit"])
        #expect(try arguments.integer("limit", in: 1...10) == 3)
        #expect(arguments.flag("exact") && !arguments.flag("since"))
        #expect(arguments.strings("field") == ["x", "--y"])
        #expect(try parse("-k5").string("limit") == "5")
        #expect(try parse("-k", "5").string("limit") == "5")
        #expect(try parse("--limit=").string("limit") == "")
    }

    @Test("Mistakes are named, with what may have been meant")
    func mistakes() {
        func problem(_ body: () throws -> Void) -> String {
            do {
                try body()
                return "none"
            } catch {
                return "\(error)"
            }
        }
        #expect(problem { _ = try parse("--limt", "3") }.contains("did you mean --limit?"))
        #expect(problem { _ = try parse("--zzzzzz") } == "unknown option --zzzzzz")
        #expect(problem { _ = try parse("-z") } == "unknown option -z")
        #expect(problem { _ = try parse("--limit") }.contains("needs a value: --limit N"))
        #expect(problem { _ = try parse("--exact=1") }.contains("takes no value"))
        #expect(problem { _ = try parse("-k", "1", "-k", "2") }.contains("twice"))
        #expect(
            problem { _ = try parse("-k", "0").integer("limit", in: 1...10) }
                .contains("an integer from 1 to 10"))
        #expect(
            problem { _ = try parse("--time-unit", "us").choice("time-unit", of: TimeUnit.self) }
                .contains("one of s, ms"))
        #expect(
            problem { _ = try parse("a", "b").positionals(exactly: ["the file"]) }
                == "unexpected \"b\"")
        #expect(problem { _ = try parse().positionals(exactly: ["the file"]) }.contains("missing"))
    }

    static let spans: [(String, Int64)] = [
        ("500ms", 500), ("90s", 90_000), ("15m", 900_000), ("12h", 43_200_000),
        ("30d", 2_592_000_000), ("2w", 1_209_600_000), ("1d12h", 129_600_000),
        ("1.5h", 5_400_000), ("0s", 0),
    ]

    @Test("Lengths of time", arguments: spans)
    func readsSpans(_ text: String, _ millis: Int64) throws {
        #expect(try TimeSpan.parseMillis(text) == millis)
    }

    @Test(
        "What is no length of time is refused",
        arguments: ["", "30", "d", "-1d", "1 d", "1x", "1.2.3s", "1e3s", "99999999999999999w"])
    func noSpans(_ text: String) {
        #expect(throws: TimeTextError.self) { try TimeSpan.parseMillis(text) }
    }

    static let times: [(String, Int64)] = [
        ("1970-01-01", 0), ("2024-02-29", 1_709_164_800_000),
        ("2024-01-31T10:00:00Z", 1_706_695_200_000),
        ("2024-01-31T10:00:00.25Z", 1_706_695_200_250),
        ("2024-01-31t10:00:00", 1_706_695_200_000), ("2024-01-31 10:00", 1_706_695_200_000),
        ("2024-01-31T12:00:00+02:00", 1_706_695_200_000),
        ("2024-01-31T08:30:00-01:30", 1_706_695_200_000),
        ("1969-12-31T23:59:59.999Z", -1), ("0001-01-01", -62_135_596_800_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
    ]

    @Test("Times are read as RFC 3339, and written so", arguments: times)
    func readsTimes(_ text: String, _ millis: Int64) throws {
        #expect(try Timestamp.parse(text) == millis)
        #expect(try Timestamp.parse(Timestamp.text(millis: millis)) == millis)
    }

    @Test(
        "What is no time is refused",
        arguments: [
            "", "2024", "2024-1-1", "2023-02-29", "2024-13-01", "2024-00-01", "2024-01-00",
            "2024-01-31T", "2024-01-31T25:00Z", "2024-01-31T10:60Z", "2024-01-31T10:00:60Z",
            "2024-01-31T10:00:00.Z", "2024-01-31T10:00:00+2", "2024-01-31x", "２０２４-01-01",
        ])
    func noTimes(_ text: String) {
        #expect(throws: TimeTextError.self) { try Timestamp.parse(text) }
    }

    @Test("Every day from 1900 to 2100 survives writing and reading")
    func days() throws {
        var millis: Int64 = -2_208_988_800_000
        while millis < 4_102_444_800_000 {
            #expect(try Timestamp.parse(Timestamp.text(millis: millis)) == millis)
            millis += 86_400_000
        }
    }

    @Test("A time option takes a time or how long ago")
    func ago() throws {
        #expect(try parse("--since", "1d").time("since", nowMillis: 100_000_000) == 13_600_000)
        #expect(try parse("--since", "now").time("since", nowMillis: 5) == 5)
        #expect(try parse("--since", "1970-01-02").time("since", nowMillis: 5) == 86_400_000)
        #expect(throws: UsageError.self) {
            try parse("--since", "soon").time("since", nowMillis: 5)
        }
    }

    @Test("Fields of a schema")
    func schema() throws {
        var schema = Schema()
        try schema.addVector("e:384")
        try schema.addVector("f:2:ip")
        try schema.addText("title")
        try schema.addText("body:code:german")
        try schema.addMetadata("n:int64")
        try schema.addMetadata("tags:string[]")
        #expect(schema.vectors["e"] == VectorField(dimension: 384))
        #expect(schema.vectors["f"] == VectorField(dimension: 2, metric: .innerProduct))
        try schema.addVector("g:768:cosine,codes=sq4,rerank=bf16,m=24")
        let dense = VectorIndexing(codes: .sq4, rerank: .bf16, m: 24)
        #expect(schema.vectors["g"] == VectorField(dimension: 768, indexing: dense))
        #expect(dense.text == "codes=sq4,rerank=bf16,m=24")
        try schema.addVector("h:5,kind=ivf,storage=disk,lists=7,probes=2")
        let lists = VectorIndexing(kind: .ivf, storage: .disk, lists: 7, probes: 2)
        #expect(schema.vectors["h"] == VectorField(dimension: 5, indexing: lists))
        #expect(try VectorIndexing(parsing: lists.text) == lists)
        #expect(VectorIndexing.default.text == "")
        for bad in [
            "e:3,", "e:3,codes", "e:3,codes=sq5", "e:3,M=4", "e:3,m=-1", "e:3,m=", "e:3,=4",
        ] {
            #expect(throws: UsageError.self, "\(bad)") { try schema.addVector(bad) }
        }
        #expect(schema.texts["title"] == TextField())
        #expect(schema.texts["body"] == TextField(analyzer: .code, language: "german"))
        #expect(schema.metadata == ["n": .int64, "tags": .strings])
        #expect(throws: UsageError.self) { try schema.addVector("e") }
        #expect(throws: UsageError.self) { try schema.addVector("e:0") }
        #expect(throws: UsageError.self) { try schema.addVector("e:3:manhattan") }
        #expect(throws: UsageError.self) { try schema.addMetadata("n:int32") }
        #expect(throws: UsageError.self) { try schema.addText("") }
    }

    @Test("Weights of legs")
    func weights() throws {
        #expect(try LegWeights(parsing: "vector=2,text=0.5") == LegWeights(vector: 2, text: 0.5))
        for bad in ["", "vector", "vector=", "vector=-1", "vector=nan", "graph=1"] {
            #expect(throws: UsageError.self) { try LegWeights(parsing: bad) }
        }
    }

    @Test("Hex is its own inverse")
    func hex() {
        #expect(Hex.bytes(Hex.text([0, 15, 16, 255])) == [0, 15, 16, 255])
        #expect(Hex.bytes("0g") == nil && Hex.bytes("0") == nil)
    }
}
