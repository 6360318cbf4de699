// Prometheus' text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats).

package struct MetricsText {
    package enum Kind: String {
        case counter, gauge, histogram
    }

    package typealias Labels = [(name: String, value: String)]

    static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    package private(set) var bytes: [UInt8] = []

    package init() { bytes.reserveCapacity(32 << 10) }

    /// Begins a metric; its samples follow.
    package mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        append("# HELP \(name) ")
        for byte in help.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            default: bytes.append(byte)
            }
        }
        append("\n# TYPE \(name) \(kind.rawValue)\n")
    }

    package mutating func sample(_ name: String, _ labels: Labels, _ value: UInt64) {
        sample(name, labels, text: String(value))
    }

    mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
        sample(name, labels, text: Self.text(value))
    }

    /// One family with one sample.
    mutating func gauge(_ name: String, _ help: String, _ value: UInt64) {
        family(name, .gauge, help)
        sample(name, [], value)
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Double) {
        family(name, .gauge, help)
        sample(name, [], value)
    }

    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        family(name, .counter, help)
        sample(name, [], value)
    }

    /// - Parameters:
    ///   - bounds: upper bounds, ascending; `buckets` has one more, for what lies above.
    ///   - sum: of all values.
    package mutating func histogram(
        _ name: String, _ labels: Labels, bounds: [String], buckets: [UInt64], sum: Double
    ) {
        var seen: UInt64 = 0
        for (bound, inBucket) in zip(bounds + ["+Inf"], buckets) {
            seen += inBucket
            sample(name + "_bucket", labels + [("le", bound)], seen)
        }
        sample(name + "_sum", labels, sum)
        sample(name + "_count", labels, seen)
    }

    static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }

    private mutating func sample(_ name: String, _ labels: Labels, text: String) {
        append(name)
        if !labels.isEmpty {
            var separator = "{"
            for (label, value) in labels {
                append(separator)
                append(label)
                append("=\"")
                appendEscaped(value)
                append("\"")
                separator = ","
            }
            append("}")
        }
        append(" ")
        append(text)
        append("\n")
    }

    private mutating func appendEscaped(_ value: String) {
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\n"): append("\\n")
            default: bytes.append(byte)
            }
        }
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}
