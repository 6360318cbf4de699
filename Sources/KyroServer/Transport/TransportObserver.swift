// Lets services see the transports that are made after them.
import KyroPlatform

package final class TransportObserver: Sendable {
    private struct Observed: Sendable {
        weak var server: Server?
    }

    private let observed = Locked<[Observed]>([])

    package init() {}

    package func observe(_ server: Server) {
        observed.withLock { $0.append(Observed(server: server)) }
    }

    private var servers: [Server] { observed.withLock { $0.compactMap { $0.server } } }

    var connectionCount: Int { servers.reduce(0) { $0 + $1.connectionCount } }

    /// Of every server, in the order in which they were made.
    func report(_ completion: @escaping @Sendable ([ServerReport]) -> Void) {
        struct Gathered {
            var waiting: Int
            var reports: [ServerReport] = []
        }
        let servers = servers
        guard !servers.isEmpty else { return completion([]) }
        let gathered = Locked(Gathered(waiting: servers.count))
        for server in servers {
            server.report { report in
                let whole = gathered.withLock { gathered -> [ServerReport]? in
                    gathered.reports.append(report)
                    gathered.waiting -= 1
                    return gathered.waiting == 0 ? gathered.reports : nil
                }
                if let whole { completion(whole.sorted { $0.number < $1.number }) }
            }
        }
    }
}
