// grpc.health.v1.Health.
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

/// What health says, and who wants to hear when it changes.
///
/// "" stands for the server as a whole, a service for itself, and `kyrodb.shard.0` for a shard. What
/// needs the shards serves when they have recovered and none of them has failed for what it does;
/// nothing serves while the server drains.
package final class HealthBoard: Sendable {
    /// What a service takes of every shard.
    package enum Need: Sendable {
        case nothing
        /// Searches and reads go on where a shard takes no writes.
        case reads
        case writes
    }

    private struct State {
        var isRecovered = false
        var isDraining = false
        var shards: [ShardState] = []
        var watchers: [Int: @Sendable () -> Void] = [:]
        var nextWatcher = 0

        func serves(_ need: Need) -> Bool {
            if isDraining { return false }
            switch need {
            case .nothing: return true
            case .reads: return isRecovered && shards.allSatisfy(Self.isReadable)
            case .writes: return isRecovered && shards.allSatisfy { $0 == .serving }
            }
        }

        static func isReadable(_ shard: ShardState) -> Bool {
            switch shard {
            case .serving, .readOnly: true
            case .recovering, .stopped: false
            }
        }

        mutating func expect(shardCount: Int) {
            while shards.count < shardCount { shards.append(.recovering) }
        }

        func status(of shard: Int) -> HealthCheckResponse.ServingStatus {
            shards[shard] == .serving && !isDraining ? .serving : .notServing
        }
    }

    /// Of kyrodb's own services and those that come with every server.
    package static let productNeeds: [String: Need] = [
        "": .reads, "kyrodb.v2.Search": .reads, "kyrodb.v2.Collections": .reads,
        "kyrodb.v2.Ingest": .writes, "kyrodb.v2.Operations": .nothing,
    ]
    private static let shardPrefix = "kyrodb.shard."

    private let needs: [String: Need]
    private let state = Locked(State())

    /// - Parameter needs: by service, without the stock services, which need nothing.
    package init(_ needs: [String: Need]) {
        self.needs = needs.merging(StockServices.services.map { ($0, Need.nothing) }) { own, _ in
            own
        }
    }

    /// What a stream is ended with that would otherwise go on for ever.
    static let draining = KyroError(
        .draining, "the server is stopping; connect to its successor", retryAfterMillis: 1_000)

    var isDraining: Bool { state.withLock { $0.isDraining } }

    package func status(of service: String) -> HealthCheckResponse.ServingStatus {
        state.withLock { state -> HealthCheckResponse.ServingStatus in
            if let need = needs[service] { return state.serves(need) ? .serving : .notServing }
            guard service.hasPrefix(Self.shardPrefix),
                let shard = Int(service.dropFirst(Self.shardPrefix.count)),
                state.shards.indices.contains(shard),
                service == Self.shardPrefix + String(shard)
            else { return .serviceUnknown }
            return state.status(of: shard)
        }
    }

    package var statuses: [(name: String, status: HealthCheckResponse.ServingStatus)] {
        state.withLock { state in
            var all: [(name: String, status: HealthCheckResponse.ServingStatus)] = []
            for (name, need) in needs {
                all.append((name, state.serves(need) ? .serving : .notServing))
            }
            for shard in state.shards.indices {
                all.append((Self.shardPrefix + String(shard), state.status(of: shard)))
            }
            return all
        }
    }

    /// Every shard has ended its recovery, some perhaps by failing.
    package func setRecovered() { change { $0.isRecovered = true } }
    package func setDraining() { change { $0.isDraining = true } }

    /// Shards are recovering until they say otherwise.
    package func expect(shardCount: Int) { change { $0.expect(shardCount: shardCount) } }

    package func setShard(_ index: Int, _ shard: ShardState) {
        change { state in
            state.expect(shardCount: index + 1)
            state.shards[index] = shard
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let watchers = state.withLock { state in
            body(&state)
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher() }
    }

    /// - Parameter watcher: called whenever something may have changed, on any thread.
    package func watch(_ watcher: @escaping @Sendable () -> Void) -> Int {
        state.withLock {
            $0.nextWatcher += 1
            $0.watchers[$0.nextWatcher] = watcher
            return $0.nextWatcher
        }
    }

    package func unwatch(_ id: Int) { state.withLock { $0.watchers[id] = nil } }

    @Sendable func check(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try HealthCheckRequest.decode(wire: message)
            let status = status(of: request.service)
            guard status != .serviceUnknown else {
                throw KyroError(
                    code: .notFound, reason: "SERVICE_UNKNOWN",
                    message: "this server has no service \"\(request.service)\"")
            }
            reply.succeed(HealthCheckResponse(status: status).encodeWire())
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func list(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            _ = try HealthListRequest.decode(wire: message)
            let named = statuses.sorted { $0.name < $1.name }
            reply.succeed(HealthListResponse(statuses: named).encodeWire())
        } catch {
            reply.fail(error)
        }
    }
}

/// Sends the state at once and again whenever it changes.
final class HealthWatchHandler: CallHandler {
    private let board: HealthBoard
    private let reply: Reply
    private var watcher: Int?
    private var last: HealthCheckResponse.ServingStatus?
    private var request: [UInt8]?
    /// What the client watches, known when its request is complete.
    private var service: String?

    init(_ board: HealthBoard, call: ServerCall) {
        self.board = board
        reply = Reply(call)
        let handler = LoopBound(self)
        watcher = board.watch { [reply] in
            reply.onLoop { handler.value.changed($0) }
        }
        // The drain may have begun before there was a watcher.
        changed(call)
    }

    func receive(_ message: [UInt8], call: ServerCall) {
        guard request == nil else {
            return call.finish(.cardinality("\(call.path) takes one message; a second one came"))
        }
        guard call.hold(message.count) else { return call.finish(GRPCStatus(.keepsTooMuch)) }
        request = message
    }

    func halfClosed(call: ServerCall) {
        guard let message = request else {
            return call.finish(.cardinality("\(call.path) takes one message; none came"))
        }
        do throws(KyroError) {
            service = try HealthCheckRequest.decode(wire: message).service
            request = nil
            changed(call)
        } catch {
            call.finish(GRPCStatus(error))
        }
    }

    func writable(call: ServerCall) {}

    func closed(call: ServerCall) {
        if let watcher { board.unwatch(watcher) }
        watcher = nil
    }

    /// Tells the state where it is not the one told last; the drain ends every watch, also one that
    /// has nothing new to tell.
    private func changed(_ call: ServerCall) {
        if call.isFinished { return }
        if let service {
            let status = board.status(of: service)
            if status != last { call.send(HealthCheckResponse(status: status).encodeWire()) }
            last = status
        }
        if board.isDraining { call.finish(GRPCStatus(HealthBoard.draining)) }
    }
}
