// kyrodb.v2.Collections.
import KyroEngine
import KyroModel
import KyroWire

struct CollectionsService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func create(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, CreateCollectionRequest.decode(wire:), by: context.engine.createCollection
        ) { $0.encodeWire() }
    }

    @Sendable func describe(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try DescribeCollectionRequest.decode(wire: message)
            reply.succeed(try context.engine.describeCollection(request).encodeWire())
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func list(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try ListCollectionsRequest.decode(wire: message)
            reply.succeed(try context.engine.listCollections(request).encodeWire())
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func drop(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, DropCollectionRequest.decode(wire:), by: context.engine.dropCollection
        ) { $0.encodeWire() }
    }

    @Sendable func rebuild(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, RebuildRequest.decode(wire:), by: context.engine.rebuild
        ) { $0.encodeWire() }
    }

    @Sendable func setRetention(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, SetRetentionRequest.decode(wire:), by: context.engine.setRetention
        ) { $0.encodeWire() }
    }

    @Sendable func rollBackTuning(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        reply.answer(
            message, RollBackTuningRequest.decode(wire:), by: context.engine.rollBackTuning
        ) { $0.encodeWire() }
    }
}
