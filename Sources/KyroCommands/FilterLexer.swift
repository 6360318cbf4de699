// The words of the filter language, each with its column.

/// Why a filter could not be read: what was expected and what was found. `description` shows the
/// text with a mark under the place.
public struct FilterSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    public var problem: String
    /// Counts characters from 1.
    public var column: Int
    public var text: String

    public var description: String {
        let line = text.map { $0.isNewline || $0 == "\t" ? " " : $0 }
        let indent = line.prefix(column - 1).reduce(0) { $0 + displayWidth($1) }
        return "\(problem), at column \(column)\n    \(String(line))\n    "
            + String(repeating: " ", count: indent) + "^"
    }
}

enum FilterToken: Equatable {
    /// A field's name or a keyword.
    case word(String)
    case string(String)
    case int(Int64)
    case double(Double)
    /// Unix milliseconds.
    case timestamp(Int64)
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`, `^=`, `(`, `)` or `,`.
    case symbol(String)
    case end

    /// What an error message calls it.
    var shown: String {
        switch self {
        case .word(let text): text
        case .string(let text): "\"\(text)\""
        case .int(let value): String(value)
        case .double(let value): String(value)
        case .timestamp(let millis): "@" + Timestamp.text(millis: millis)
        case .symbol(let text): "\"\(text)\""
        case .end: "the end"
        }
    }
}

struct FilterLexer {
    struct Placed {
        var token: FilterToken
        var column: Int
    }

    private let text: String
    private let characters: [Character]
    private var position = 0

    init(_ text: String) {
        self.text = text
        characters = Array(text)
    }

    /// Every token, and one `.end` behind the last.
    static func tokens(of text: String) throws(FilterSyntaxError) -> [Placed] {
        var lexer = FilterLexer(text)
        var tokens: [Placed] = []
        repeat {
            tokens.append(try lexer.next())
        } while tokens.last?.token != .end
        return tokens
    }

    private func failure(_ problem: String, at start: Int) -> FilterSyntaxError {
        FilterSyntaxError(problem: problem, column: start + 1, text: text)
    }

    private mutating func next() throws(FilterSyntaxError) -> Placed {
        while position < characters.count, characters[position].isWhitespace { position += 1 }
        let start = position
        guard position < characters.count else { return Placed(token: .end, column: start + 1) }
        let token: FilterToken
        switch characters[position] {
        case "\"", "'": token = .string(try quoted())
        case "@": token = try timestamp()
        case "(", ")", ",", "=":
            token = .symbol(String(characters[position]))
            position += 1
        case "<", ">", "!", "^": token = try comparison()
        case let character where character.isASCII && character.isNumber: token = try number()
        case "-", "+", ".": token = try number()
        case let character where character.isLetter || character == "_":
            token = .word(take { $0.isLetter || $0.isNumber || "_.-".contains($0) })
        default:
            throw failure(
                "expected a word, a text in quotes, a number, @time, a parenthesis, a comma or one "
                    + "of = != < <= > >= ^=, found \"\(characters[position])\"", at: start)
        }
        return Placed(token: token, column: start + 1)
    }

    private mutating func take(while accepts: (Character) -> Bool) -> String {
        let start = position
        while position < characters.count, accepts(characters[position]) { position += 1 }
        return String(characters[start..<position])
    }

    private mutating func comparison() throws(FilterSyntaxError) -> FilterToken {
        let start = position
        let first = characters[position]
        position += 1
        if position < characters.count, characters[position] == "=" {
            position += 1
            return .symbol("\(first)=")
        }
        guard first == "<" || first == ">" else {
            let found = position < characters.count ? "\"\(characters[position])\"" : "the end"
            throw failure("expected \"=\" after \"\(first)\", found \(found)", at: start)
        }
        return .symbol(String(first))
    }

    private mutating func number() throws(FilterSyntaxError) -> FilterToken {
        let start = position
        var previous: Character = " "
        let digits = take { character in
            let isSign = character == "-" || character == "+"
            let continues =
                isSign
                ? previous == " " || previous == "e" || previous == "E"
                : character.isASCII && (character.isNumber || character.isLetter)
                    || character == "."
            previous = character
            return continues
        }
        let isInteger = !digits.contains { $0 == "." || $0 == "e" || $0 == "E" }
        if isInteger, let value = Int64(digits) { return .int(value) }
        guard let value = Double(digits), value.isFinite,
            digits.allSatisfy({ $0.isNumber || "+-.eE".contains($0) })
        else {
            throw failure(
                "expected a number, found \"\(digits)\"; put texts in double quotes", at: start)
        }
        return .double(value)
    }

    private mutating func timestamp() throws(FilterSyntaxError) -> FilterToken {
        let start = position
        position += 1
        let written = take { $0.isLetter || $0.isNumber || "-:.+".contains($0) }
        do {
            return .timestamp(try Timestamp.parse(written))
        } catch {
            throw failure("expected a time after \"@\": \(error.description)", at: start)
        }
    }

    private mutating func quoted() throws(FilterSyntaxError) -> String {
        let start = position
        let quote = characters[position]
        position += 1
        var result = ""
        while position < characters.count {
            let character = characters[position]
            position += 1
            if character == quote { return result }
            guard character == "\\" else {
                result.append(character)
                continue
            }
            guard position < characters.count else { break }
            switch characters[position] {
            case "n": result.append("\n")
            case "t": result.append("\t")
            case "\\", "\"", "'": result.append(characters[position])
            default:
                throw failure(
                    "expected \\\" \\' \\\\ \\n or \\t, found the escape "
                        + "\"\\\(characters[position])\"", at: position - 1)
            }
            position += 1
        }
        throw failure("expected a closing quote, found the end; the text began here", at: start)
    }
}
