// What each analyser makes of a text.
import KyroIndex
import KyroModel
import Testing

@Suite struct AnalyzerTests {
    private func terms(_ text: String, _ kind: AnalyzerKind, _ language: String = "") -> [String] {
        TextIndex(field: TextField(analyzer: kind, language: language)).analyze(text)
    }

    @Test(arguments: [
        ("", []),
        ("   ...  ", []),
        ("Running runners ran", ["ran", "run", "runner"]),
        ("The cat is on the mat", ["cat", "mat"]),
        ("THE such THERE", []),
        ("snake_case stays_whole", ["snake_cas", "stays_whol"]),
        ("don't", ["don", "t"]),
        ("IPv6 2024 x86", ["2024", "ipv6", "x86"]),
        ("Überraschung ÜBERRASCHUNG", ["überraschung"]),
        ("Straße STRASSE ẞ", ["ss", "strass"]),
        ("ΟΔΟΣ οδος οδοσ", ["οδοσ"]),
        ("Москва МОСКВА", ["москва"]),
        ("ﬁne FINE", ["fine"]),
        ("東京 tower", ["tower", "京", "東"]),
        ("cafe\u{301}s", ["cafe\u{301}"]),
        ("नमस्ते दुनिया", ["दुनिया", "नमस्ते"]),
        ("a🙂b🙂c", ["b", "c"]),
        ("e-mail@example.com", ["com", "e", "exampl", "mail"]),
    ])
    func standardEnglish(_ text: String, _ expected: [String]) {
        #expect(
            terms(text, .standard) == expected.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        )
    }

    @Test(arguments: [
        ("german", "Häuser Haus die", ["die", "haus"]),
        ("french", "continuation continué", ["continu"]),
        ("russian", "вагонами", ["вагон"]),
        ("turkish", "ışık", ["ışık"]),
    ])
    func standardInOtherLanguages(_ language: String, _ text: String, _ expected: [String]) {
        #expect(terms(text, .standard, language) == expected)
    }

    @Test(arguments: [
        ("parseHTTPRequest2", ["2", "http", "parse", "parsehttprequest2", "request"]),
        ("snake_case_name", ["case", "name", "snake", "snake_case_name"]),
        ("__init__", ["__init__", "init"]),
        ("simple", ["simple"]),
        ("HTTP", ["http"]),
        ("HTTPServer", ["http", "httpserver", "server"]),
        ("int32_t x", ["32", "int", "int32_t", "t", "x"]),
        ("the a.b", ["a", "b", "the"]),
        ("_", ["_"]),
        ("größeÄndern", ["grösseändern", "grösse", "ändern"]),
        ("X", ["x"]),
        ("aB", ["a", "ab", "b"]),
        ("a__b", ["a", "a__b", "b"]),
    ])
    func code(_ text: String, _ expected: [String]) {
        #expect(
            terms(text, .code) == expected.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    }

    @Test(arguments: [("", []), ("The Cat", ["The Cat"]), (" x ", [" x "])])
    func rawKeepsTheWholeText(_ text: String, _ expected: [String]) {
        #expect(terms(text, .raw) == expected)
    }

    @Test func longWordsAreLeftWhole() {
        let word = String(repeating: "running", count: 10_000)
        #expect(terms(word, .standard) == [word])
        #expect(terms(word, .code) == [word])
    }

    @Test func onlyNamesOfAlgorithmsAreLanguages() {
        for language in ["english", "german", "finnish", "turkish"] {
            #expect(Analyzer.supports(language: language))
        }
        for language in ["", "en", "klingon", "English"] {
            #expect(!Analyzer.supports(language: language))
        }
    }

    @Test(arguments: [
        ("Café CAFE cafe\u{301}", ["caf"]),
        ("Ελλάδα", ["ελλαδα"]),
        ("Việt Łódź Đà Þór", ["da", "lodz", "viet", "þor"]),
        ("İstanbul ışık", ["isik", "istanbul"]),
        ("が नमस्ते", ["नमस्ते", "が"]),
    ])
    func foldingTakesMarksAway(_ text: String, _ expected: [String]) {
        let field = TextField(foldsDiacritics: true, stems: false)
        let wanted = expected.map { $0 == "caf" ? "cafe" : $0 }
        #expect(
            TextIndex(field: field).analyze(text)
                == wanted.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    }

    @Test func stopWordsAreTheFieldsOwn() {
        func terms(_ text: String, _ words: StopWords, _ language: String = "") -> [String] {
            TextIndex(field: TextField(language: language, stopWords: words, stems: false))
                .analyze(text)
        }
        #expect(terms("The cat and der Hund", .standard) == ["cat", "der", "hund"])
        #expect(terms("the cat", .none) == ["cat", "the"])
        #expect(
            terms("The cat and DER Hund", .list(["Der", "und"])) == ["and", "cat", "hund", "the"])
        #expect(terms("the", .standard, "german") == ["the"])
    }

    @Test func everyLanguageStemsAndCanBeToldNotTo() {
        #expect(Analyzer.languages.count >= 15)
        for language in Analyzer.languages {
            let stems = TextIndex(field: TextField(language: language, stopWords: .none))
            let forms = TextIndex(
                field: TextField(language: language, stopWords: .none, stems: false))
            #expect(forms.analyze("running walked") == ["running", "walked"], "\(language)")
            #expect(!stems.analyze("running walked").isEmpty, "\(language)")
        }
        #expect(terms("running", .standard) == ["run"])
    }
}
