// The filter language: what people write instead of a tree.
//
//     filter     = all ("or" all)*
//     all        = one ("and" one)*
//     one        = "not" one | "(" filter ")" | "exists" field | field condition
//     condition  = ("=" | "!=" | "<" | "<=" | ">" | ">=") value
//                | ["not"] "in" "(" value ("," value)* ")"
//                | ("prefix" | "^=") text
//     field      = word | text
//     value      = text | integer | number | "true" | "false" | "@" time
//
// Words are letters, digits and `_ . -`; keywords are the same in any case; a field that is named
// like one, or holds other characters, is written in quotes.
import KyroModel

extension Filter {
    /// Reads the filter language. A number without point and exponent is an int64, any other a
    /// double; the server compares integers with double fields too.
    public init(parsing text: String) throws(FilterSyntaxError) {
        var parser = FilterParser(text: text, tokens: try FilterLexer.tokens(of: text))
        self = try parser.wholeText()
    }
}

private struct FilterParser {
    let text: String
    let tokens: [FilterLexer.Placed]
    var position = 0
    var depth = 0

    private static let keywords: Set<String> = [
        "and", "or", "not", "in", "exists", "prefix", "true", "false",
    ]

    init(text: String, tokens: [FilterLexer.Placed]) {
        self.text = text
        self.tokens = tokens
    }

    private var current: FilterToken { tokens[position].token }

    private func failure(_ problem: String, at place: Int? = nil) -> FilterSyntaxError {
        FilterSyntaxError(
            problem: problem, column: tokens[place ?? position].column, text: text)
    }

    private func isKeyword(_ keyword: String) -> Bool {
        guard case .word(let word) = current else { return false }
        return word.lowercased() == keyword
    }

    private mutating func take(keyword: String) -> Bool {
        guard isKeyword(keyword) else { return false }
        position += 1
        return true
    }

    private mutating func take(symbol: String) -> Bool {
        guard current == .symbol(symbol) else { return false }
        position += 1
        return true
    }

    mutating func wholeText() throws(FilterSyntaxError) -> Filter {
        if current == .end { throw failure("the filter is empty") }
        let filter = try anyOf()
        guard current == .end else {
            if current == .symbol(")") { throw failure("this \")\" closes nothing") }
            throw failure("expected \"and\", \"or\" or the end, found \(current.shown)")
        }
        return filter
    }

    private mutating func anyOf() throws(FilterSyntaxError) -> Filter {
        var parts = [try allOf()]
        while take(keyword: "or") { parts.append(try allOf()) }
        return parts.count == 1 ? parts[0] : .any(parts)
    }

    private mutating func allOf() throws(FilterSyntaxError) -> Filter {
        var parts = [try one()]
        while take(keyword: "and") { parts.append(try one()) }
        return parts.count == 1 ? parts[0] : .all(parts)
    }

    private mutating func one() throws(FilterSyntaxError) -> Filter {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Limits.filterDepthMax else {
            throw failure("nested deeper than \(Limits.filterDepthMax)")
        }
        if take(keyword: "not") { return .not(try one()) }
        if take(keyword: "exists") { return .exists(field: try field()) }
        let opening = position
        if take(symbol: "(") {
            let filter = try anyOf()
            guard take(symbol: ")") else {
                if current == .end { throw failure("this \"(\" is not closed", at: opening) }
                throw failure("expected \"and\", \"or\" or \")\", found \(current.shown)")
            }
            return filter
        }
        return try condition(of: try field())
    }

    private mutating func field() throws(FilterSyntaxError) -> String {
        switch current {
        case .word(let name):
            guard !Self.keywords.contains(name.lowercased()) else {
                throw failure(
                    "expected a field, found the keyword \(name); quote a field of that name")
            }
            position += 1
            return name
        case .string(let name):
            position += 1
            return name
        case .int, .double, .timestamp, .symbol, .end:
            throw failure("expected a field, found \(current.shown)")
        }
    }

    private mutating func condition(of field: String) throws(FilterSyntaxError) -> Filter {
        if take(keyword: "in") { return .isIn(field: field, try list()) }
        if take(keyword: "not") {
            guard take(keyword: "in") else {
                throw failure("expected \"in\" after \"not\", found \(current.shown)")
            }
            return .not(.isIn(field: field, try list()))
        }
        if take(keyword: "prefix") || take(symbol: "^=") {
            guard case .string(let prefix) = current else {
                throw failure("a prefix is a text in double quotes, found \(current.shown)")
            }
            position += 1
            return .prefix(field: field, prefix)
        }
        if take(symbol: "=") { return .equals(field: field, try value(after: "=")) }
        if take(symbol: "!=") { return .not(.equals(field: field, try value(after: "!="))) }
        for (symbol, isLower, isInclusive) in Self.orders where take(symbol: symbol) {
            let place = position
            let bound = Filter.Bound(try value(after: symbol), isInclusive: isInclusive)
            if case .bool = bound.value {
                throw failure("true and false have no order; compare with \"=\"", at: place)
            }
            return .range(
                field: field, lower: isLower ? bound : nil, upper: isLower ? nil : bound)
        }
        throw failure(
            "expected =, !=, <, <=, >, >=, ^=, in, not in or prefix after the field \(field), "
                + "found \(current.shown)")
    }

    private static let orders: [(symbol: String, isLower: Bool, isInclusive: Bool)] = [
        ("<=", false, true), ("<", false, false), (">=", true, true), (">", true, false),
    ]

    private mutating func value(after what: String) throws(FilterSyntaxError) -> MetadataValue {
        let value: MetadataValue
        switch current {
        case .string(let text): value = .string(text)
        case .int(let number): value = .int64(number)
        case .double(let number): value = .double(number)
        case .timestamp(let millis): value = .timestamp(millis)
        case .word(let word):
            switch word.lowercased() {
            case "true": value = .bool(true)
            case "false": value = .bool(false)
            case let keyword where Self.keywords.contains(keyword):
                throw failure("expected a value after \"\(what)\", found the keyword \(word)")
            default:
                throw failure(
                    "expected a value after \"\(what)\"; put texts in quotes: \"\(word)\"")
            }
        case .symbol, .end:
            throw failure("expected a value after \"\(what)\", found \(current.shown)")
        }
        position += 1
        return value
    }

    private mutating func list() throws(FilterSyntaxError) -> [MetadataValue] {
        guard take(symbol: "(") else {
            throw failure("expected \"(\" after \"in\", found \(current.shown)")
        }
        let start = position
        var values = [try value(after: "(")]
        while take(symbol: ",") { values.append(try value(after: ",")) }
        guard take(symbol: ")") else {
            throw failure("expected \",\" or \")\", found \(current.shown)")
        }
        return try uniform(values, at: start)
    }

    /// The values of one list have one type; integers beside doubles become doubles.
    private func uniform(
        _ values: [MetadataValue], at start: Int
    ) throws(FilterSyntaxError) -> [MetadataValue] {
        let types = Set(values.map(\.type))
        if types.count == 1 { return values }
        guard types == [.int64, .double] else {
            throw failure("the values of a list must be of one type", at: start)
        }
        return values.map { value in
            if case .int64(let number) = value { return .double(Double(number)) }
            return value
        }
    }
}
