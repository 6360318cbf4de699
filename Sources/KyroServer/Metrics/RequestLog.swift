// The log's lines about requests: those that took long, and those that failed by our own fault. They
// carry names, times and codes: no message, which may quote a request, and no metadata.
import KyroHTTP2
import KyroModel
import KyroPlatform

public struct RequestLogOptions: Sendable {
    /// A unary call that took at least so long is logged; 0: none.
    public var slowMillis = 1_000

    public init() {}
}

struct RequestLog: Sendable {
    private let slowNanos: UInt64
    /// Of this process, so that ids of two processes differ.
    private let seed: UInt64

    init(_ options: RequestLogOptions, seed: UInt64) {
        slowNanos =
            options.slowMillis > 0 ? UInt64(options.slowMillis) * 1_000_000 : .max
        self.seed = seed
    }

    func name(of call: ServerCall) -> RequestName { RequestName(of: call, seed: seed) }

    /// Failures that are nobody's fault but the server's.
    private static func isOurs(_ code: Int32) -> Bool {
        code == GRPCCode.internal || code == GRPCCode.unknown || code == GRPCCode.dataLoss
    }

    func wants(nanos: UInt64, code: Int32) -> Bool {
        nanos >= slowNanos || (code != GRPCCode.ok && Self.isOurs(code))
    }

    func write(_ call: ServerCall, code: Int32, nanos: UInt64) {
        let isFailure = Self.isOurs(code)
        // A stream lasts as long as its client wishes.
        if !isFailure, MethodTable.streaming.contains(call.path) { return }
        let name = name(of: call)
        let event = isFailure ? "a request failed" : "a request was slow"
        let millis = Double(nanos / 1_000) / 1_000
        let codeName = (StatusCode(rawValue: code) ?? .unknown).name
        let method = call.method == CallLayout.unknownMethod ? "unknown" : call.path
        if let trace = name.trace {
            Log.warning(
                event,
                [
                    "request_id": name.requestID, "trace_id": trace.traceID,
                    "span_id": name.spanID, "parent_id": trace.parentID, "method": method,
                    "code": codeName, "millis": millis,
                ])
        } else {
            Log.warning(
                event,
                [
                    "request_id": name.requestID, "method": method,
                    "code": codeName, "millis": millis,
                ])
        }
    }
}
