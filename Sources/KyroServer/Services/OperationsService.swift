// kyrodb.v2.Operations.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroWire

struct OperationsService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func status(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            _ = try StatusRequest.decode(wire: message)
        } catch {
            return reply.fail(error)
        }
        guard context.seesServer(call) else { return reply.succeed(partOfStatus(call)) }
        var status = context.engine.status()
        if context.health.isDraining { status.state = .draining }
        status.version = context.version
        status.connections = UInt32(clamping: context.connectionCount())
        status.residentBytes = ProcessMemory.residentBytes
        status.kernels = context.engine.kernels
        reply.succeed(status.encodeWire())
    }

    /// What a caller may know whose rights end at some collections: nothing that others' work moves.
    private func partOfStatus(_ call: ServerCall) -> [UInt8] {
        let whole = context.engine.status()
        var status = StatusResponse()
        status.state = context.health.isDraining ? .draining : whole.state
        status.version = context.version
        status.kernels = context.engine.kernels
        status.clockMillis = whole.clockMillis
        status.clockOffsetMillis = whole.clockOffsetMillis
        status.isClockHeld = whole.isClockHeld
        status.collectionCount = UInt32(
            clamping: context.engine.collectionCount { context.sees($0, call) })
        return status.encodeWire()
    }

    @Sendable func snapshot(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, SnapshotRequest.decode(wire:), by: { context.engine.snapshot(completion: $1) }
        ) { $0.encodeWire() }
    }

    @Sendable func flush(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, FlushRequest.decode(wire:), by: { context.engine.flush(completion: $1) }
        ) { $0.encodeWire() }
    }
}
