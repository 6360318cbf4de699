// W3C Trace Context (https://www.w3.org/TR/trace-context/, §3.2): what a caller says of the trace that
// its call belongs to, and what goes on from here.
import KyroBytes

/// Of a `traceparent` header: "00-TRACE-PARENT-FLAGS", lower-case hexadecimal.
package struct TraceContext: Equatable {
    /// 32 digits, not all zero.
    package let traceID: String
    /// 16 digits, not all zero: the caller's span.
    package let parentID: String
    /// Two digits.
    package let flags: String

    private static let version00Count = 55
    private static let dash = UInt8(ascii: "-")

    /// nil for what the specification calls invalid; such a header is as good as none (§4.3).
    package init?(_ value: [UInt8]) {
        guard value.count >= Self.version00Count, let version = Self.hex(value[0..<2]),
            version != "ff", value[2] == Self.dash, value[35] == Self.dash, value[52] == Self.dash,
            let traceID = Self.hex(value[3..<35]), let parentID = Self.hex(value[36..<52]),
            let flags = Self.hex(value[53..<55])
        else { return nil }
        // A later version may have more behind a dash; version 00 has not.
        if value.count > Self.version00Count {
            guard version != "00", value[55] == Self.dash else { return nil }
        }
        guard traceID.contains(where: { $0 != "0" }), parentID.contains(where: { $0 != "0" })
        else { return nil }
        self.traceID = traceID
        self.parentID = parentID
        self.flags = flags
    }

    /// What whoever is called from here is told, and the caller in return.
    /// - Parameter spanID: of our part, 16 digits.
    package func passedOn(spanID: String) -> String { "00-\(traceID)-\(spanID)-\(flags)" }

    private static func hex(_ bytes: ArraySlice<UInt8>) -> String? {
        let isHex = bytes.allSatisfy {
            ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
                || ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "f"))
        }
        return isHex ? String(decoding: bytes, as: UTF8.self) : nil
    }
}

/// What names a call in logs, and to its caller.
struct RequestName {
    /// The caller's `x-request-id`, or ours.
    let requestID: String
    let spanID: String
    let trace: TraceContext?
    /// The caller named the request or its trace, and wants to hear of it.
    let isAsked: Bool

    static let requestIDHeader = "x-request-id"
    static let traceHeader = "traceparent"
    private static let requestIDBytesMax = 128

    init(of call: ServerCall, seed: UInt64) {
        spanID = Self.hex(mix64(seed &+ call.number))
        var given: String?
        var trace: TraceContext?
        for (name, value) in call.metadata {
            if name == Self.requestIDHeader {
                given = given ?? Self.requestID(value)
            } else if name == Self.traceHeader {
                trace = trace ?? TraceContext(value)
            }
        }
        requestID = given ?? spanID
        self.trace = trace
        isAsked = given != nil || trace != nil
    }

    /// Visible ASCII alone: it is written to logs.
    private static func requestID(_ value: [UInt8]) -> String? {
        guard !value.isEmpty, value.count <= requestIDBytesMax,
            value.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        return String(decoding: value, as: UTF8.self)
    }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
