// The whole server over a socket: watches at its end, errors without end.
import Foundation
import KyroEngine
import KyroHTTP2
import KyroPlatform
import KyroServer
import TestSupport
import Testing

@Suite struct KyroServerTests {
    private func serve(_ body: (KyroServer, UInt16) throws -> Void) throws {
        let path = "/tmp/kyro-server-test-\(EventLoop.monotonicNanos())"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var options = ServerOptions(engine: EngineConfiguration(path: path), version: "test")
        options.transport.port = 0
        options.drainMillis = 60_000
        let server = try KyroServer(options)
        let port = try server.start()
        try body(server, port)
    }

    /// A HealthCheckRequest.
    private func request(_ service: String) -> [UInt8] {
        var length: [UInt8] = []
        var rest = service.utf8.count
        while rest >= 0x80 {
            length.append(UInt8(rest & 0x7F | 0x80))
            rest >>= 7
        }
        return [0x0A] + length + [UInt8(rest)] + Array(service.utf8)
    }

    @Test func theServersEndEndsWatchesThatHaveNothingNewToTell() throws {
        try serve { server, port in
            let client = try TestClient(port: port)
            // One of a service that is unknown before and after, one without its request.
            let unknown = try client.session.open(path: "/grpc.health.v1.Health/Watch")
            client.session.send(request("nobody"), on: unknown)
            client.session.halfClose(unknown)
            let silent = try client.session.open(path: "/grpc.health.v1.Health/Watch")
            try client.write()
            while client.seen[unknown.id]?.messages.isEmpty != false { _ = try client.readOnce() }
            let stopping = Thread { server.stop() }
            stopping.start()
            #expect(try client.finish(unknown).status?.code == GRPCCode.unavailable)
            #expect(try client.finish(silent).status?.code == GRPCCode.unavailable)
            #expect(client.seen[unknown.id]?.messages == [[0x08, 0x03]])
            while try client.readOnce() { try client.write() }
            #expect(eventually { stopping.isFinished })
        }
    }

    @Test(arguments: ["x", "日", "\u{301}"])
    func errorThatRepeatsWhatItWasGivenIsCut(_ character: String) throws {
        try serve { server, port in
            let client = try TestClient(port: port)
            let service = String(repeating: character, count: 100_000)
            let seen = try client.unary("/grpc.health.v1.Health/Check", request(service))
            let status = try #require(seen.status)
            #expect(status.code == GRPCCode.notFound)
            #expect(status.message.hasPrefix("this server has no service"))
            #expect((1_000...1_024).contains(status.message.utf8.count))
            #expect(!status.message.contains("\u{FFFD}"))
            #expect(!status.details.isEmpty)
            client.session.terminate()
            try client.write()
            server.stop()
        }
    }
}
