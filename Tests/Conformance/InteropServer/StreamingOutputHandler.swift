// Answers of asked sizes at asked intervals: StreamingOutputCall, FullDuplexCall, HalfDuplexCall.
import ConformanceCodecs
import KyroHTTP2
import KyroModel
import KyroPlatform
import KyroServer

final class StreamingOutputHandler: CallHandler {
    enum Mode {
        /// One request, answered when it is complete.
        case oneRequest
        /// Each request is answered when it comes.
        case atOnce
        /// All requests are answered when the client has ended its side.
        case atTheEnd
    }

    private let mode: Mode
    private var waiting: [ResponseParameters] = []
    private var next = 0
    private var responseType: Int32 = 0
    private var isInputOver = false
    private var hasBegun = false
    private var timer: LoopTimer?
    /// Answers that wait for the client; more are made when it has read some.
    private static let queuedBytesMax = 1 << 20
    /// Answers that one call may ask for and not yet have.
    private static let waitingMax = 100_000

    init(_ mode: Mode) { self.mode = mode }

    func receive(_ message: [UInt8], call: ServerCall) {
        do throws(KyroError) {
            let request = try StreamingOutputRequest.decode(message)
            if let status = request.responseStatus, status.code != 0 {
                begin(call)
                return call.finishEchoing(GRPCStatus(status))
            }
            responseType = request.responseType
            for parameters in request.parameters {
                guard call.checkSize(parameters.size) else { return }
                if parameters.compressed == true { call.offerCompression() }
            }
            waiting += request.parameters
            guard waiting.count <= Self.waitingMax else {
                throw KyroError(
                    .limitExceeded, "response_parameters has more than \(Self.waitingMax) entries")
            }
            if mode == .atOnce { answer(call) }
        } catch {
            call.finish(error)
        }
    }

    func halfClosed(call: ServerCall) {
        isInputOver = true
        answer(call)
    }

    func writable(call: ServerCall) { answer(call) }

    func closed(call: ServerCall) {
        if let timer { call.loop.cancel(timer) }
        timer = nil
    }

    private func begin(_ call: ServerCall) {
        if !hasBegun { call.echoInitialMetadata() }
        hasBegun = true
    }

    /// Sends what is due and has room; the rest when its time comes, or the client has read.
    private func answer(_ call: ServerCall) {
        guard isInputOver || mode == .atOnce else { return }
        begin(call)
        while timer == nil, next < waiting.count, call.queuedBytes < Self.queuedBytesMax {
            let parameters = waiting[next]
            guard parameters.intervalMicros > 0 else {
                send(parameters, call)
                continue
            }
            let nanos = UInt64(parameters.intervalMicros) * 1_000
            timer = call.loop.schedule(afterNanos: nanos) { [self] in
                timer = nil
                if call.isFinished { return }
                send(parameters, call)
                answer(call)
            }
        }
        guard next == waiting.count else { return }
        waiting = []
        next = 0
        if isInputOver { call.finishEchoing() }
    }

    private func send(_ parameters: ResponseParameters, _ call: ServerCall) {
        next += 1
        call.send(
            TestResponses.payload(type: responseType, byteCount: Int(parameters.size)),
            compressed: parameters.compressed ?? false)
    }
}
