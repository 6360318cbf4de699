// What the shell learns of how a command ended.
import KyroClient
import KyroCommands
import KyroModel

enum ExitCode: Int32 {
    case done = 0
    case someFailed = 1
    case usage = 2
    case notFound = 3
    case unavailable = 4
    case refused = 5
    case deadline = 6
    case overloaded = 7
    case unreadable = 8
    case serverFault = 9

    static let help = """
        EXIT CODES
          0  done
          1  some items failed, the others are done
          2  the command line is wrong
          3  no such collection or document
          4  the server cannot be reached or does not serve
          5  the server refuses the request: a value, a limit, a right
          6  no answer in time
          7  the server has too much to do: try again later
          8  a file cannot be read
          9  the server has a fault

        """

    /// Of a call that failed as a whole.
    init(_ error: KyroError) {
        switch error.code {
        case .ok: self = .done
        case .notFound: self = .notFound
        case .unavailable, .cancelled, .aborted: self = .unavailable
        case .invalidArgument, .alreadyExists, .permissionDenied, .failedPrecondition,
            .outOfRange, .unimplemented, .unauthenticated:
            self = .refused
        case .deadlineExceeded: self = .deadline
        case .resourceExhausted: self = .overloaded
        case .unknown, .internal, .dataLoss: self = .serverFault
        }
    }
}

/// One line for people about `error`: what happened, where, and what to do.
func explanation(of error: KyroError) -> String {
    var text = error.message.isEmpty ? error.reason : error.message
    if let field = error.field, !text.contains(field) { text += " (field \(field))" }
    if let advice = advice(on: error) { text += "; \(advice)" }
    return text
}

private func advice(on error: KyroError) -> String? {
    switch KyroError.Reason(rawValue: error.reason) {
    // The message says what to do; trying again alone will hardly help.
    case .outOfSpace, .outOfMemory, .outOfFiles: return "see \"kyroctl status\""
    default: break
    }
    if let millis = error.retryAfterMillis { return "try again in \(millis) ms" }
    switch KyroError.Reason(rawValue: error.reason) {
    case .collectionNotFound:
        return "see the collections by \"kyroctl collections list\", or make one by "
            + "\"kyroctl collections create\""
    case .collectionExists: return "see it by \"kyroctl collections describe\""
    case .fieldNotFound, .dimensionMismatch, .typeMismatch:
        return "see the fields by \"kyroctl collections describe\""
    case .backupRefused: return nil
    case .deadlineExceeded: return "give more time by --timeout"
    case .shardReadOnly, .shardStopped: return "see the cause by \"kyroctl status\""
    case .notServing, .draining: return "wait until \"kyroctl ping\" says that it serves"
    default: return nil
    }
}

/// An error as an object for scripts.
func json(of error: KyroError) -> JSON {
    var members = [
        JSON.Member("code", .int(Int64(error.code.rawValue))),
        JSON.Member("reason", .string(error.reason)),
        JSON.Member("message", .string(error.message)),
    ]
    if let field = error.field { members.append(JSON.Member("field", .string(field))) }
    return .object(members)
}
