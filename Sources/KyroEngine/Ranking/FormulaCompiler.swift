// From the text of a formula to its steps, by recursive descent with a bounded depth.
//
//     condition   either ("?" condition ":" condition)?
//     either      both ("or" both)*
//     both        inverse ("and" inverse)*
//     inverse     "not" inverse | comparison
//     comparison  sum (("<" | "<=" | ">" | ">=" | "=" | "!=") sum)?
//     sum         product (("+" | "-") product)*
//     product     signed (("*" | "/") signed)*
//     signed      ("-" | "+") signed | value
//     value       number | true | false | name | meta field | "(" condition ")"
//                 | function "(" condition ("," condition)* ")"
import KyroModel

struct FormulaCompiler {
    private let tokens: [FormulaLexer.Placed]
    private let schema: Schema
    private var position = 0
    private var depth = 0
    private var height = 0
    private var formula = Formula()

    /// - Throws: `.invalid` or `.overLimit` of `ranking.formula`, naming the column and what was
    ///   expected there.
    static func compile(_ text: String, schema: Schema) throws(KyroError) -> Formula {
        guard text.utf8.count <= Limits.formulaBytesMax else {
            throw .overLimit(
                "ranking.formula",
                "has \(text.utf8.count) bytes; the limit is \(Limits.formulaBytesMax)")
        }
        do throws(FormulaError) {
            var compiler = FormulaCompiler(try FormulaLexer.tokens(of: text), schema)
            try compiler.condition()
            guard compiler.current == .end else {
                throw compiler.failure("expected an operator or the end")
            }
            return compiler.formula
        } catch {
            throw .invalid("ranking.formula", "at column \(error.column): \(error.problem)")
        }
    }

    private init(_ tokens: [FormulaLexer.Placed], _ schema: Schema) {
        self.tokens = tokens
        self.schema = schema
    }

    // MARK: Tokens

    private var current: FormulaToken { tokens[position].token }

    private func failure(_ expectation: String) -> FormulaError {
        FormulaError(
            problem: "\(expectation), found \(current.shown)", column: tokens[position].column)
    }

    /// The last token, the end, is never passed.
    private mutating func advance() { position = min(position + 1, tokens.count - 1) }

    private mutating func accept(_ symbol: String) -> Bool {
        guard current == .symbol(symbol) else { return false }
        advance()
        return true
    }

    private mutating func accept(word: String) -> Bool {
        guard current == .name(word) else { return false }
        advance()
        return true
    }

    private mutating func expect(_ symbol: String, _ purpose: String) throws(FormulaError) {
        guard accept(symbol) else { throw failure("expected \"\(symbol)\" \(purpose)") }
    }

    // MARK: Steps

    /// - Parameter taken: values that the step takes from the stack, where it leaves one.
    private mutating func emit(_ step: Formula.Step, taking taken: Int) throws(FormulaError) {
        guard formula.steps.count < Limits.formulaStepsMax else {
            throw FormulaError(
                problem: "the formula has more than \(Limits.formulaStepsMax) steps",
                column: tokens[position].column)
        }
        height += 1 - taken
        guard height <= Limits.formulaDepthMax else {
            throw FormulaError(
                problem: "more than \(Limits.formulaDepthMax) values wait for an operation",
                column: tokens[position].column)
        }
        formula.stackMax = max(formula.stackMax, height)
        formula.steps.append(step)
    }

    private mutating func nest() throws(FormulaError) {
        guard depth < Limits.formulaDepthMax else {
            throw FormulaError(
                problem: "the formula is nested deeper than \(Limits.formulaDepthMax)",
                column: tokens[position].column)
        }
        depth += 1
    }

    // MARK: Grammar

    private mutating func condition() throws(FormulaError) {
        try nest()
        try either()
        if accept("?") {
            try condition()
            try expect(":", "and what holds otherwise")
            try condition()
            try emit(.select, taking: 3)
        }
        depth -= 1
    }

    private mutating func either() throws(FormulaError) {
        try both()
        while accept(word: "or") {
            try both()
            try emit(.binary(.or), taking: 2)
        }
    }

    private mutating func both() throws(FormulaError) {
        try inverse()
        while accept(word: "and") {
            try inverse()
            try emit(.binary(.and), taking: 2)
        }
    }

    private mutating func inverse() throws(FormulaError) {
        guard accept(word: "not") else { return try comparison() }
        try nest()
        try inverse()
        try emit(.unary(.not), taking: 1)
        depth -= 1
    }

    private static let comparisons: [(symbol: String, operation: Formula.Binary)] = [
        ("<", .less), ("<=", .lessOrEqual), (">", .greater), (">=", .greaterOrEqual),
        ("=", .equal), ("!=", .unequal),
    ]

    private mutating func comparison() throws(FormulaError) {
        try sum()
        for (symbol, operation) in Self.comparisons where accept(symbol) {
            try sum()
            try emit(.binary(operation), taking: 2)
            if Self.comparisons.contains(where: { current == .symbol($0.symbol) }) {
                throw failure("expected \"and\" between two comparisons")
            }
            return
        }
    }

    private mutating func sum() throws(FormulaError) {
        try product()
        while true {
            if accept("+") {
                try product()
                try emit(.binary(.add), taking: 2)
            } else if accept("-") {
                try product()
                try emit(.binary(.subtract), taking: 2)
            } else {
                return
            }
        }
    }

    private mutating func product() throws(FormulaError) {
        try signed()
        while true {
            if accept("*") {
                try signed()
                try emit(.binary(.multiply), taking: 2)
            } else if accept("/") {
                try signed()
                try emit(.binary(.divide), taking: 2)
            } else {
                return
            }
        }
    }

    private mutating func signed() throws(FormulaError) {
        let isNegative = current == .symbol("-")
        guard isNegative || current == .symbol("+") else { return try value() }
        advance()
        try nest()
        try signed()
        if isNegative { try emit(.unary(.negate), taking: 1) }
        depth -= 1
    }

    private mutating func value() throws(FormulaError) {
        switch current {
        case .number(let number):
            advance()
            try emit(.constant(number), taking: 0)
        case .field(let name):
            try field(name, presenceOnly: false)
        case .symbol("("):
            advance()
            try condition()
            try expect(")", "behind what it encloses")
        case .name(let name):
            if name == "true" || name == "false" {
                advance()
                try emit(.constant(name == "true" ? 1 : 0), taking: 0)
            } else if tokens[min(position + 1, tokens.count - 1)].token == .symbol("(") {
                try function(name)
            } else {
                try variable(name)
            }
        case .symbol, .end:
            throw failure("expected a number, a name, a function or \"(\"")
        }
    }

    private mutating func variable(_ name: String) throws(FormulaError) {
        guard let variable = Formula.Variable.allCases.first(where: { $0.name == name }) else {
            let known = Formula.Variable.allCases.map(\.name).joined(separator: ", ")
            throw FormulaError(
                problem: "unknown name \"\(name)\"; expected \(known), or meta.FIELD",
                column: tokens[position].column)
        }
        advance()
        try emit(.variable(variable), taking: 0)
    }

    /// A field that the collection does not know yet is missing in every document.
    private mutating func field(_ name: String, presenceOnly: Bool) throws(FormulaError) {
        let type = schema.metadata[name]
        let isNumber = type.map { [.int64, .double, .bool, .timestamp].contains($0) } ?? true
        guard isNumber || presenceOnly else {
            throw FormulaError(
                problem:
                    "meta.\(name) is a \(type?.name ?? ""); expected an int64, double, bool or "
                    + "timestamp, or has(…) around it", column: tokens[position].column)
        }
        advance()
        let field = Formula.Field(name: name, presenceOnly: !isNumber)
        let known = formula.fields.firstIndex {
            $0.presenceOnly == field.presenceOnly && $0.name.utf8.elementsEqual(name.utf8)
        }
        if known == nil { formula.fields.append(field) }
        try emit(.field(known ?? formula.fields.count - 1), taking: 0)
    }

    // MARK: Functions

    private enum Function {
        case unary(Formula.Unary)
        case binary(Formula.Binary)
        /// Of two values or more.
        case several(Formula.Binary)
        case clamp, select
    }

    private static let functions: [(name: String, function: Function)] = [
        ("min", .several(.min)), ("max", .several(.max)), ("abs", .unary(.abs)),
        ("log", .unary(.log)), ("log2", .unary(.log2)), ("log10", .unary(.log10)),
        ("exp", .unary(.exp)), ("sqrt", .unary(.sqrt)), ("pow", .binary(.power)),
        ("clamp", .clamp), ("if", .select), ("has", .unary(.has)),
        ("default", .binary(.otherwise)),
    ]

    private mutating func function(_ name: String) throws(FormulaError) {
        guard let function = Self.functions.first(where: { $0.name == name })?.function else {
            let known = Self.functions.map(\.name).joined(separator: ", ")
            throw FormulaError(
                problem: "unknown function \"\(name)\"; expected \(known)",
                column: tokens[position].column)
        }
        advance()
        advance()
        switch function {
        case .unary(let operation):
            try argument(ofPresence: operation == .has)
            try emit(.unary(operation), taking: 1)
        case .binary(let operation):
            try arguments(2, of: name)
            try emit(.binary(operation), taking: 2)
        case .several(let operation):
            try arguments(2, of: name)
            try emit(.binary(operation), taking: 2)
            while accept(",") {
                try condition()
                try emit(.binary(operation), taking: 2)
            }
        case .clamp:
            try arguments(3, of: name)
            try emit(.clamp, taking: 3)
        case .select:
            try arguments(3, of: name)
            try emit(.select, taking: 3)
        }
        try expect(")", "behind the arguments of \(name)")
    }

    private mutating func arguments(_ count: Int, of name: String) throws(FormulaError) {
        for index in 0..<count {
            if index > 0 {
                try expect(",", "and argument \(index + 1) of \(name), which takes \(count)")
            }
            try condition()
        }
    }

    /// One argument; whether a field is there can be asked of every type.
    private mutating func argument(ofPresence: Bool) throws(FormulaError) {
        if ofPresence, case .field(let name) = current,
            tokens[position + 1].token == .symbol(")")
        {
            try field(name, presenceOnly: true)
        } else {
            try condition()
        }
    }
}
