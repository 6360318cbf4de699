// grpc.health.v1.Health.
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

/// What health says, and who wants to hear when it changes.
///
/// Serving means: recovery is done and the server is not draining. Every service of the server has
/// the same state; "" stands for the server as a whole.
final class HealthBoard: Sendable {
    private struct State {
        var isServing = false
        var isDraining = false
        var watchers: [Int: @Sendable (HealthCheckResponse.ServingStatus) -> Void] = [:]
        var nextWatcher = 0
    }

    static let services: Set<String> = [
        "", "kyrodb.v2.Collections", "kyrodb.v2.Ingest", "kyrodb.v2.Search",
        "kyrodb.v2.Operations", "grpc.health.v1.Health",
    ]

    private let state = Locked(State())

    /// What a stream is ended with that would otherwise go on for ever.
    static let draining = KyroError(
        .draining, "the server is stopping; connect to its successor", retryAfterMillis: 1_000)

    var isDraining: Bool { state.withLock { $0.isDraining } }

    func status(of service: String) -> HealthCheckResponse.ServingStatus {
        guard Self.services.contains(service) else { return .serviceUnknown }
        return state.withLock { $0.isServing && !$0.isDraining ? .serving : .notServing }
    }

    func setServing() { change { $0.isServing = true } }
    func setDraining() { change { $0.isDraining = true } }

    private func change(_ body: (inout State) -> Void) {
        typealias Status = HealthCheckResponse.ServingStatus
        let (watchers, status) = state.withLock { state -> ([@Sendable (Status) -> Void], Status) in
            body(&state)
            let isUp = state.isServing && !state.isDraining
            return (Array(state.watchers.values), isUp ? .serving : .notServing)
        }
        for watcher in watchers { watcher(status) }
    }

    func watch(_ watcher: @escaping @Sendable (HealthCheckResponse.ServingStatus) -> Void) -> Int {
        state.withLock {
            $0.nextWatcher += 1
            $0.watchers[$0.nextWatcher] = watcher
            return $0.nextWatcher
        }
    }

    func unwatch(_ id: Int) { state.withLock { $0.watchers[id] = nil } }

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
        watcher = board.watch { [reply] _ in
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
