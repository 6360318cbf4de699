// Command lines: options by name, everything else in order.

/// What the user typed wrong, and what would be right.
public struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}

public struct Option: Sendable {
    /// Without the two dashes.
    public var name: String
    public var short: Character?
    /// How help calls the value; nil for a flag.
    public var value: String?
    public var isRepeatable: Bool
    public var help: String

    public init(
        _ name: String, short: Character? = nil, value: String? = nil, isRepeatable: Bool = false,
        _ help: String
    ) {
        self.name = name
        self.short = short
        self.value = value
        self.isRepeatable = isRepeatable
        self.help = help
    }

    var shown: String { "--\(name)" }
}

/// The parsed words. Options may stand anywhere, as `--name VALUE`, `--name=VALUE` or `-n VALUE`;
/// after `--` everything is positional; `-` alone is positional too.
public struct Arguments: Sendable {
    public private(set) var positionals: [String] = []
    private var values: [String: [String]] = [:]
    private let options: [Option]

    public init(_ words: [String], options: [Option]) throws(UsageError) {
        self.options = options
        var position = 0
        while position < words.count {
            let word = words[position]
            position += 1
            if word == "--" {
                positionals.append(contentsOf: words[position...])
                return
            }
            guard word.hasPrefix("-"), word != "-" else {
                positionals.append(word)
                continue
            }
            let (option, inline) = try Self.option(word, among: options)
            try take(option, inline: inline, words: words, position: &position)
        }
    }

    private static func option(
        _ word: String, among options: [Option]
    ) throws(UsageError) -> (Option, inline: String?) {
        guard word.hasPrefix("--") else {
            let short = word.dropFirst().first
            guard let option = options.first(where: { $0.short == short }) else {
                throw UsageError("unknown option \(word)")
            }
            let rest = String(word.dropFirst(2))
            return (option, rest.isEmpty ? nil : rest)
        }
        let parts = word.dropFirst(2).split(
            separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        if let option = options.first(where: { $0.name == name }) {
            return (option, parts.count == 2 ? String(parts[1]) : nil)
        }
        guard let near = nearest(to: name, among: options.map(\.name)) else {
            throw UsageError("unknown option --\(name)")
        }
        throw UsageError("unknown option --\(name); did you mean --\(near)?")
    }

    private mutating func take(
        _ option: Option, inline: String?, words: [String], position: inout Int
    ) throws(UsageError) {
        var value = inline ?? ""
        if let name = option.value {
            if inline == nil {
                guard position < words.count else {
                    throw UsageError("\(option.shown) needs a value: \(option.shown) \(name)")
                }
                value = words[position]
                position += 1
            }
        } else if inline != nil {
            throw UsageError("\(option.shown) takes no value")
        }
        if !option.isRepeatable, option.value != nil, values[option.name] != nil {
            throw UsageError("\(option.shown) was given twice")
        }
        values[option.name, default: []].append(value)
    }

    public func flag(_ name: String) -> Bool { values[name] != nil }

    public func string(_ name: String) -> String? { values[name]?.last }

    public func strings(_ name: String) -> [String] { values[name] ?? [] }

    /// An integer inside `range`; nil when the option was not given.
    public func integer(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
        guard let text = string(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw UsageError(
                "--\(name) is \"\(text)\"; it must be an integer from \(range.lowerBound) to "
                    + "\(range.upperBound)")
        }
        return value
    }

    /// A share above 0 and at most 1; nil when the option was not given.
    public func share(_ name: String) throws(UsageError) -> Double? {
        guard let text = string(name) else { return nil }
        guard let value = Double(text), value > 0, value <= 1 else {
            throw UsageError("--\(name) is \"\(text)\"; it must lie above 0 and be at most 1")
        }
        return value
    }

    /// A length of time in milliseconds, above zero.
    public func millis(_ name: String) throws(UsageError) -> Int64? {
        guard let text = string(name) else { return nil }
        let millis: Int64
        do {
            millis = try TimeSpan.parseMillis(text)
        } catch {
            throw UsageError("--\(name): \(error)")
        }
        guard millis > 0 else { throw UsageError("--\(name) must be above zero") }
        return millis
    }

    /// A time: RFC 3339, or a length of time that means so long before `now`.
    public func time(_ name: String, nowMillis: Int64) throws(UsageError) -> Int64? {
        guard let text = string(name) else { return nil }
        if text == "now" { return nowMillis }
        if let ago = try? TimeSpan.parseMillis(text) { return nowMillis - ago }
        do {
            return try Timestamp.parse(text)
        } catch {
            throw UsageError("--\(name): \(error), or 30d for thirty days ago")
        }
    }

    public func choice<T: RawRepresentable & CaseIterable>(
        _ name: String, of: T.Type
    ) throws(UsageError) -> T? where T.RawValue == String {
        guard let text = string(name) else { return nil }
        guard let value = T(rawValue: text) else {
            let names = T.allCases.map(\.rawValue).joined(separator: ", ")
            throw UsageError("--\(name) is \"\(text)\"; it must be one of \(names)")
        }
        return value
    }

    /// One positional word for each of `names`, which the error uses.
    public func positionals(exactly names: [String]) throws(UsageError) -> [String] {
        if positionals.count > names.count {
            throw UsageError("unexpected \"\(positionals[names.count])\"")
        }
        guard positionals.count == names.count else {
            throw UsageError("\(names[positionals.count]) is missing")
        }
        return positionals
    }
}

/// The candidate that differs from `word` by the fewest edits, when that is at most a third of it.
public func nearest(to word: String, among candidates: [String]) -> String? {
    let scored = candidates.map { (name: $0, distance: editDistance(Array(word), Array($0))) }
    guard let best = scored.min(by: { $0.distance < $1.distance }),
        best.distance <= max(1, word.count / 3)
    else { return nil }
    return best.name
}

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein 1966).
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var row = Array(0...b.count)
    for i in a.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
        }
    }
    return row[b.count]
}
