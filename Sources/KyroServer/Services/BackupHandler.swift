// Operations.CreateBackup: one request, progress, and the backup at the end.
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroWire

final class BackupHandler: CallHandler {
    /// Progress that the client has not taken; more of it would tell nothing.
    private static let queuedBytesMax = 4 << 10

    private let context: ServiceContext
    private var message: [UInt8]?

    init(_ context: ServiceContext) { self.context = context }

    func receive(_ message: [UInt8], call: ServerCall) {
        guard self.message == nil else {
            return call.finish(.cardinality("a backup takes one message; a second came"))
        }
        guard call.hold(message.count) else {
            return call.finish(GRPCStatus(.keepsTooMuch))
        }
        self.message = message
    }

    func halfClosed(call: ServerCall) {
        let reply = Reply(call)
        guard let message else {
            return call.finish(.cardinality("a backup takes one message; none came"))
        }
        self.message = nil
        do throws(KyroError) {
            let request = try CreateBackupRequest.decode(wire: message)
            context.engine.createBackup(
                request, cancellation: call.cancellation,
                progress: { progress in
                    reply.onLoop { call in
                        guard call.queuedBytes < Self.queuedBytesMax else { return }
                        call.send(progress.encodeWire())
                    }
                },
                completion: { result in
                    reply.complete(
                        result.map { backup in
                            CreateBackupResponse(
                                bytesDone: backup.bytes, bytesTotal: backup.bytes, backup: backup
                            ).encodeWire()
                        })
                })
        } catch {
            reply.fail(error)
        }
    }

    func writable(call: ServerCall) {}
    func closed(call: ServerCall) { message = nil }
}
