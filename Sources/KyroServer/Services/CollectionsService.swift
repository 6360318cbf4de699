// kyrodb.v2.Collections.
import KyroEngine
import KyroModel
import KyroWire

struct CollectionsService: Sendable {
    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    @Sendable func create(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try CreateCollectionRequest.decode(wire: message)
            context.engine.createCollection(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
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
        do throws(KyroError) {
            let request = try DropCollectionRequest.decode(wire: message)
            context.engine.dropCollection(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func rebuild(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try RebuildRequest.decode(wire: message)
            context.engine.rebuild(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func setRetention(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try SetRetentionRequest.decode(wire: message)
            context.engine.setRetention(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }

    @Sendable func rollBackTuning(_ message: [UInt8], _ call: ServerCall, _ reply: Reply) {
        do throws(KyroError) {
            let request = try RollBackTuningRequest.decode(wire: message)
            context.engine.rollBackTuning(request) { result in
                reply.complete(result.map { $0.encodeWire() })
            }
        } catch {
            reply.fail(error)
        }
    }
}
