// grpc.reflection.v1.ServerReflection and its older name v1alpha, which has the same messages.
import KyroHTTP2
import KyroModel
import KyroWire

/// What reflection tells.
struct Reflection: Sendable {
    let pool: DescriptorPool
    /// Full names of the services that are served, sorted.
    let services: [String]
}

/// Answers one request after another.
final class ReflectionHandler: CallHandler {
    private let reflection: Reflection
    private let health: HealthBoard
    private var drain: DrainWatch?
    /// Files that this stream has had, which need not come along again.
    private var sent: Set<Int> = []
    /// Answers that wait for the client; above it no request is read.
    private static let queuedBytesMax = 1 << 20

    init(_ reflection: Reflection, _ health: HealthBoard, call: ServerCall) {
        self.reflection = reflection
        self.health = health
        drain = DrainWatch(health, Reply(call)) { $0.finish(GRPCStatus(HealthBoard.draining)) }
    }

    func receive(_ message: [UInt8], call: ServerCall) {
        if drain?.isDraining == true { return call.finish(GRPCStatus(HealthBoard.draining)) }
        do throws(KyroError) {
            let request = try ReflectionRequest.decode(wire: message)
            call.send(ReflectionResponse(to: request, answer(request.query)).encodeWire())
            if call.queuedBytes > Self.queuedBytesMax { call.pauseReading() }
        } catch {
            call.finish(GRPCStatus(error))
        }
    }

    func halfClosed(call: ServerCall) { call.finish(.success) }

    func writable(call: ServerCall) { call.resumeReading() }

    func closed(call: ServerCall) {
        drain?.end()
        drain = nil
    }

    private func answer(_ query: ReflectionRequest.Query?) -> ReflectionResponse.Answer {
        let pool = reflection.pool
        switch query {
        case .file(let name):
            guard let file = pool.file(named: name) else { return notFound("file", name) }
            return .files(pool.serialised(file, sent: &sent))
        case .fileContainingSymbol(let symbol):
            guard let file = pool.file(declaring: symbol) else { return notFound("symbol", symbol) }
            return .files(pool.serialised(file, sent: &sent))
        case .fileContainingExtension(let type, let number):
            // proto3 has none.
            return notFound("extension \(number) of message", type)
        case .extensionNumbers(let type):
            guard pool.hasMessage(type) else { return notFound("message", type) }
            return .extensionNumbers(of: type, [])
        case .services: return .services(reflection.services)
        case nil:
            return .error(
                KyroError(.invalidField, "message_request is missing, or of a kind not known here"))
        }
    }

    private func notFound(_ kind: String, _ name: String) -> ReflectionResponse.Answer {
        .error(
            KyroError(
                code: .notFound, reason: "NOT_FOUND", message: "this server has no \(kind) \(name)")
        )
    }
}
