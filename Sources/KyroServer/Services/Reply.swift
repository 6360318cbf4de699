// Ending a call from whichever thread has the answer.
import KyroEngine
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroWire

extension GRPCStatus {
    /// A method that takes one message got another number of them; the code is gRPC's
    /// (statuscodes.md, "Request cardinality violation").
    static func cardinality(_ message: String) -> GRPCStatus {
        GRPCStatus(code: GRPCCode.unimplemented, message: message)
    }

    /// UTF-8 bytes of an error's text that are told. It travels in a header block, up to three times
    /// percent-encoded and twice more in base64 inside the details: 6 KiB of the 8 KiB that gRPC's
    /// clients take in trailers by default.
    private static let messageBytesMax = 1 << 10
    private static let fieldBytesMax = 256

    /// The one place where an error becomes a status, with its google.rpc details.
    init(_ error: KyroError) {
        var error = error
        error.message = Self.cut(error.message, bytesMax: Self.messageBytesMax)
        error.field = error.field.map { Self.cut($0, bytesMax: Self.fieldBytesMax) }
        self.init(
            code: error.code.rawValue, message: error.message,
            details: encodeStatusDetails(for: error))
    }

    /// What fits of `text`, cut between characters; the mark of the cut counts.
    private static func cut(_ text: String, bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        let mark = "…"
        var kept = ""
        for scalar in text.unicodeScalars {
            guard kept.utf8.count + UTF8.width(scalar) + mark.utf8.count <= bytesMax else { break }
            kept.unicodeScalars.append(scalar)
        }
        return kept + mark
    }
}

extension KyroError {
    /// For a call whose `hold` was refused.
    static let keepsTooMuch = KyroError(
        .queueFull, "unfinished requests of this connection hold too many bytes; send fewer",
        retryAfterMillis: 50)
}

/// A call that another thread may answer: what is done to it is done on its loop.
///
/// `@unchecked Sendable`: `call` is touched on its loop only.
struct Reply: @unchecked Sendable {
    private let call: ServerCall

    init(_ call: ServerCall) { self.call = call }

    func succeed(_ message: [UInt8]) {
        if call.loop.isInLoop {
            call.send(message)
            return call.finish(.success)
        }
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

    /// Decodes the message, hands the request on, and answers with what becomes of it.
    func answer<Request, Answer>(
        _ message: [UInt8], _ decode: ([UInt8]) throws(KyroError) -> Request,
        by perform: (Request, @escaping @Sendable (Result<Answer, KyroError>) -> Void) -> Void,
        _ encode: @escaping @Sendable (Answer) -> [UInt8]
    ) {
        do throws(KyroError) {
            let request = try decode(message)
            perform(request) { complete($0.map(encode)) }
        } catch {
            fail(error)
        }
    }

    /// Runs at once when this is the call's loop already.
    func onLoop(_ body: @escaping @Sendable (ServerCall) -> Void) {
        if call.loop.isInLoop { return body(call) }
        let reply = self
        call.loop.execute { body(reply.call) }
    }
}
