// kyrodb.v2.Collections.
import KyroEngine
import KyroModel
import KyroWire

struct CollectionsService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func create(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message,
            { try context.resolved(try CreateCollectionRequest.decode(wire: $0), for: call) },
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
        reply.answer(
            message,
            { try context.resolved(try DropCollectionRequest.decode(wire: $0), for: call) },
            by: context.engine.dropCollection
        ) { $0.encodeWire() }
    }

    @Sendable func rebuild(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, { try context.resolved(try RebuildRequest.decode(wire: $0), for: call) },
            by: context.engine.rebuild
        ) { $0.encodeWire() }
    }

    @Sendable func setRetention(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, { try context.resolved(try SetRetentionRequest.decode(wire: $0), for: call) },
            by: context.engine.setRetention
        ) { $0.encodeWire() }
    }

    @Sendable func rollBackTuning(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message,
            { try context.resolved(try RollBackTuningRequest.decode(wire: $0), for: call) },
            by: context.engine.rollBackTuning
        ) { $0.encodeWire() }
    }
}
