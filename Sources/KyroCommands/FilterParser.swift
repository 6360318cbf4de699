// The filter language: what people write instead of a tree.
//
//     filter     = all ("or" all)*
//     all        = one ("and" one)*
//     one        = "not" one | "(" filter ")" | "exists" field | field condition
//     condition  = ("=" | "!=" | "<" | "<=" | ">" | ">=") value
//                | ["not"] "in" "(" value ("," value)* ")"
//                | ("prefix" | "^=") text
//                | "contains" (value | ("any" | "all") "(" value ("," value)* ")")
//                | "within" distance ["m" | "km"] "of" "(" latitude "," longitude ")"
//                | "within" "box" "(" south "," west "," north "," east ")"
//     field      = word | text
//     value      = text | integer | number | "true" | "false" | "@" time
//
// Words are letters, digits and `_ . -`; keywords are the same in any case; a field that is named
// like one, or holds other characters, is written in quotes. Those of the last three lines are
// keywords only there. Distances are in metres unless "km" is said, coordinates in degrees. With
// `FilterNegation.sql` "not", "!=" and "not in" are SQL's, else true where the field is missing too.
import KyroModel

extension Filter {
    /// Reads the filter language. A number without point and exponent is an int64, any other a
    /// double; the server compares integers with double fields too.
    public init(
        parsing text: String, negation: FilterNegation = .twoValued
    ) throws(FilterSyntaxError) {
        var parser = FilterParser(
            text: text, tokens: try FilterLexer.tokens(of: text), negation: negation)
        self = try parser.wholeText()
    }
}

/// What "not" makes of a comparison with a field that a document lacks.
public enum FilterNegation: Sendable {
    /// True.
    case twoValued
    /// Unknown, as the comparison is.
    case sql
}

struct FilterParser {
    let text: String
    let tokens: [FilterLexer.Placed]
    let negation: FilterNegation
    var position = 0
    var depth = 0

    private static let keywords: Set<String> = [
        "and", "or", "not", "in", "exists", "prefix", "true", "false",
    ]

    init(text: String, tokens: [FilterLexer.Placed], negation: FilterNegation) {
        self.text = text
        self.tokens = tokens
        self.negation = negation
    }

    var current: FilterToken { tokens[position].token }

    func failure(_ problem: String, at place: Int? = nil) -> FilterSyntaxError {
        FilterSyntaxError(
            problem: problem, column: tokens[place ?? position].column, text: text)
    }

    private func isKeyword(_ keyword: String) -> Bool {
        guard case .word(let word) = current else { return false }
        return word.lowercased() == keyword
    }

    mutating func take(keyword: String) -> Bool {
        guard isKeyword(keyword) else { return false }
        position += 1
        return true
    }

    mutating func take(symbol: String) -> Bool {
        guard current == .symbol(symbol) else { return false }
        position += 1
        return true
    }

    mutating func wholeText() throws(FilterSyntaxError) -> Filter {
        if current == .end { throw failure("expected a filter, found nothing: it is empty") }
        let filter = try anyOf()
        guard current == .end else {
            if current == .symbol(")") {
                throw failure(
                    "expected \"and\", \"or\" or the end, found \")\", which closes nothing")
            }
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
            throw failure("expected at most \(Limits.filterDepthMax) levels, found one more")
        }
        if take(keyword: "not") { return negated(try one()) }
        if take(keyword: "exists") { return .exists(field: try field()) }
        let opening = position
        if take(symbol: "(") {
            let filter = try anyOf()
            guard take(symbol: ")") else {
                if current == .end {
                    throw failure(
                        "expected \")\", found the end: this \"(\" is not closed", at: opening)
                }
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
            return negated(.isIn(field: field, try list()))
        }
        if take(keyword: "prefix") || take(symbol: "^=") {
            guard case .string(let prefix) = current else {
                throw failure("expected a text in double quotes, found \(current.shown)")
            }
            position += 1
            return .prefix(field: field, prefix)
        }
        if take(symbol: "=") { return .equals(field: field, try value(after: "=")) }
        if take(symbol: "!=") { return negated(.equals(field: field, try value(after: "!="))) }
        if take(keyword: "contains") { return try contained(in: field) }
        if take(keyword: "within") { return try place(of: field) }
        for (symbol, isLower, isInclusive) in Self.orders where take(symbol: symbol) {
            let place = position
            let bound = Filter.Bound(try value(after: symbol), isInclusive: isInclusive)
            if case .bool = bound.value {
                throw failure(
                    "expected a number, a text or a time after \"\(symbol)\": true and false have "
                        + "no order; compare with \"=\"", at: place)
            }
            return .range(
                field: field, lower: isLower ? bound : nil, upper: isLower ? nil : bound)
        }
        throw failure(
            "expected =, !=, <, <=, >, >=, ^=, in, not in, prefix, contains or within after the "
                + "field \(field), found \(current.shown)")
    }

    private func negated(_ filter: Filter) -> Filter {
        switch negation {
        case .twoValued: .not(filter)
        case .sql: .sqlNot(filter)
        }
    }

    private static let orders: [(symbol: String, isLower: Bool, isInclusive: Bool)] = [
        ("<=", false, true), ("<", false, false), (">=", true, true), (">", true, false),
    ]

    mutating func value(after what: String) throws(FilterSyntaxError) -> MetadataValue {
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

    mutating func list(after keyword: String = "in") throws(FilterSyntaxError) -> [MetadataValue] {
        guard take(symbol: "(") else {
            throw failure("expected \"(\" after \"\(keyword)\", found \(current.shown)")
        }
        let start = position
        var values = [try value(after: "(")]
        while take(symbol: ",") { values.append(try value(after: ",")) }
        guard take(symbol: ")") else {
            throw failure("expected \",\" or \")\", found \(current.shown)")
        }
        guard values.count <= Limits.metadataListMax else {
            throw failure(
                "expected at most \(Limits.metadataListMax) values, found \(values.count)",
                at: start)
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
            throw failure("expected values of one type, found several in one list", at: start)
        }
        return values.map { value in
            if case .int64(let number) = value { return .double(Double(number)) }
            return value
        }
    }
}
