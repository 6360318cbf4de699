// grpc.testing.TestService, as the official interoperability clients ask for it.
import ConformanceCodecs
import KyroHTTP2
import KyroModel
import KyroServer

/// From a path to what answers it; what is not here is UNIMPLEMENTED.
struct TestService {
    static let name = "grpc.testing.TestService"

    func handler(for call: ServerCall) -> (any CallHandler)? {
        switch call.path {
        case "/grpc.testing.TestService/EmptyCall": EmptyHandler()
        case "/grpc.testing.TestService/UnaryCall": UnaryCallHandler()
        case "/grpc.testing.TestService/StreamingInputCall": StreamingInputHandler()
        case "/grpc.testing.TestService/StreamingOutputCall": StreamingOutputHandler(.oneRequest)
        case "/grpc.testing.TestService/FullDuplexCall": StreamingOutputHandler(.atOnce)
        case "/grpc.testing.TestService/HalfDuplexCall": StreamingOutputHandler(.atTheEnd)
        default: nil
        }
    }
}

extension ServerCall {
    /// Metadata that comes back in the answer's header.
    func echoInitialMetadata() {
        let echoed = metadata.filter { $0.name == "x-grpc-test-echo-initial" }
        if !echoed.isEmpty { sendInitialMetadata(echoed) }
    }

    /// Ends the call, with metadata that comes back in the trailer.
    func finishEchoing(_ status: GRPCStatus = .success) {
        finish(
            status, trailers: metadata.filter { $0.name == "x-grpc-test-echo-trailing-bin" })
    }

    func finish(_ error: KyroError) {
        finish(GRPCStatus(code: error.code.rawValue, message: error.message))
    }

    /// False, and the call is over, where a message did not come as it says that it would.
    func checkCompression(expected: Bool?) -> Bool {
        guard let expected, expected != isMessageCompressed else { return true }
        finish(
            KyroError(
                .invalidField,
                "expect_compressed is \(expected), and the message came "
                    + (isMessageCompressed ? "compressed" : "as it is")))
        return false
    }

    /// False, and the call is over, for a size that no answer can have.
    func checkSize(_ size: Int32) -> Bool {
        guard size < 0 || size > TestAnswers.byteCountMax else { return true }
        finish(
            KyroError(
                .invalidField,
                "a size of \(size) bytes is not in [0, \(TestAnswers.byteCountMax)]"))
        return false
    }
}

enum TestAnswers {
    /// 64 MiB: far above what any client asks for, far below what a process of tests may use.
    static let byteCountMax = 64 << 20
}

extension GRPCStatus {
    init(_ echoed: EchoStatus) { self.init(code: echoed.code, message: echoed.message) }
}

final class EmptyHandler: CallHandler {
    func receive(_ message: [UInt8], call: ServerCall) {}

    func halfClosed(call: ServerCall) {
        call.echoInitialMetadata()
        call.send([])
        call.finishEchoing()
    }

    func writable(call: ServerCall) {}
    func closed(call: ServerCall) {}
}

final class UnaryCallHandler: CallHandler {
    private var request: SimpleRequest?

    func receive(_ message: [UInt8], call: ServerCall) {
        do throws(KyroError) {
            let request = try SimpleRequest.decode(message)
            guard call.checkCompression(expected: request.expectCompressed),
                call.checkSize(request.responseSize)
            else { return }
            self.request = request
        } catch {
            call.finish(error)
        }
    }

    func halfClosed(call: ServerCall) {
        guard let request else { return call.finish(KyroError(.malformedMessage, "no message")) }
        if request.responseCompressed == true { call.offerCompression() }
        call.echoInitialMetadata()
        if let status = request.responseStatus, status.code != 0 {
            return call.finishEchoing(GRPCStatus(status))
        }
        call.send(
            TestResponses.payload(
                type: request.responseType, byteCount: Int(request.responseSize)),
            compressed: request.responseCompressed ?? false)
        call.finishEchoing()
    }

    func writable(call: ServerCall) {}
    func closed(call: ServerCall) {}
}

final class StreamingInputHandler: CallHandler {
    private var byteCount = 0

    func receive(_ message: [UInt8], call: ServerCall) {
        do throws(KyroError) {
            let request = try StreamingInputRequest.decode(message)
            guard call.checkCompression(expected: request.expectCompressed) else { return }
            byteCount += request.payloadByteCount
        } catch {
            call.finish(error)
        }
    }

    func halfClosed(call: ServerCall) {
        call.echoInitialMetadata()
        call.send(TestResponses.aggregatedSize(byteCount))
        call.finishEchoing()
    }

    func writable(call: ServerCall) {}
    func closed(call: ServerCall) {}
}
