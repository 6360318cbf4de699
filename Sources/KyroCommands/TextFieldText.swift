// How a text field is analysed, as words on a command line: `language=german,stop=none,fold=yes`.
import KyroModel

extension TextField {
    private static let names = ["analyzer", "language", "fold", "stop", "stem", "k1", "b"]

    /// `NAME=VALUE[,NAME=VALUE]…` over what is there. Ranges and languages are the server's affair.
    public mutating func apply(_ text: String) throws(UsageError) {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard words.count == 2 else {
                throw UsageError(
                    "\"\(part)\" is no option of a text field; write NAME=VALUE with one of "
                        + Self.names.joined(separator: ", "))
            }
            try set(words[0], to: words[1])
        }
    }

    private mutating func set(_ name: String, to value: String) throws(UsageError) {
        switch name {
        case "analyzer":
            analyzer = try choice(value, of: AnalyzerKind.allCases, called: name, text: \.text)
        case "language": language = value
        case "fold": foldsDiacritics = try Self.isYes(value, name)
        case "stem": stems = try Self.isYes(value, name)
        case "stop":
            switch value {
            case "standard": stopWords = .standard
            case "none": stopWords = .none
            default: stopWords = .list(value.split(separator: "+").map(String.init))
            }
        case "k1": bm25.k1 = try Self.number(value, name)
        case "b": bm25.b = try Self.number(value, name)
        default:
            throw UsageError(
                "\"\(name)\" is no option of a text field; choose one of "
                    + Self.names.joined(separator: ", "))
        }
    }

    private static func isYes(_ text: String, _ name: String) throws(UsageError) -> Bool {
        switch text {
        case "yes": return true
        case "no": return false
        default: throw UsageError("\(name) is \"\(text)\"; it must be yes or no")
        }
    }

    private static func number(_ text: String, _ name: String) throws(UsageError) -> Double {
        guard let number = Double(text) else {
            throw UsageError("\(name) is \"\(text)\"; it must be a number")
        }
        return number
    }

    /// All of it, as `apply` reads it.
    public var text: String {
        let options = optionsText
        return "analyzer=\(analyzer.text),language=\(language)"
            + (options.isEmpty ? "" : "," + options) + ",k1=\(bm25.k1),b=\(bm25.b)"
    }

    /// Of the analyser what is not as it is by default; empty for the defaults.
    public var optionsText: String {
        var parts: [String] = []
        if foldsDiacritics { parts.append("fold=yes") }
        switch stopWords {
        case .standard: break
        case .none: parts.append("stop=none")
        case .list(let words): parts.append("stop=" + words.joined(separator: "+"))
        }
        if !stems { parts.append("stem=no") }
        return parts.joined(separator: ",")
    }
}
