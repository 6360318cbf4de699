// The part of the server's command line that says what its operator sees: log and operations plane.
import KyroPlatform
import KyroServer

struct OperationsArguments {
    var isInsecure = false
    private var plane: OperationsPlaneOptions?
    private var portFile: String?

    /// False for an option that belongs elsewhere.
    mutating func take(
        _ name: String, _ value: String, _ options: inout ServerOptions
    ) throws(UsageError) -> Bool {
        switch name {
        case "--operations":
            guard let colon = value.lastIndex(of: ":"),
                let port = UInt16(value[value.index(after: colon)...]), colon != value.startIndex
            else {
                throw UsageError(message: "--operations is \"\(value)\"; it must be HOST:PORT")
            }
            plane = OperationsPlaneOptions(host: try Arguments.host(value[..<colon]), port: port)
        case "--operations-port-file": portFile = value
        case "--slow-request-millis":
            options.requestLog.slowMillis = try Arguments.number(name, value, 0...86_400_000)
        case "--log-format":
            switch value {
            case "text": Log.format = .text
            case "json": Log.format = .json
            default:
                throw UsageError(message: "--log-format is \"\(value)\"; it must be text or json")
            }
        default: return false
        }
        return true
    }

    func apply(to options: inout ServerOptions) throws(UsageError) {
        guard var plane else {
            if portFile == nil, !isInsecure { return }
            throw UsageError(message: "--operations HOST:PORT is missing")
        }
        guard isInsecure || Arguments.isLoopback(plane.host) else {
            throw UsageError(
                message: "--operations \(plane.host) is not loopback, and whoever reaches it reads "
                    + "the metrics: add --insecure-operations if that is wanted")
        }
        plane.portFile = portFile
        options.operations = plane
    }
}
