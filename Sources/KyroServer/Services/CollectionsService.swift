// kyrodb.v2.Collections.
import KyroEngine
import KyroModel
import KyroWire

struct CollectionsService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func create(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            var request = try CreateCollectionRequest.decode(wire: message)
            request.scope = try context.resolve(request.scope, for: call)
            context.engine.createCollection(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func describe(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            var request = try DescribeCollectionRequest.decode(wire: message)
            request.scope = try context.resolve(request.scope, for: call)
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
        do throws(KyroError) {
            var request = try DropCollectionRequest.decode(wire: message)
            request.scope = try context.resolve(request.scope, for: call)
            context.engine.dropCollection(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func rebuild(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            var request = try RebuildRequest.decode(wire: message)
            request.scope = try context.resolve(request.scope, for: call)
            context.engine.rebuild(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func setRetention(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            var request = try SetRetentionRequest.decode(wire: message)
            request.scope = try context.resolve(request.scope, for: call)
            context.engine.setRetention(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func rollBackTuning(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            var request = try RollBackTuningRequest.decode(wire: message)
            request.scope = try context.resolve(request.scope, for: call)
            context.engine.rollBackTuning(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }
}
