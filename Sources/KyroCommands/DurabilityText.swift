// A durability as a word on a command line: always, interval:100, never.
import KyroModel

extension Durability {
    public var text: String {
        switch self {
        case .always: "always"
        case .interval(let millis): "interval:\(millis)"
        case .never: "never"
        }
    }

    public init(text: String) throws(UsageError) {
        let prefix = "interval:"
        switch text {
        case "always": self = .always
        case "never": self = .never
        default:
            guard text.hasPrefix(prefix), let millis = Int64(text.dropFirst(prefix.count)),
                Self.intervalMillisRange.contains(millis)
            else {
                throw UsageError(
                    "--durability is \"\(text)\"; write always, interval:MILLIS with 1 to "
                        + "\(Self.intervalMillisRange.upperBound), or never")
            }
            self = .interval(millis: millis)
        }
    }
}
