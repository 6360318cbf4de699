// The text syntax: what it means, and what its errors say.
import KyroCommands
import KyroModel
import Testing

@Suite struct TextSyntaxTests {
    @Test(arguments: [
        "flow control window", "don't", "e-mail@example.com", "std::vector", "http://example.com",
        "C++ a-b", "  spaces  ", "note: this",
    ])
    func wordsAloneAreAPlainQuery(_ text: String) throws {
        let query = try TextQuery(parsing: text, fields: ["body"])
        #expect(query == TextQuery(query: text, fields: ["body"]))
    }

    @Test(arguments: [
        ("+must", TextNode.boolean(must: [.match("must")])),
        (
            "+must -not \"a phrase\"~2 fuzz~1 pre* title:word^2",
            .boolean(
                must: [.match("must")],
                should: [
                    TextNode(.phrase("a phrase", slop: 2)),
                    TextNode(.fuzzy("fuzz", edits: 1, prefixLength: 0, expansions: 0)),
                    TextNode(.prefix("pre", expansions: 0)),
                    TextNode(
                        .match("word", .any, minimumShouldMatch: 0), fields: ["title"], boost: 2),
                ], mustNot: [.match("not")])
        ),
        ("fuzz~", TextNode(.fuzzy("fuzz", edits: 2, prefixLength: 0, expansions: 0))),
        ("\"exact one\"", TextNode(.phrase("exact one", slop: 0))),
        (
            "title:(a +b)^0.5",
            TextNode(
                .boolean(
                    must: [.match("b")], should: [.match("a")], mustNot: [],
                    minimumShouldMatch: 0), fields: ["title"], boost: 0.5)
        ),
        (
            "+(a -b) c",
            .boolean(
                must: [.boolean(should: [.match("a")], mustNot: [.match("b")])],
                should: [.match("c")])
        ),
        ("\\+a", .match("+a")),
        ("a\\*", .match("a*")),
        ("\"say \\\"hi\\\"\"", TextNode(.phrase("say \"hi\"", slop: 0))),
        ("fuzz~^3", TextNode(.fuzzy("fuzz", edits: 2, prefixLength: 0, expansions: 0), boost: 3)),
    ])
    func operatorsMakeATree(_ text: String, _ expected: TextNode) throws {
        let query = try TextQuery(parsing: text)
        #expect(query.node == expected)
        #expect(query.query.isEmpty)
    }

    @Test(arguments: [
        ("", 1, "the text is empty; expected a word, a phrase in \"quotes\" or \"(\""),
        ("a +", 4, "expected a word, a phrase in \"quotes\" or \"(\" behind \"+\", found the end"),
        ("- a", 2, "expected a word, a phrase in \"quotes\" or \"(\" behind \"-\", found a space"),
        ("a (b", 3, "this \"(\" is not closed"),
        ("a) b", 2, "this \")\" closes nothing"),
        ("()", 2, "expected a word, a phrase in \"quotes\" or \"(\", found \")\""),
        ("\"abc", 1, "this phrase has no closing quote"),
        ("x \" \"", 3, "this phrase is empty; expected words in it"),
        ("a~3", 3, "expected 1 or 2 edits behind \"~\", found 3"),
        ("a~x", 3, "expected 1 or 2 edits behind \"~\", found \"x\""),
        (
            "\"a b\"~", 7,
            "expected how many words may lie between, from 0 to 10000, behind \"~\", found the end"
        ),
        ("*", 1, "\"*\" needs a word before it"),
        ("a ~1", 3, "\"~\" needs a word before it"),
        ("a^x", 3, "expected a factor from 0.001 to 1000 behind \"^\", found \"x\""),
        ("a^0", 3, "expected a factor from 0.001 to 1000 behind \"^\", found 0"),
        ("a*b", 3, "expected a space, \"^\" or the end, found \"b\""),
        ("\"a\"b", 4, "expected a space, \"^\" or the end, found \"b\""),
        ("-a -b", 1, "there is only what must not be there; expected a word to look for, too"),
        ("x (-a)", 3, "there is only what must not be there; expected a word to look for, too"),
        (
            "title:^2", 7,
            "expected a word, a phrase in \"quotes\" or \"(\" behind \"title:\", found \"^\""
        ),
        ("a\\", 3, "expected a character behind \"\\\", found the end"),
        (
            String(repeating: "(", count: 15) + "a", 15,
            "parentheses are nested deeper than 14"
        ),
    ])
    func errorsNameThePlaceAndWhatWasExpected(_ text: String, _ column: Int, _ problem: String) {
        let error = #expect(throws: TextSyntaxError.self) { try TextQuery(parsing: text) }
        #expect(error?.problem == problem)
        #expect(error?.column == column)
    }

    @Test func anErrorIsMarkedInItsText() {
        let error = #expect(throws: TextSyntaxError.self) { try TextQuery(parsing: "ab cd~9") }
        #expect(
            error?.description
                == "expected 1 or 2 edits behind \"~\", found 9, at column 7\n    ab cd~9\n"
                + "          ^")
    }
}
