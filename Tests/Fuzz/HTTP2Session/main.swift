// Fuzzes a server's HTTP/2 session: whatever comes in, it ends calls and connections, and never traps.
//
// The first byte of an input chooses: bytes as they come, in pieces; or frames that are made of it, so
// that lengths are right and more of them get past the first checks.
import Glibc
import KyroHTTP2

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" and an empty SETTINGS.
let preface: [UInt8] =
    Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]

/// A request without indexing: POST http /a.B/C, application/grpc.
let request: [UInt8] = {
    let fields = [
        (":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "x"),
        ("content-type", "application/grpc"), ("grpc-encoding", "gzip"),
    ]
    var block: [UInt8] = []
    for (name, value) in fields {
        block.append(0)
        block.append(UInt8(name.utf8.count))
        block.append(contentsOf: name.utf8)
        block.append(UInt8(value.utf8.count))
        block.append(contentsOf: value.utf8)
    }
    return block
}()

func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt8, _ payload: ArraySlice<UInt8>) -> [UInt8]
{
    let count = payload.count
    var bytes: [UInt8] = [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
    bytes += [type, flags, 0, 0, 0, stream]
    bytes += payload
    return bytes
}

/// Small limits, so that short inputs reach them.
func configuration() -> HTTP2Configuration {
    var configuration = HTTP2Configuration()
    configuration.concurrentStreamsMax = 8
    configuration.headerListBytesMax = 512
    configuration.messageBytesMax = 4_096
    configuration.unfinishedBytesMax = 8_192
    configuration.idleFrameBurst = 20
    configuration.resetBurst = 10
    return configuration
}

/// A server that echoes; false when its session has ended.
func turn(_ server: ServerSession) throws -> Bool {
    for _ in 0..<4 {
        while let event = server.nextEvent() {
            switch event {
            case .message(let stream, let bytes):
                server.send(bytes, on: stream)
                if bytes.count == 1 { server.finish(stream, .success) }
                if bytes.count == 2 { server.pauseReading(stream) }
            case .halfClosed(let stream): server.finish(stream, .success)
            default: break
            }
        }
        try server.produce()
        server.outputWritten(server.output.count - server.outputOffset)
    }
    server.nowNanos += 500_000_000
    _ = server.endOverdue(messageNanos: 2_000_000_000, replyNanos: 3_000_000_000)
    return !server.isFinished
}

func run(_ input: [UInt8]) {
    guard let mode = input.first else { return }
    let server = ServerSession(configuration: configuration())
    do {
        var rest = input[1...]
        if mode & 1 == 0 {
            if mode & 2 == 0 { try server.receive(preface) }
            let step = max(1, Int(mode >> 2))
            while !rest.isEmpty {
                try server.receive(Array(rest.prefix(step)))
                rest = rest.dropFirst(step)
                if try !turn(server) { break }
            }
        } else {
            try server.receive(preface)
            // type, flags, stream, length, then so much of what follows.
            while rest.count >= 4 {
                let head = Array(rest.prefix(4))
                rest = rest.dropFirst(4)
                let stream = head[2] & 15
                let payload =
                    head[0] & 0x80 != 0 ? request[...] : rest.prefix(Int(head[3]))
                if head[0] & 0x80 == 0 { rest = rest.dropFirst(Int(head[3])) }
                try server.receive(frame(head[0] & 0x0F, head[1], stream, payload))
                if try !turn(server) { break }
            }
        }
    } catch {
        // The peer broke the protocol.
    }
    server.connectionLost()
    while server.nextEvent() != nil {}
}

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
    withUnsafeMutablePointer(to: &arguments) { pointer in
        pointer.withMemoryRebound(
            to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.self, capacity: 1
        ) { arguments in
            runDriver(&count, arguments) { bytes, size in
                run(Array(UnsafeBufferPointer(start: bytes, count: size)))
                return 0
            }
        }
    })
