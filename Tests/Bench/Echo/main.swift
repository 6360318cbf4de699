// A server on the product's transport that returns every message: what the transport alone costs, for
// `kyrobench cost`. usage: kyro-echo PORT-FILE
import Glibc
import KyroHTTP2
import KyroPlatform
import KyroServer

/// One message, which goes back when the client has ended its side.
final class EchoHandler: CallHandler {
    private var message: [UInt8] = []

    func receive(_ message: [UInt8], call: ServerCall) { self.message = message }

    func halfClosed(call: ServerCall) {
        call.send(message)
        call.finish(.success)
    }

    func writable(call: ServerCall) {}
    func closed(call: ServerCall) {}
}

struct EchoDispatcher: CallDispatcher {
    func handler(for call: ServerCall) -> (any CallHandler)? {
        call.path == "/kyrobench.Echo/Echo" ? EchoHandler() : nil
    }
}

guard CommandLine.arguments.count == 2 else {
    print("usage: kyro-echo PORT-FILE")
    exit(2)
}
Signals.prepare()
var configuration = ServerTransportConfiguration()
configuration.port = 0
let server = Server(configuration: configuration, dispatcher: EchoDispatcher())
let port = try server.start()
let file = try PosixFileSystem().open(CommandLine.arguments[1], .createEmpty)
try file.write(Array("127.0.0.1:\(port)\n".utf8), at: 0)
_ = Signals.waitForStop()
server.drain(timeoutMillis: 0)
server.join()
