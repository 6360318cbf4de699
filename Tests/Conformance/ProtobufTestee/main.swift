// Testee of protobuf's official conformance suite, for `TestAllTypesProto3` from binary to binary.
//
// Standard input and output carry messages, each behind its length in four bytes, little-endian:
// a ConformanceRequest in, a ConformanceResponse out, until the input ends.
import ConformanceCodecs
import Glibc
import KyroModel

/// Exactly `count` bytes of standard input, nil at its end.
func readInput(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let got = bytes.withUnsafeMutableBytes { buffer in
            read(0, buffer.baseAddress.map { $0 + filled }, count - filled)
        }
        guard got > 0 else { return nil }
        filled += got
    }
    return bytes
}

func writeOutput(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
        let put = bytes.withUnsafeBytes { buffer in
            write(1, buffer.baseAddress.map { $0 + sent }, bytes.count - sent)
        }
        guard put > 0 else { return false }
        sent += put
    }
    return true
}

func answer(_ bytes: [UInt8]) throws(KyroError) -> ConformanceResponse {
    let request = ConformanceRequest(try DynamicMessage.decode(bytes, as: .conformanceRequest))
    switch request.messageType {
    case "conformance.FailureSet": return .payload([])
    case "protobuf_test_messages.proto3.TestAllTypesProto3": break
    default: return .skipped("message type")
    }
    guard let payload = request.payload, request.wantsBinary else { return .skipped("format") }
    do throws(KyroError) {
        return .payload(try DynamicMessage.decode(payload, as: .testAllTypes).encode())
    } catch {
        return .parseError(error.message)
    }
}

while let header = readInput(4) {
    let count = (0..<4).reduce(0) { $0 | Int(header[$1]) << (8 * $1) }
    guard let bytes = readInput(count) else { break }
    do throws(KyroError) {
        let body = try answer(bytes).message.encode()
        let length = (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (8 * $0)) }
        guard writeOutput(length + body) else { break }
    } catch {
        let line = Array("the runner sent what is no request: \(error.message)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        exit(1)
    }
}
