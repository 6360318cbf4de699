// The words of a formula, each with its place.

/// Why a formula could not be read.
struct FormulaError: Error, Equatable {
    var problem: String
    /// Counts characters (Unicode scalars) from 1.
    var column: Int
}

enum FormulaToken: Equatable {
    case number(Double)
    case name(String)
    /// `meta.NAME` or `meta."any name"`.
    case field(String)
    case symbol(String)
    case end

    /// What an error message calls it.
    var shown: String {
        switch self {
        case .number(let value): "the number \(value)"
        case .name(let name): "\"\(name)\""
        case .field(let name): "meta.\(name)"
        case .symbol(let text): "\"\(text)\""
        case .end: "the end"
        }
    }
}

struct FormulaLexer {
    struct Placed {
        var token: FormulaToken
        var column: Int
    }

    private let bytes: [UInt8]
    private var position = 0
    /// Of `position`, and the position it was counted for.
    private var column = 1
    private var counted = 0

    private init(_ text: String) { bytes = Array(text.utf8) }

    /// Every token, and one `.end` behind the last.
    static func tokens(of text: String) throws(FormulaError) -> [Placed] {
        var lexer = FormulaLexer(text)
        var tokens: [Placed] = []
        repeat {
            tokens.append(try lexer.next())
        } while tokens.last?.token != .end
        return tokens
    }

    private mutating func next() throws(FormulaError) -> Placed {
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
        // Continuation bytes of UTF-8 are no characters of their own.
        for byte in bytes[counted..<position] where byte & 0xC0 != 0x80 { column += 1 }
        counted = position
        guard position < bytes.count else { return Placed(token: .end, column: column) }
        let byte = bytes[position]
        let token: FormulaToken
        if Self.isDigit(byte) || byte == UInt8(ascii: ".") {
            token = .number(try number())
        } else if Self.isWord(byte) {
            token = try word()
        } else {
            token = .symbol(try symbol())
        }
        return Placed(token: token, column: column)
    }

    private func failure(_ problem: String) -> FormulaError {
        FormulaError(problem: problem, column: column)
    }

    private mutating func take(while accepts: (UInt8) -> Bool) -> String {
        let start = position
        while position < bytes.count, accepts(bytes[position]) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func number() throws(FormulaError) -> Double {
        var digits = take { Self.isDigit($0) || $0 == UInt8(ascii: ".") }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            digits += "e"
            position += 1
            if position < bytes.count,
                bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: "+")
            {
                digits += bytes[position] == UInt8(ascii: "-") ? "-" : "+"
                position += 1
            }
            digits += take(while: Self.isDigit)
        }
        let unit = take(while: Self.isWord)
        guard let value = Double(digits) else { throw failure("\"\(digits)\" is no number") }
        let millis: Double? =
            switch unit {
            case "", "ms": 1
            case "s": 1_000
            case "m": 60_000
            case "h": 3_600_000
            case "d": 86_400_000
            default: nil
            }
        guard let millis else {
            throw failure(
                "\"\(unit)\" behind a number has no meaning; expected ms, s, m, h, d or an operator"
            )
        }
        guard (value * millis).isFinite else {
            throw failure("\(digits)\(unit) is beyond the range of a double")
        }
        return value * millis
    }

    private mutating func word() throws(FormulaError) -> FormulaToken {
        let text = take { Self.isWord($0) || $0 == UInt8(ascii: ".") }
        guard text.utf8.starts(with: "meta.".utf8) else { return .name(text) }
        let name = String(text.dropFirst("meta.".count))
        if !name.isEmpty { return .field(name) }
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
            throw failure("expected a field's name behind \"meta.\", such as meta.year")
        }
        position += 1
        return .field(try quoted())
    }

    /// Up to the closing quote; a backslash keeps the character behind it.
    private mutating func quoted() throws(FormulaError) -> String {
        var name: [UInt8] = []
        while position < bytes.count {
            var byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: name, as: UTF8.self) }
            if byte == UInt8(ascii: "\\"), position < bytes.count {
                byte = bytes[position]
                position += 1
            }
            name.append(byte)
        }
        throw failure("expected a \" at the end of this field's name")
    }

    private mutating func symbol() throws(FormulaError) -> String {
        let pairs = ["<=", ">=", "!=", "=="]
        let rest = bytes[position..<min(position + 2, bytes.count)]
        for pair in pairs where rest.elementsEqual(pair.utf8) {
            position += 2
            return pair == "==" ? "=" : pair
        }
        let byte = bytes[position]
        guard "+-*/<>=()?:,".utf8.contains(byte) else {
            let shown =
                byte >= 0x20 && byte < 0x7F
                ? "\"\(Character(UnicodeScalar(byte)))\"" : "the byte \(byte)"
            throw failure("\(shown) has no meaning here; expected a value or an operator")
        }
        position += 1
        return String(Character(UnicodeScalar(byte)))
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (9...13).contains(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Letters of other scripts count as letters.
    private static func isWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || byte == UInt8(ascii: "_") || byte >= 0x80
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
}
