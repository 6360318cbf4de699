// The command lines of the verbs that work on a directory nobody serves.
import KyroCommands

enum OfflineCommand {
    case verify(path: String, isJSON: Bool)
    case repair(path: String, target: String, isJSON: Bool)
    case help(String)

    static let verifyUsage = """
        Usage: kyrodb verify DATA [--json]

        Reads every byte of a data directory that no server uses and says what does not hold in it:
        file, offset, what was found, what is affected, what to do. Writes nothing.

        Exit status: 0 whole (a torn last write is part of an ordinary crash), 1 damaged, 2 when the
        directory cannot be checked.

        Examples:
          kyrodb verify /var/lib/kyrodb
          kyrodb verify ./data --json
        """

    static let repairUsage = """
        Usage: kyrodb repair DATA --to NEW [--json]

        Saves what is provably whole in a damaged data directory into a new one, and lists what is
        lost. DATA is not touched; NEW must be missing or empty, and can be served afterwards.

        Exit status: 0 when nothing was lost, 1 when something was, 2 when nothing could be done.

        Examples:
          kyrodb repair /var/lib/kyrodb --to /var/lib/kyrodb-repaired
        """

    /// - Parameter verb: `verify` or `repair`.
    static func parse(_ verb: String, _ words: [String]) throws(KyroCommands.UsageError)
        -> OfflineCommand
    {
        var options = [Option("json", "print JSON"), Option("help", short: "h", "print this")]
        if verb == "repair" { options.append(Option("to", value: "NEW", "the new directory")) }
        let arguments = try KyroCommands.Arguments(words, options: options)
        if arguments.flag("help") { return .help(verb == "verify" ? verifyUsage : repairUsage) }
        let path = try arguments.positionals(exactly: ["DATA"])[0]
        if verb == "verify" { return .verify(path: path, isJSON: arguments.flag("json")) }
        guard let target = arguments.string("to") else {
            throw KyroCommands.UsageError("--to NEW is missing: where to put what can be saved")
        }
        return .repair(path: path, target: target, isJSON: arguments.flag("json"))
    }
}
