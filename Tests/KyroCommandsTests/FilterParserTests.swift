// The filter language: what each text means, and where each mistake is.
import KyroCommands
import KyroModel
import TestSupport
import Testing

/// SplitMix64 (Steele, Lea & Flood 2014).
private struct Dice {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(bound))
    }
}

struct GoodFilter: Sendable {
    var text: String
    var filter: Filter

    init(_ text: String, _ filter: Filter) {
        self.text = text
        self.filter = filter
    }
}

struct BadFilter: Sendable {
    var text: String
    var column: Int
    var problem: String

    init(_ text: String, _ column: Int, _ problem: String) {
        self.text = text
        self.column = column
        self.problem = problem
    }
}

private func eq(_ field: String, _ value: MetadataValue) -> Filter { .equals(field: field, value) }

@Suite struct FilterParserTests {
    static let good: [GoodFilter] = [
        .init("files = 3", eq("files", .int64(3))),
        .init("files=-3", eq("files", .int64(-3))),
        .init("score = 3.0", eq("score", .double(3))),
        .init("score = 1e3", eq("score", .double(1_000))),
        .init("score = -1.5e-3", eq("score", .double(-0.0015))),
        .init("repo = \"apple/swift-nio\"", eq("repo", .string("apple/swift-nio"))),
        .init("repo = 'it is \"so\"'", eq("repo", .string("it is \"so\""))),
        .init(#"a = "q\"\\\n""#, eq("a", .string("q\"\\\n"))),
        .init("draft = TRUE", eq("draft", .bool(true))),
        .init("repo != \"a\"", .not(eq("repo", .string("a")))),
        .init(
            "files < 10",
            .range(field: "files", lower: nil, upper: .init(.int64(10), isInclusive: false))),
        .init(
            "files <= 10",
            .range(field: "files", lower: nil, upper: .init(.int64(10), isInclusive: true))),
        .init(
            "files > 1",
            .range(field: "files", lower: .init(.int64(1), isInclusive: false), upper: nil)),
        .init(
            "at >= @2024-01-31",
            .range(
                field: "at", lower: .init(.timestamp(1_706_659_200_000), isInclusive: true),
                upper: nil)),
        .init("at = @2024-01-31T10:00:00Z", eq("at", .timestamp(1_706_695_200_000))),
        .init("a in (1, 2)", .isIn(field: "a", [.int64(1), .int64(2)])),
        .init("a in (1, 2.5)", .isIn(field: "a", [.double(1), .double(2.5)])),
        .init("a not in (\"x\")", .not(.isIn(field: "a", [.string("x")]))),
        .init("a prefix \"x\"", .prefix(field: "a", "x")),
        .init("a ^= \"x\"", .prefix(field: "a", "x")),
        .init("exists a", .exists(field: "a")),
        .init("not exists a", .not(.exists(field: "a"))),
        .init("not not a = 1", .not(.not(eq("a", .int64(1))))),
        .init(
            "a = 1 and b = 2 and c = 3",
            .all([eq("a", .int64(1)), eq("b", .int64(2)), eq("c", .int64(3))])),
        .init(
            "a = 1 or b = 2 and c = 3",
            .any([eq("a", .int64(1)), .all([eq("b", .int64(2)), eq("c", .int64(3))])])),
        .init(
            "(a = 1 or b = 2) AND c = 3",
            .all([.any([eq("a", .int64(1)), eq("b", .int64(2))]), eq("c", .int64(3))])),
        .init("\"and\" = 1", eq("and", .int64(1))),
        .init("\"odd name\" = 1", eq("odd name", .int64(1))),
        .init("meta.sub-field_2 = 1", eq("meta.sub-field_2", .int64(1))),
        .init("größe = \"日本\"", eq("größe", .string("日本"))),
        .init("((a = 1))", eq("a", .int64(1))),
        .init("a = 9223372036854775808", eq("a", .double(9_223_372_036_854_775_808))),
        .init("t contains \"x\"", .containsAny(field: "t", [.string("x")])),
        .init("t contains any (1, 2)", .containsAny(field: "t", [.int64(1), .int64(2)])),
        .init(
            "t CONTAINS ALL (\"x\", \"y\") and within = 1",
            .all([
                .containsAll(field: "t", [.string("x"), .string("y")]), eq("within", .int64(1)),
            ])),
        .init(
            "p within 1.5 km of (48.85, -2)",
            .withinDistance(
                field: "p", center: GeoPoint(latitude: 48.85, longitude: -2), metres: 1_500)),
        .init(
            "p within 20 of (-90, 180)",
            .withinDistance(
                field: "p", center: GeoPoint(latitude: -90, longitude: 180), metres: 20)),
        .init(
            "p within box (-10, 170, 10.5, -170)",
            .withinBox(field: "p", GeoBox(south: -10, west: 170, north: 10.5, east: -170))),
    ]

    @Test("A well-formed filter means the tree it spells", arguments: good)
    func means(_ sample: GoodFilter) throws {
        #expect(try Filter(parsing: sample.text) == sample.filter)
    }

    @Test("With SQL's negation every not keeps the unknown")
    func sqlNegation() throws {
        let text = "not a = 1 and b != 2 and c not in (3) and not not exists d"
        #expect(
            try Filter(parsing: text, negation: .sql)
                == .all([
                    .sqlNot(eq("a", .int64(1))), .sqlNot(eq("b", .int64(2))),
                    .sqlNot(.isIn(field: "c", [.int64(3)])),
                    .sqlNot(.sqlNot(.exists(field: "d"))),
                ]))
    }

    @Test(
        "Whatever is wrong, the column lies in the text or at its end, and something was expected")
    func everyMistakeSaysWhatWasExpected() {
        var generator = Dice(state: 91)
        let pieces = Self.good.map(\.text) + Self.bad.map(\.text)
        var refused = 0
        for _ in 0..<scaled(20_000) {
            var characters = Array(pieces[generator.below(pieces.count)])
            for _ in 0...generator.below(3) {
                let other = Array(pieces[generator.below(pieces.count)])
                let place = generator.below(characters.count + 1)
                switch generator.below(3) {
                case 0: characters = Array(characters[..<place])
                case 1 where place < characters.count: characters.remove(at: place)
                default: characters.insert(contentsOf: other.suffix(generator.below(4)), at: place)
                }
            }
            do {
                _ = try Filter(parsing: String(characters))
            } catch {
                refused += 1
                #expect(
                    error.problem.hasPrefix("expected "), "\(String(characters)): \(error)")
                #expect((1...(String(characters).count + 1)).contains(error.column), "\(error)")
            }
        }
        #expect(refused > 1_000 * scaled(100) / 100 / 2)
    }

    static let bad: [BadFilter] = [
        .init("", 1, "empty"),
        .init("repo =", 7, "expected a value after \"=\", found the end"),
        .init("repo = and files", 8, "found the keyword and"),
        .init("repo = apple", 8, "put texts in quotes: \"apple\""),
        .init("repo \"x\"", 6, "expected =, !=, <"),
        .init("repo", 5, "found the end"),
        .init("= 3", 1, "expected a field"),
        .init("and = 3", 1, "keyword and"),
        .init("a = 1 b = 2", 7, "expected \"and\", \"or\" or the end, found b"),
        .init("(a = 1", 1, "not closed"),
        .init("a = 1)", 6, "closes nothing"),
        .init("a in 3", 6, "expected \"(\""),
        .init("a in ()", 7, "expected a value"),
        .init("a in (1, \"x\")", 7, "one type"),
        .init("a in (1 2)", 9, "expected \",\" or \")\""),
        .init("a not 3", 7, "expected \"in\""),
        .init("a ^= 3", 6, "expected a text in double quotes, found 3"),
        .init("a ! 3", 3, "expected \"=\" after \"!\", found \" \""),
        .init("a = \"x", 5, "expected a closing quote"),
        .init("a = \"\\q\"", 6, "found the escape \"\\q\""),
        .init("a = 1.2.3", 5, "expected a number, found \"1.2.3\""),
        .init("a = 12x", 5, "expected a number, found \"12x\""),
        .init("a = @2024-13-01", 5, "not a time"),
        .init("a < true", 5, "no order"),
        .init("a = 1 & b = 2", 7, "expected a word, a text in quotes"),
        .init("p within 5 miles of (1, 2)", 12, "expected \"m\", \"km\" or \"of\", found miles"),
        .init("p within 5km of (1, 2)", 10, "expected a number, found \"5km\""),
        .init("p within (1, 2)", 10, "expected a distance or \"box\""),
        .init("p within -1 m of (1, 2)", 10, "expected a distance of 0 or more"),
        .init(
            "p within 5 m of (91, 2)", 18, "expected the latitude in −90...90 degrees, found 91.0"),
        .init("p within 5 m of (1)", 19, "expected \",\" and the longitude, found \")\""),
        .init("p within 5 m of 1, 2", 17, "expected \"(\" and latitude, longitude"),
        .init("p within box (1, 2, 3)", 22, "expected \",\" and the east"),
        .init("p within box (3, 2, 1, 4)", 15, "expected a south up to the north, 1.0, found 3.0"),
        .init("p within box (1, 181, 2, 3)", 18, "expected the west in −180...180"),
        .init("p within box (1, 2, 3, 4", 25, "expected \")\", found the end"),
        .init("t contains and", 12, "expected a value after \"contains\", found the keyword and"),
        .init("t contains any 3", 16, "expected \"(\" after \"any\", found 3"),
        .init("t contains all (1, true)", 17, "expected values of one type"),
        .init("日本 = 1 = 2", 8, "found \"=\""),
    ]

    @Test("A mistake is told with its column", arguments: bad)
    func points(_ sample: BadFilter) throws {
        do {
            let filter = try Filter(parsing: sample.text)
            Issue.record("\(sample.text) was read as \(filter)")
        } catch {
            #expect(error.column == sample.column, "\(error)")
            #expect(error.problem.contains(sample.problem), "\(error)")
        }
    }

    @Test("The mark stands under the place, also behind wide characters")
    func marks() {
        do {
            _ = try Filter(parsing: "日本 = 1 = 2")
            Issue.record("read")
        } catch {
            let lines = error.description.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.count == 3)
            #expect(lines[1] == "    日本 = 1 = 2")
            #expect(lines[2] == "             ^")
        }
    }

    @Test("Nesting is bounded, so that no text ends the program")
    func bounded() throws {
        let depth = Limits.filterDepthMax - 1
        let fine =
            String(repeating: "(", count: depth) + "a = 1" + String(repeating: ")", count: depth)
        #expect(try Filter(parsing: fine) == eq("a", .int64(1)))
        #expect(throws: FilterSyntaxError.self) {
            try Filter(parsing: String(repeating: "(", count: 100_000))
        }
        #expect(throws: FilterSyntaxError.self) {
            try Filter(parsing: String(repeating: "not ", count: 100_000) + "a = 1")
        }
    }
}
