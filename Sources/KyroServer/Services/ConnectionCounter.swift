// Lets the status service see the transport that is made after it.
import KyroPlatform

final class ConnectionCounter: Sendable {
    private struct Observed: Sendable {
        weak var server: Server?
    }

    private let observed = Locked(Observed())

    func observe(_ server: Server) { observed.withLock { $0.server = server } }

    var count: Int { observed.withLock { $0.server?.connectionCount ?? 0 } }
}
