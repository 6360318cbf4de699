import KyroEngine
// The formula language: what it means, what it refuses and where, and that nothing makes it trap.
import KyroModel
import TestSupport
import Testing

@Suite struct FormulaTests {
    static let schema: Schema = {
        var schema = Schema()
        for (name, type) in [
            ("i", ValueType.int64), ("d", .double), ("b", .bool), ("t", .timestamp),
            ("no such field", .int64), ("title", .string), ("tags", .strings), ("list", .int64s),
        ] { schema.metadata[name] = type }
        return schema
    }()

    private func compile(_ text: String) throws(KyroError) -> Formula {
        try FormulaCompiler.compile(text, schema: Self.schema)
    }

    private func value(
        _ text: String, _ variables: [Formula.Variable: Double] = [:],
        _ fields: [String: Double] = [:]
    ) throws -> Double? {
        evaluate(try compile(text), variables, fields)
    }

    private func evaluate(
        _ formula: Formula, _ variables: [Formula.Variable: Double], _ fields: [String: Double]
    ) -> Double? {
        var scratch = Formula.Scratch(formula)
        for (variable, value) in variables { scratch[variable] = value }
        for (index, field) in formula.fields.enumerated() {
            scratch.fields[index] = fields[field.name] ?? .nan
        }
        return formula.evaluate(&scratch)
    }

    @Test(arguments: [
        ("1 + 2 * 3 - 4 / 8", 6.5), ("(1 + 2) * 3", 9), ("-2 * -3", 6), ("2 - -3", 5),
        ("10 - 3 - 2", 5), ("16 / 4 / 2", 2), ("1 < 2", 1), ("2 <= 1", 0), ("1 = 1.0", 1),
        ("1 == 1", 1), ("1 != 1", 0), ("not 0", 1), ("not not 5", 1), ("1 and 0 or 1", 1),
        ("not 1 or 1", 1), ("1 + 1 = 2 ? 10 : 20", 10), ("0 ? 1 : 0 ? 2 : 3", 3),
        ("if(0, 1, 2)", 2), ("min(3, 1, 2)", 1), ("max(3, 1, 2)", 3), ("abs(-4)", 4),
        ("pow(2, 10)", 1_024), ("sqrt(9)", 3), ("log(exp(1))", 1), ("log2(8)", 3),
        ("log10(1000)", 3), ("clamp(5, 0, 3)", 3), ("clamp(-5, 0, 3)", 0), ("clamp(1, 0, 3)", 1),
        ("clamp(1, 3, 0)", 0), ("1e3", 1_000), ("1.5E-1", 0.15), (".5", 0.5), ("2.", 2),
        ("1d", 86_400_000), ("1.5h", 5_400_000), ("30s + 1ms", 30_001), ("1m", 60_000),
        ("true + true", 2), ("false", 0), (" \n\t 7 \r", 7), ("default(1 / 0, 4)", 4),
        ("has(1)", 1), ("has(log(-1))", 0), ("(1 / 0) = (1 / 0)", 0), ("(1 / 0) != 1", 0),
        ("not (1 / 0)", 1), ("(1 / 0) ? 1 : 2", 2), ("0 * (0 - 1) + 5", 5), ("+3", 3),
        ("1 ? 2 : 1 / 0", 2),
    ])
    func constantsEvaluate(text: String, expected: Double) throws {
        let found = try value(text)
        #expect(found.map { abs($0 - expected) < 1e-12 } == true, "\(found as Any)")
    }

    @Test(arguments: [
        "1 / 0", "0 / 0", "log(0)", "log(-1)", "sqrt(-1)", "exp(1000)", "1e308 * 10",
        "pow(-8, 0.5)", "pow(0, -1)", "1 + 1 / 0", "min(1, 1 / 0)", "max(1 / 0, 1)",
        "clamp(1, 0, 1 / 0)", "-(1 / 0)", "abs(log(0))", "pow(1 / 0, 0)", "meta.unknown", "vector",
        "age", "default(vector, text)", "0 ? 1 : 1 / 0",
    ])
    func whatIsNotFiniteIsMissing(text: String) throws {
        #expect(try value(text) == nil)
    }

    @Test func variablesAndFieldsAreRead() throws {
        let variables: [Formula.Variable: Double] = [
            .score: 2, .vectorNorm: 0.5, .textRank: 3, .age: 1_000, .now: 5_000,
        ]
        #expect(
            try value("score + vector.norm * text.rank + age / now", variables) == 2 + 1.5 + 0.2)
        #expect(
            try value("meta.i + meta.\"no such field\"", [:], ["i": 1, "no such field": 2]) == 3)
        #expect(try value("has(meta.title) + has(meta.tags)", [:], ["title": 1]) == 1)
        // One field, one look-up.
        #expect(try compile("meta.i + meta.i * meta.d").fields.map(\.name) == ["i", "d"])
    }

    @Test(arguments: [
        ("", 1, "expected a number"), ("1 +", 4, "found the end"), ("1 2", 3, "an operator"),
        ("(1", 3, "expected \")\""), ("scor", 1, "unknown name \"scor\""),
        ("score + sqroot(2)", 9, "unknown function \"sqroot\""), ("pow(1)", 6, "argument 2 of pow"),
        ("min(1)", 6, "argument 2"), ("clamp(1, 2)", 11, "argument 3 of clamp"),
        ("abs(1, 2)", 6, "expected \")\""), ("1 ? 2", 6, "expected \":\""),
        ("1 < 2 < 3", 7, "\"and\" between"), ("5x", 1, "\"x\" behind a number"),
        ("1.2.3", 1, "\"1.2.3\" is no number"), ("1e", 1, "\"1e\" is no number"),
        ("2 # 3", 3, "\"#\" has no meaning"), ("meta.", 1, "a field's name behind"),
        ("meta.\"x", 1, "expected a \""), ("meta.title * 2", 1, "meta.title is a string"),
        ("1 + meta.tags", 5, "list of string"), ("has(meta.list + 1)", 5, "list of int64"),
        ("1e400", 1, "beyond the range"), ("é + 1", 1, "unknown name \"é\""),
        ("meta.é + £", 10, "unknown name"), ("* 2", 1, "expected a number"), ("!", 1, "no meaning"),
        ("score(1)", 1, "unknown function"), ("and 1", 1, "unknown name"), ("1 or", 5, "the end"),
    ])
    func errorsNameTheColumnAndWhatWasExpected(text: String, column: Int, words: String) {
        let error = #expect(throws: KyroError.self) { _ = try compile(text) }
        #expect(error?.field == "ranking.formula")
        #expect(
            error?.message.contains("at column \(column): ") == true
                && error?.message.contains(words) == true, "\(error as Any)")
    }

    @Test func depthStackAndStepsAreBounded() throws {
        func nested(_ depth: Int, _ open: String, _ close: String) -> String {
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }
        for (open, close) in [
            ("(", ")"), ("-", ""), ("not ", ""), ("1 + (", ")"), ("0 ? 1 : ", ""),
        ] {
            #expect(throws: Never.self) { _ = try compile(nested(60, open, close)) }
            #expect(throws: KyroError.self) { _ = try compile(nested(65, open, close)) }
        }
        // Long, but flat: as many steps as fit.
        let flat = "1" + String(repeating: "+1", count: 511)
        #expect(try value(flat) == 512)
        #expect(throws: KyroError.self) { _ = try compile(flat + "+1") }
        let wide = "min(" + String(repeating: "1,", count: 500) + "2)"
        #expect(try compile(wide).stackMax == 2)
    }

    /// Compiled and walked, each random formula gives the same value.
    @Test(arguments: [11 as UInt64, 12])
    func randomFormulasEqualTheWalkOfTheirTrees(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        var (values, missing) = (0, 0)
        for round in 0..<scaled(20_000) {
            let tree = FormulaTree.random(&dice, depth: 1 + dice.below(5))
            let text = tree.text(&dice)
            var variables: [Formula.Variable: Double] = [:]
            for variable in Formula.Variable.allCases where dice.chance(80) {
                variables[variable] = dice.pick([0, 1, -1, 0.25, 12, 1e15, -3.5])
            }
            var fields: [String: Double] = [:]
            for name in FormulaTree.fields where dice.chance(70) {
                fields[name] = dice.pick([0, 1, 2_020, -7, 0.5])
            }
            let expected = tree.value(variables, fields)
            let formula: Formula
            do {
                formula = try compile(text)
            } catch {
                #expect(text.utf8.count > 1_000, "\(error): \(text), seed \(seed) round \(round)")
                continue
            }
            let found = evaluate(formula, variables, fields)
            if found == nil { missing += 1 } else { values += 1 }
            try #require(
                found == expected,
                "\(found as Any), not \(expected as Any): \(text), seed \(seed) round \(round)")
        }
        #expect(values > missing && missing * 20 > values, "\(values) values, \(missing) missing")
    }

    /// Bytes of the language's own kind, so that some of them are formulas: each is refused or gives a
    /// finite value or none.
    @Test(arguments: [21 as UInt64, 22])
    func randomBytesAreRefusedOrEvaluated(seed: UInt64) {
        var dice = Dice(seed: seed)
        let pieces = [
            "(", ")", "+", "-", "*", "/", "<", ">=", "!", "=", "?", ":", ",", " ", ".", "\"", "\\",
            "1", "9e", "0", "d", "meta.", "i", "score", "min(", "if(", "has(", "not ", " and ",
            "pow(", "text.rank", "é", "\u{0}", "\u{1F600}", "1e308", "log(",
        ]
        var understood = 0
        for round in 0..<scaled(40_000) {
            var text = ""
            for _ in 0..<(1 + dice.below(12)) {
                text +=
                    dice.chance(95)
                    ? dice.pick(pieces)
                    : String(decoding: [UInt8(dice.below(256))], as: UTF8.self)
            }
            do throws(KyroError) {
                let formula = try compile(text)
                understood += 1
                let found = evaluate(formula, [.score: 3, .textRank: 1e308], ["i": -1])
                #expect(found?.isFinite ?? true, "\(text), seed \(seed) round \(round)")
            } catch {
                #expect(error.field == "ranking.formula", "\(text), seed \(seed) round \(round)")
            }
        }
        #expect(understood * 100 > scaled(40_000), "\(understood)")
    }
}
