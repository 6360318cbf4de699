// What the server tells its operator: one line an event, to standard error, as text with key=value or
// as a JSON object.
import Glibc
import Synchronization

public enum LogLevel: Int, Comparable, Sendable {
    case debug
    case info
    case warning
    case error

    var name: String {
        switch self {
        case .debug: return "debug"
        case .info: return "info"
        case .warning: return "warning"
        case .error: return "error"
        }
    }

    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}

public enum LogFormat: Int, Sendable {
    /// `2026-01-02T03:04:05.678Z info "event" key=value key="with spaces"`
    case text
    /// `{"time":"2026-01-02T03:04:05.678Z","level":"info","event":"…","key":"value","number":1}`
    case json
}

public enum Log {
    private static let threshold = Atomic<Int>(LogLevel.info.rawValue)
    private static let shape = Atomic<Int>(LogFormat.text.rawValue)

    public static var format: LogFormat {
        get { LogFormat(rawValue: shape.load(ordering: .relaxed)) ?? .text }
        set { shape.store(newValue.rawValue, ordering: .relaxed) }
    }

    public static var level: LogLevel {
        get { LogLevel(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    public static func debug(_ event: String, _ fields: KeyValuePairs<String, Any> = [:]) {
        write(.debug, event, fields)
    }

    public static func info(_ event: String, _ fields: KeyValuePairs<String, Any> = [:]) {
        write(.info, event, fields)
    }

    public static func warning(_ event: String, _ fields: KeyValuePairs<String, Any> = [:]) {
        write(.warning, event, fields)
    }

    public static func error(_ event: String, _ fields: KeyValuePairs<String, Any> = [:]) {
        write(.error, event, fields)
    }

    private static func write(
        _ level: LogLevel, _ event: String, _ fields: KeyValuePairs<String, Any>
    ) {
        guard level >= self.level else { return }
        let line = Array((line(format, timestamp(), level, event, fields) + "\n").utf8)
        // One write a line, so that lines of several threads do not mix.
        _ = unsafe line.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
    }

    package static func line(
        _ format: LogFormat, _ time: String, _ level: LogLevel, _ event: String,
        _ fields: KeyValuePairs<String, Any>
    ) -> String {
        switch format {
        case .text:
            var line = "\(time) \(level.name) \(quoted(event, always: true))"
            for (key, value) in fields { line += " \(key)=\(quoted(String(describing: value)))" }
            return line
        case .json:
            var line =
                "{\"time\":\(json(time)),\"level\":\(json(level.name)),\"event\":\(json(event))"
            for (key, value) in fields { line += ",\(json(key)):\(jsonValue(value))" }
            return line + "}"
        }
    }

    /// Numbers and booleans as such, the rest by its description.
    private static func jsonValue(_ value: Any) -> String {
        switch value {
        case let number as any FixedWidthInteger: return "\(number)"
        case let number as Double: return number.isFinite ? "\(number)" : "null"
        case let flag as Bool: return flag ? "true" : "false"
        default: return json(String(describing: value))
        }
    }

    /// RFC 8259 §7.
    private static func json(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            case "\r": out += "\\r"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    out.unicodeScalars.append(scalar)
                }
            }
        }
        return out + "\""
    }

    private static func quoted(_ text: String, always: Bool = false) -> String {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x3D }
        if isPlain, !text.isEmpty, !always { return text }
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            default:
                if scalar.value < 0x20 {
                    out += "\\x" + String(scalar.value, radix: 16)
                } else {
                    out.unicodeScalars.append(scalar)
                }
            }
        }
        return out + "\""
    }

    /// UTC, RFC 3339 with milliseconds.
    private static func timestamp() -> String {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        var parts = unsafe tm()
        unsafe gmtime_r(&now.tv_sec, &parts)
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date =
            unsafe "\(Int(parts.tm_year) + 1900)-\(padded(Int(parts.tm_mon) + 1, 2))-"
            + padded(Int(parts.tm_mday), 2)
        let time =
            unsafe "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):"
            + padded(Int(parts.tm_sec), 2)
        return "\(date)T\(time).\(padded(now.tv_nsec / 1_000_000, 3))Z"
    }
}
