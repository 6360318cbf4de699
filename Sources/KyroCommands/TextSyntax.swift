// The text syntax: what people write instead of a tree of text nodes.
//
//     text    = clause clause*
//     clause  = ["+" | "-"] [field ":"] item ["^" boost]
//     item    = word | word "*" | word "~" ["1" | "2"] | phrase ["~" words] | "(" text ")"
//     phrase  = double quotes around words
//
// "+" must be there, "-" must not; of the rest each adds to the score, and where nothing must be
// there one of them has to. `*` begins a word, `~` is a word with so many edits (2 where there is no
// number), or a phrase with so many words between or out of place. A backslash takes away what the
// character behind it means; within words "+", "-" and single quotes mean nothing.
import KyroModel

/// Why a text query could not be read. `description` shows the text with a mark under the place.
public struct TextSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    public var problem: String
    /// Counts characters from 1.
    public var column: Int
    public var text: String

    public var description: String {
        FilterSyntaxError(problem: problem, column: column, text: text).description
    }
}

extension TextQuery {
    /// Reads the text syntax. A text that is nothing but words is a plain query, and no tree.
    public init(parsing text: String, fields: [String] = []) throws(TextSyntaxError) {
        var parser = TextSyntaxParser(text)
        let (node, isPlain) = try parser.wholeText()
        self.init(query: isPlain ? text : "", fields: fields)
        if !isPlain { self.node = node }
    }
}

private struct TextSyntaxParser {
    private let text: String
    private let characters: [Character]
    private var position = 0
    private var depth = 0
    private var isPlain = true

    private static let special: Set<Character> = ["\"", "(", ")", "^", "~", "*"]

    init(_ text: String) {
        self.text = text
        characters = Array(text)
    }

    private var current: Character? {
        position < characters.count ? characters[position] : nil
    }

    /// What an error calls the place.
    private var shown: String {
        guard let current else { return "the end" }
        return current.isWhitespace ? "a space" : "\"\(current)\""
    }

    private func failure(_ problem: String, at place: Int? = nil) -> TextSyntaxError {
        TextSyntaxError(problem: problem, column: (place ?? position) + 1, text: text)
    }

    private mutating func skipSpace() {
        while let character = current, character.isWhitespace { position += 1 }
    }

    mutating func wholeText() throws(TextSyntaxError) -> (TextNode, isPlain: Bool) {
        skipSpace()
        if current == nil {
            throw failure("the text is empty; expected a word, a phrase in \"quotes\" or \"(\"")
        }
        let node = try clauses(from: position)
        guard current == nil else { throw failure("this \")\" closes nothing") }
        return (node, isPlain)
    }

    /// Up to the end or a closing parenthesis.
    private mutating func clauses(from start: Int) throws(TextSyntaxError) -> TextNode {
        var must: [TextNode] = []
        var should: [TextNode] = []
        var mustNot: [TextNode] = []
        depth += 1
        defer { depth -= 1 }
        // Words are a level of their own.
        guard depth < Limits.textDepthMax else {
            throw failure(
                "parentheses are nested deeper than \(Limits.textDepthMax - 2)", at: start)
        }
        while true {
            skipSpace()
            guard let character = current, character != ")" else { break }
            let sign = character == "+" || character == "-" ? character : nil
            if sign != nil {
                isPlain = false
                position += 1
            }
            let node = try clause(after: sign)
            switch sign {
            case "+": must.append(node)
            case "-": mustNot.append(node)
            default: should.append(node)
            }
        }
        guard !must.isEmpty || !should.isEmpty else {
            throw failure(
                mustNot.isEmpty
                    ? "expected a word, a phrase in \"quotes\" or \"(\", found \(shown)"
                    : "there is only what must not be there; expected a word to look for, too",
                at: mustNot.isEmpty ? position : start)
        }
        if must.isEmpty, mustNot.isEmpty, should.count == 1 { return should[0] }
        return .boolean(must: must, should: should, mustNot: mustNot)
    }

    private mutating func clause(after sign: Character?) throws(TextSyntaxError) -> TextNode {
        let what = sign.map { " behind \"\($0)\"" } ?? ""
        var field: String?
        if let name = fieldName() { field = name }
        let behind = field.map { " behind \"\($0):\"" } ?? what
        var node: TextNode
        switch current {
        case "\"": node = try phrase()
        case "(": node = try group()
        default: node = try word(behind)
        }
        if let field, node.fields.isEmpty { node.fields = [field] }
        if current == "^" {
            isPlain = false
            position += 1
            node.boost *= try boost()
        }
        if let next = current, !next.isWhitespace, next != ")" {
            throw failure("expected a space, \"^\" or the end, found \(shown)")
        }
        return node
    }

    /// Letters, digits, `_`, `.` and `-` before a colon with something behind it.
    private mutating func fieldName() -> String? {
        var end = position
        while end < characters.count,
            characters[end].isLetter || characters[end].isNumber
                || "_.-".contains(characters[end])
        {
            end += 1
        }
        guard end > position, end + 1 < characters.count, characters[end] == ":",
            !characters[end + 1].isWhitespace, characters[end + 1] != ":",
            characters[end + 1] != "/"
        else { return nil }
        defer { position = end + 1 }
        isPlain = false
        return String(characters[position..<end])
    }

    private mutating func group() throws(TextSyntaxError) -> TextNode {
        let opening = position
        isPlain = false
        position += 1
        let node = try clauses(from: opening)
        guard current == ")" else { throw failure("this \"(\" is not closed", at: opening) }
        position += 1
        return node
    }

    private mutating func phrase() throws(TextSyntaxError) -> TextNode {
        let opening = position
        isPlain = false
        position += 1
        var words = ""
        while let character = current, character != "\"" {
            position += 1
            if character == "\\", let escaped = current {
                words.append(escaped)
                position += 1
            } else {
                words.append(character)
            }
        }
        guard current == "\"" else {
            throw failure("this phrase has no closing quote", at: opening)
        }
        position += 1
        guard words.contains(where: { !$0.isWhitespace }) else {
            throw failure("this phrase is empty; expected words in it", at: opening)
        }
        var slop: UInt32 = 0
        if current == "~" {
            position += 1
            slop = try number(
                in: 0...Limits.slopMax,
                "how many words may lie between, from 0 to "
                    + "\(Limits.slopMax),")
        }
        return TextNode(.phrase(words, slop: slop))
    }

    private mutating func word(_ behind: String) throws(TextSyntaxError) -> TextNode {
        let start = position
        var word = ""
        while let character = current, !character.isWhitespace {
            if Self.special.contains(character) { break }
            position += 1
            if character == "\\" {
                isPlain = false
                guard let escaped = current else {
                    throw failure("expected a character behind \"\\\", found the end")
                }
                word.append(escaped)
                position += 1
            } else {
                word.append(character)
            }
        }
        guard !word.isEmpty else {
            let problem =
                current == "*" || current == "~"
                ? "\(shown) needs a word before it"
                : "expected a word, a phrase in \"quotes\" or \"(\"\(behind), found \(shown)"
            throw failure(problem, at: start)
        }
        switch current {
        case "*":
            isPlain = false
            position += 1
            return TextNode(.prefix(word, expansions: 0))
        case "~":
            isPlain = false
            position += 1
            var edits = Limits.editsMax
            if let next = current, !next.isWhitespace, next != ")", next != "^" {
                edits = try number(in: 1...Limits.editsMax, "1 or 2 edits")
            }
            return TextNode(.fuzzy(word, edits: edits, prefixLength: 0, expansions: 0))
        default: return .match(word)
        }
    }

    private mutating func number(
        in range: ClosedRange<UInt32>, _ what: String
    ) throws(TextSyntaxError) -> UInt32 {
        let start = position
        while let character = current, character.isASCII, character.isNumber { position += 1 }
        let digits = String(characters[start..<position])
        guard let number = UInt32(digits), range.contains(number) else {
            let found = digits.isEmpty ? shown : digits
            throw failure("expected \(what) behind \"~\", found \(found)", at: start)
        }
        return number
    }

    private mutating func boost() throws(TextSyntaxError) -> Double {
        let start = position
        while let character = current, character.isASCII,
            character.isNumber || character == "."
        { position += 1 }
        let digits = String(characters[start..<position])
        guard let boost = Double(digits), Limits.boostRange.contains(boost) else {
            let range = Limits.boostRange
            throw failure(
                "expected a factor from \(range.lowerBound) to \(Int(range.upperBound)) behind "
                    + "\"^\", found \(digits.isEmpty ? shown : digits)", at: start)
        }
        return boost
    }
}
