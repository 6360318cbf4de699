// grpc-timeout: at most eight digits and a unit (gRPC over HTTP/2, "Requests").

package enum GRPCTimeout {
    /// Nanoseconds, saturating; nil where the text is no timeout.
    package static func parse(_ text: [UInt8]) -> UInt64? {
        guard text.count >= 2, text.count <= 9, let unit = text.last else { return nil }
        var value: UInt64 = 0
        for byte in text.dropLast() {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
        }
        let scale: UInt64
        switch unit {
        case UInt8(ascii: "n"): scale = 1
        case UInt8(ascii: "u"): scale = 1_000
        case UInt8(ascii: "m"): scale = 1_000_000
        case UInt8(ascii: "S"): scale = 1_000_000_000
        case UInt8(ascii: "M"): scale = 60_000_000_000
        case UInt8(ascii: "H"): scale = 3_600_000_000_000
        default: return nil
        }
        let (nanos, overflow) = value.multipliedReportingOverflow(by: scale)
        return overflow ? .max : nanos
    }

    /// The finest unit whose value fits eight digits; rounded up, so that a client never gives its
    /// server less time than it has itself.
    package static func format(nanos: UInt64) -> String {
        let units: [(scale: UInt64, name: String)] = [
            (1, "n"), (1_000, "u"), (1_000_000, "m"), (1_000_000_000, "S"),
            (60_000_000_000, "M"),
        ]
        for unit in units {
            let value = nanos / unit.scale + (nanos % unit.scale == 0 ? 0 : 1)
            if value <= 99_999_999 { return "\(value)\(unit.name)" }
        }
        return "\(min(nanos / 3_600_000_000_000 + 1, 99_999_999))H"
    }
}
