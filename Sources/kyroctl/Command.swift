// What a command is, and the help that follows from it.
import KyroCommands

struct Command: Sendable {
    /// One word, or two such as `collections create`.
    var name: String
    var summary: String
    /// What stands behind the name, such as `FILE`.
    var positionals: String = ""
    /// Paragraphs of help.
    var details: String = ""
    var options: [Option] = []
    /// Command lines that work, each with what it does.
    var examples: [(line: String, meaning: String)]
    var run: @Sendable (Session) throws -> ExitCode

    static let all: [Command] = [
        .collectionsCreate, .collectionsList, .collectionsDescribe,
        .collectionsRetention, .collectionsTune, .collectionsDrop,
        .rebuild,
        .ingest, .search, .get, .delete, .scan, .status, .snapshot, .flush, .ping,
        .keysCreate, .keysList, .keysRevoke,
        .backupCreate, .backupList, .backupVerify, .backupPrune, .backupRestore,
    ]

    static let globalOptions: [Option] = [
        Option(
            "server", value: "HOST:PORT",
            "server to talk to (default 127.0.0.1:50051, or $KYRODB_SERVER; unix:PATH works too)"),
        Option("tls", "talk TLS; the certificate must name the server's host"),
        Option(
            "ca", value: "FILE",
            "PEM file of the authorities to believe, not those of the system (with --tls)"),
        Option(
            "client-cert", value: "FILE", "PEM certificate by which to say who calls (with --tls)"),
        Option("client-key", value: "FILE", "its private key, PEM, not encrypted"),
        Option(
            "api-key-file", value: "FILE",
            "API key or token to send: the file's first line (or $KYRODB_API_KEY)"),
        Option("insecure", "send it in plaintext to another machine too"),
        Option("tenant", value: "NAME", "tenant (default \"default\", or $KYRODB_TENANT)"),
        Option("namespace", short: "n", value: "NAME", "collection (or $KYRODB_NAMESPACE)"),
        Option("json", "answer in JSON: one object, or one a line"),
        Option("timeout", value: "TIME", "longest wait for an answer, such as 5s (default 30s)"),
        Option("help", short: "h", "this help"),
        Option("version", "version of kyroctl"),
    ]

    var help: String {
        var text = "\(summary)\n\nUSAGE\n  kyroctl \(name)"
        if !positionals.isEmpty { text += " \(positionals)" }
        text += " [options]\n"
        if !details.isEmpty { text += "\n\(details)\n" }
        if !options.isEmpty { text += "\nOPTIONS\n" + Self.describe(options) }
        text += "\nGLOBAL OPTIONS\n" + Self.describe(Self.globalOptions)
        text += "\nEXAMPLES\n"
        for example in examples {
            text += "  # \(example.meaning)\n  kyroctl \(example.line)\n"
        }
        return text
    }

    static var overview: String {
        var table = Table([.init(""), .init("")])
        for command in all { table.append([command.name, command.summary]) }
        let commands = table.text().split(separator: "\n").map { "  \($0)\n" }.joined()
        return """
            kyroctl talks to a KyroDB server.

            USAGE
              kyroctl COMMAND [options]
              kyroctl COMMAND --help

            COMMANDS
            \(commands)
            GLOBAL OPTIONS
            \(describe(globalOptions))
            EXAMPLES
              kyroctl ping
              kyroctl ingest commits.jsonl --vectors commits.npy -n commits --create
              kyroctl search -n commits --text "flow control" --filter 'files < 10'

            \(ExitCode.help)
            """
    }

    private static func describe(_ options: [Option]) -> String {
        let spellings = options.map { option in
            let short = option.short.map { "-\($0), " } ?? "    "
            return "  \(short)--\(option.name)" + (option.value.map { " \($0)" } ?? "")
        }
        let width = min(30, spellings.map(\.count).max() ?? 0)
        var text = ""
        for (option, spelling) in zip(options, spellings) {
            let padding =
                spelling.count > width
                ? "\n" + String(repeating: " ", count: width)
                : String(repeating: " ", count: width - spelling.count)
            let indent = String(repeating: " ", count: width + 2)
            let lines = wrapped(
                option.help + (option.isRepeatable ? " (repeatable)" : ""), width: 98 - width)
            text += spelling + padding + "  " + lines.joined(separator: "\n" + indent) + "\n"
        }
        return text
    }

    /// The command that `words` name, and the words that are its own. Global options may stand
    /// before it.
    static func find(in words: [String]) throws -> (command: Command, rest: [String])? {
        var rest = words
        var names: [String] = []
        var position = 0
        while position < rest.count, names.count < 2 {
            let word = rest[position]
            if word.hasPrefix("-") {
                let takesValue = globalOptions.contains {
                    $0.value != nil
                        && ("--\($0.name)" == word || $0.short.map { "-\($0)" } == word)
                }
                position += takesValue ? 2 : 1
                continue
            }
            let candidate = (names + [word]).joined(separator: " ")
            if let command = all.first(where: { $0.name == candidate }) {
                rest.remove(at: position)
                return (command, rest)
            }
            guard all.contains(where: { $0.name.hasPrefix(candidate + " ") }) else {
                throw unknown(candidate)
            }
            names.append(word)
            rest.remove(at: position)
        }
        guard let group = names.first else { return nil }
        let members = all.filter { $0.name.hasPrefix(group + " ") }.map(\.name)
        throw UsageError("which one: \(members.joined(separator: ", "))?")
    }

    private static func unknown(_ name: String) -> UsageError {
        let near = nearest(to: name, among: all.map(\.name))
        let advice = near.map { "did you mean \($0)?" } ?? "see kyroctl --help"
        return UsageError("unknown command \"\(name)\"; \(advice)")
    }
}

/// `text` in lines of at most `width` characters.
private func wrapped(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
        if let last = lines.last, last.count + 1 + word.count <= width {
            lines[lines.count - 1] = last + " " + word
        } else {
            lines.append(String(word))
        }
    }
    return lines
}
