// Fuzzes gRPC's framing: headers that gRPC reads, then messages in pieces, compressed or not.
//
// An input is: a byte that chooses the encoding and the size of the pieces; a byte that says how many
// bytes of a header's value follow; that value; the body. Whole messages must come out as they went in.
import Glibc
import KyroHTTP2

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

let preface: [UInt8] =
    Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
let messageBytesMax = 1 << 16
let names = ["grpc-timeout", "trace-bin", "grpc-encoding", "grpc-accept-encoding", "x-any"]

func frame(_ type: UInt8, _ flags: UInt8, _ payload: [UInt8]) -> [UInt8] {
    let count = payload.count
    var bytes: [UInt8] = [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
    bytes += [type, flags, 0, 0, 0, 1]
    bytes += payload
    return bytes
}

func field(_ name: String, _ value: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = [0, UInt8(name.utf8.count)]
    bytes.append(contentsOf: name.utf8)
    bytes.append(UInt8(value.count))
    bytes += value
    return bytes
}

/// Lengths of the messages that `body` holds whole, in order, as far as none is refused.
func wholeMessages(_ body: ArraySlice<UInt8>) -> [Int] {
    var lengths: [Int] = []
    var rest = body
    while rest.count >= 5 {
        let prefix = Array(rest.prefix(5))
        let length = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
        guard prefix[0] & 1 == 0, length <= messageBytesMax, rest.count >= 5 + length else { break }
        lengths.append(length)
        rest = rest.dropFirst(5 + length)
    }
    return lengths
}

func run(_ input: [UInt8]) {
    guard input.count >= 2 else { return }
    let mode = input[0]
    let value = Array(input[2...].prefix(min(100, Int(input[1]))))
    let body = input[2...].dropFirst(value.count)
    var configuration = HTTP2Configuration()
    configuration.messageBytesMax = messageBytesMax
    let server = ServerSession(configuration: configuration)
    var block = field(":method", Array("POST".utf8)) + field(":scheme", Array("http".utf8))
    block += field(":path", Array("/a.B/C".utf8))
    block += field(":authority", [UInt8(ascii: "x")])
    block += field("content-type", Array("application/grpc".utf8))
    let extra = Int(mode & 7)
    if extra < names.count { block += field(names[extra], value) }
    var got: [Int] = []
    var isRefused = false
    func take() throws {
        while let event = server.nextEvent() {
            switch event {
            case .message(_, let bytes): got.append(bytes.count)
            case .refused: isRefused = true
            case .failed: isRefused = true
            case .halfClosed(let stream): server.finish(stream, .success)
            default: break
            }
        }
        try server.produce()
        server.outputWritten(server.output.count - server.outputOffset)
    }
    do {
        try server.receive(preface + frame(1, 4, block))
        try take()
        var rest = body
        let step = 1 + Int(mode >> 3) * 100
        while !rest.isEmpty {
            try server.receive(frame(0, 0, Array(rest.prefix(step))))
            rest = rest.dropFirst(step)
            try take()
        }
        try server.receive(frame(0, 1, []))
        try take()
    } catch {
        return
    }
    // Nothing that was plain and whole is lost or changed in length.
    if extra >= names.count, server.abuse == nil {
        let wanted = wholeMessages(body)
        precondition(got.starts(with: wanted), "messages of \(got) bytes, wanted \(wanted)")
    }
    if !isRefused, extra >= names.count { precondition(got == wholeMessages(body)) }
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
