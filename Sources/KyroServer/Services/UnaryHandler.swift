// Calls with one request message and one answer.
import KyroHTTP2
import KyroModel

/// Collects the one message and runs the method when the client has ended its side.
final class UnaryHandler: CallHandler {
    typealias Method = (_ message: [UInt8], _ call: ServerCall, _ reply: Reply) -> Void

    private let method: Method
    private var message: [UInt8]?

    init(_ method: @escaping Method) { self.method = method }

    func receive(_ message: [UInt8], call: ServerCall) {
        guard self.message == nil else {
            return call.finish(.cardinality("\(call.path) takes one message; a second one came"))
        }
        guard call.hold(message.count) else { return call.finish(GRPCStatus(.keepsTooMuch)) }
        self.message = message
    }

    func halfClosed(call: ServerCall) {
        guard let message else {
            return call.finish(.cardinality("\(call.path) takes one message; none came"))
        }
        self.message = nil
        method(message, call, Reply(call))
    }

    func writable(call: ServerCall) {}
    func closed(call: ServerCall) { message = nil }
}
