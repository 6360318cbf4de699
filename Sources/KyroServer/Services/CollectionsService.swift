// kyrodb.v2.Collections.
import KyroEngine
import KyroModel
import KyroWire

struct CollectionsService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func create(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        context.answer(
            message, CreateCollectionRequest.decode(wire:), call, reply,
            by: context.engine.createCollection
        ) { $0.encodeWire() }
    }

    @Sendable func describe(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try context.resolved(
                try DescribeCollectionRequest.decode(wire: message), for: call)
            reply.succeed(try context.engine.describeCollection(request).encodeWire())
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func list(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            var request = try ListCollectionsRequest.decode(wire: message)
            request.tenant = try context.resolveTenant(
                request.tenant, isImplied: request.isTenantImplied, for: call)
            let list = try context.engine.listCollections(request) { context.sees($0, call) }
            reply.succeed(list.encodeWire())
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func drop(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        context.answer(
            message, DropCollectionRequest.decode(wire:), call, reply,
            by: context.engine.dropCollection
        ) { $0.encodeWire() }
    }

    @Sendable func rebuild(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        context.answer(
            message, RebuildRequest.decode(wire:), call, reply, by: context.engine.rebuild
        ) { $0.encodeWire() }
    }

    @Sendable func setRetention(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        context.answer(
            message, SetRetentionRequest.decode(wire:), call, reply, by: context.engine.setRetention
        ) { $0.encodeWire() }
    }

    @Sendable func rollBackTuning(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        context.answer(
            message, RollBackTuningRequest.decode(wire:), call, reply,
            by: context.engine.rollBackTuning
        ) { $0.encodeWire() }
    }
}
