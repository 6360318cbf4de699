// kyroctl: the command line of KyroDB. Every command talks gRPC to a server and nothing else, but
// those that read a backup repository.
import KyroClient
import KyroCommands
import KyroModel
import KyroStore

#if canImport(Glibc)
    import Glibc
#endif

let kyroctlVersion = KyroVersion.current

/// Runs the command that `words` name.
func run(_ words: [String]) throws -> ExitCode {
    let options = words.prefix { $0 != "--" }
    if options.contains("--version") {
        Terminal.write("kyroctl \(kyroctlVersion)\n")
        return .done
    }
    let wantsHelp = options.contains("--help") || options.contains("-h")
    let isGroup = words.filter { !$0.hasPrefix("-") }.isEmpty
    if words.isEmpty || (wantsHelp && isGroup) {
        Terminal.write(Command.overview)
        return words.isEmpty ? .usage : .done
    }
    guard let (command, rest) = try Command.find(in: words) else {
        throw UsageError("which command? See kyroctl --help")
    }
    if wantsHelp {
        Terminal.write(command.help)
        return .done
    }
    do {
        return try command.run(Session(rest, command: command))
    } catch let error as UsageError {
        let hint = "see kyroctl \(command.name) --help"
        let end = error.description.hasSuffix("?") ? " " : "; "
        throw UsageError(error.description + end + hint)
    }
}

/// Tells how the run failed.
func report(_ error: any Error) -> ExitCode {
    switch error {
    case let error as UsageError:
        Terminal.writeError("kyroctl: \(error)\n")
        return .usage
    case let error as FilterSyntaxError:
        Terminal.writeError("kyroctl: filter: \(error)\n")
        return .usage
    case let error as TextSyntaxError:
        Terminal.writeError("kyroctl: --text: \(error)\n")
        return .usage
    case let error as InputError:
        Terminal.writeError("kyroctl: \(error)\n")
        return .unreadable
    case let error as BackupError:
        let known = error.kyroError
        let isJSON = CommandLine.arguments.contains("--json")
        Terminal.writeError(
            isJSON
                ? JSON.object([JSON.Member("error", json(of: known))]).text + "\n"
                : "kyroctl: \(error)\n")
        if case .refused = error { return .refused }
        return .unreadable
    case let error as KyroError:
        let isJSON = CommandLine.arguments.contains("--json")
        Terminal.writeError(
            isJSON
                ? JSON.object([JSON.Member("error", json(of: error))]).text + "\n"
                : "kyroctl: \(explanation(of: error))\n")
        return ExitCode(error)
    default:
        Terminal.writeError("kyroctl: \(error)\n")
        return .serverFault
    }
}

// A reader that goes away is told by the failing write, not by a signal in the middle of a stream.
signal(SIGPIPE, SIG_IGN)
var code: ExitCode
do {
    code = try run(Array(CommandLine.arguments.dropFirst()))
} catch {
    code = report(error)
}
exit(code.rawValue)
