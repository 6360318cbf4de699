// One way to read the words of a command line: flags, and names that a value follows.

/// Each option is taken by whoever knows it; `end` refuses what nobody took.
struct OptionWords {
    /// Whether `--help` or `-h` is among the words: then nothing is missing.
    let wantsHelp: Bool
    private let command: String
    private var flags: Set<String> = []
    private var values: [String: String] = [:]

    /// - Parameters:
    ///   - command: that `--help` is to be asked of; empty where there is none.
    ///   - flags: names without a value.
    init(
        _ words: some Swift.Sequence<String>, of command: String = "", flags known: Set<String>
    ) throws {
        self.command = command
        var rest = Array(words)[...]
        var isHelp = false
        while let name = rest.popFirst() {
            if name == "--help" || name == "-h" {
                isHelp = true
            } else if known.contains(name) {
                flags.insert(name)
            } else if let value = rest.popFirst() {
                values[name] = value
            } else if !isHelp {
                throw BenchError("\(name) needs a value, or is unknown; see \(Self.help(command))")
            }
        }
        wantsHelp = isHelp
    }

    private static func help(_ command: String) -> String {
        command.isEmpty ? "--help" : "\(command) --help"
    }

    mutating func flag(_ name: String) -> Bool { flags.remove(name) != nil }

    mutating func text(_ name: String) -> String? { values.removeValue(forKey: name) }

    /// Leaves `target` as it is where the option is absent.
    mutating func take(_ name: String, _ target: inout String) {
        if let value = text(name) { target = value }
    }

    mutating func take(_ name: String, in range: ClosedRange<Int>, _ target: inout Int) throws {
        guard let value = text(name) else { return }
        guard let number = Int(value), range.contains(number) else {
            throw BenchError("\(name) is \"\(value)\"; it must be a number in \(range)")
        }
        target = number
    }

    mutating func takeSeed(_ target: inout UInt64) throws {
        guard let value = text("--seed") else { return }
        guard let number = UInt64(value) else {
            throw BenchError("--seed is \"\(value)\"; it must be a number")
        }
        target = number
    }

    mutating func takeSeconds(_ target: inout Double) throws {
        guard let value = text("--seconds") else { return }
        guard let number = Double(value), number >= 1 else {
            throw BenchError("--seconds is \"\(value)\"; it must be a number from 1 on")
        }
        target = number
    }

    /// Names apart by commas, each one of those that there are.
    mutating func names(_ name: String, of known: [String]) throws -> [String]? {
        guard let list = text(name) else { return nil }
        let words = list.split(separator: ",").map(String.init)
        if let stranger = words.first(where: { !known.contains($0) }) {
            throw BenchError(
                "\(name) names \"\(stranger)\"; there are " + known.joined(separator: ", "))
        }
        return words
    }

    func end() throws {
        guard let name = (flags.union(values.keys)).min(), !wantsHelp else { return }
        throw BenchError("unknown option \"\(name)\"; see \(Self.help(command))")
    }
}
