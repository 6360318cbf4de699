// Ending a call from whichever thread has the answer.
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

extension GRPCStatus {
    /// The one place where an error becomes a status, with its google.rpc details.
    init(_ error: KyroError) {
        self.init(
            code: error.code.rawValue, message: error.message,
            details: encodeStatusDetails(for: error))
    }
}

/// A call that another thread may answer: what is done to it is done on its loop.
///
/// `@unchecked Sendable`: `call` is touched on its loop only.
struct Reply: @unchecked Sendable {
    private let call: ServerCall

    init(_ call: ServerCall) { self.call = call }

    func succeed(_ message: [UInt8]) {
        onLoop { call in
            call.send(message)
            call.finish(.success)
        }
    }

    func fail(_ error: KyroError) {
        onLoop { $0.finish(GRPCStatus(error)) }
    }

    func complete(_ result: Result<[UInt8], KyroError>) {
        switch result {
        case .success(let message): succeed(message)
        case .failure(let error): fail(error)
        }
    }

    /// Runs at once when this is the call's loop already.
    func onLoop(_ body: @escaping @Sendable (ServerCall) -> Void) {
        if call.loop.isInLoop { return body(call) }
        let reply = self
        call.loop.execute { body(reply.call) }
    }
}
