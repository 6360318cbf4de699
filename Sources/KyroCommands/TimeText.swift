// Times and durations as people write them. Times are Unix milliseconds, UTC.

/// Why a time or a duration could not be read.
public struct TimeTextError: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String
}

/// RFC 3339 times, and dates alone.
public enum Timestamp {
    /// Reads `2024-01-31`, `2024-01-31T10:00:00Z`, with up to nine digits of a second's fraction
    /// (below a millisecond they are dropped) and an offset such as `+02:00`; without an offset the
    /// time is UTC.
    public static func parse(_ text: String) throws(TimeTextError) -> Int64 {
        var scanner = DigitScanner(text: Array(text.utf8))
        guard let millis = scanner.timestamp() else {
            throw TimeTextError(
                description: "\"\(text)\" is not a time; write 2024-01-31 or 2024-01-31T10:00:00Z")
        }
        return millis
    }

    /// `2024-01-31T10:00:00Z`, with milliseconds where there are any.
    public static func text(millis: Int64) -> String {
        let (seconds, fraction) = floorDivide(millis, 1_000)
        let (days, second) = floorDivide(seconds, 86_400)
        let (year, month, day) = civil(days: days)
        var text = "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T"
        text += "\(pad(second / 3_600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2))"
        if fraction != 0 { text += ".\(pad(fraction, 3))" }
        return text + "Z"
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
        let remainder = value % divisor
        let rest = remainder < 0 ? remainder + divisor : remainder
        return ((value - rest) / divisor, rest)
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let digits = String(abs(value))
        let zeros = String(repeating: "0", count: max(0, width - digits.utf8.count))
        return (value < 0 ? "-" : "") + zeros + digits
    }

    /// Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years begin in March
    /// here, so that the leap day is the last of its year.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = floorDivide(shifted, 400).0
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The inverse of `days`.
    static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

private struct DigitScanner {
    let text: [UInt8]
    var position = 0

    init(text: [UInt8]) { self.text = text }

    mutating func digits(_ count: Int) -> Int64? {
        guard position + count <= text.count else { return nil }
        var value: Int64 = 0
        for _ in 0..<count {
            let digit = text[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int64(digit)
            position += 1
        }
        return value
    }

    mutating func take(_ wanted: Unicode.Scalar...) -> Bool {
        guard position < text.count, wanted.contains(Unicode.Scalar(text[position])) else {
            return false
        }
        position += 1
        return true
    }

    mutating func timestamp() -> Int64? {
        guard let year = digits(4), take("-"), let month = digits(2), take("-"),
            let day = digits(2), (1...12).contains(month), day >= 1
        else { return nil }
        let start = Timestamp.days(year: year, month: month, day: day)
        let (_, checkedMonth, checkedDay) = Timestamp.civil(days: start)
        guard checkedMonth == month, checkedDay == day else { return nil }
        if position == text.count { return start * 86_400_000 }
        guard take("T", "t", " "), let hour = digits(2), take(":"), let minute = digits(2),
            hour < 24, minute < 60
        else { return nil }
        var second: Int64 = 0
        var fraction: Int64 = 0
        if take(":") {
            guard let value = digits(2), value < 60 else { return nil }
            second = value
            if take(".") {
                guard let value = fractionMillis() else { return nil }
                fraction = value
            }
        }
        guard let offset = offsetMinutes(), position == text.count else { return nil }
        let seconds = start * 86_400 + hour * 3_600 + (minute - offset) * 60 + second
        return seconds * 1_000 + fraction
    }

    private mutating func fractionMillis() -> Int64? {
        var scale: Int64 = 100
        var value: Int64 = 0
        let start = position
        while let digit = digits(1) {
            value += digit * scale
            scale /= 10
        }
        return (1...9).contains(position - start) ? value : nil
    }

    private mutating func offsetMinutes() -> Int64? {
        if position == text.count || take("Z", "z") { return 0 }
        let isNegative = position < text.count && text[position] == UInt8(ascii: "-")
        guard take("+", "-"), let hours = digits(2), take(":"), let minutes = digits(2),
            hours < 24, minutes < 60
        else { return nil }
        let offset = hours * 60 + minutes
        return isNegative ? -offset : offset
    }
}

/// Lengths of time.
public enum TimeSpan {
    private static let units: [(name: String, millis: Int64)] = [
        ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ("w", 604_800_000),
    ]

    /// Milliseconds of `500ms`, `90s`, `15m`, `12h`, `30d`, `2w`, `1.5h` or a sum such as `1d12h`.
    /// A bare number is refused: its unit would be a guess.
    public static func parseMillis(_ text: String) throws(TimeTextError) -> Int64 {
        let failure = TimeTextError(
            description:
                "\"\(text)\" is no length of time; write 500ms, 90s, 15m, 12h, 30d or 1d12h")
        var rest = Substring(text)
        var total: Double = 0
        guard !rest.isEmpty else { throw failure }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number),
                let millis = units.first(where: { $0.name == unit })?.millis
            else { throw failure }
            total += value * Double(millis)
        }
        guard total < 9e15 else { throw failure }
        return Int64(total.rounded())
    }

    /// A length for people: `850 µs`, `12.3 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`.
    public static func text(micros: Int64) -> String {
        switch micros {
        case ..<1_000: return "\(micros) µs"
        case ..<1_000_000: return "\(decimal(Double(micros) / 1_000, places: 1)) ms"
        case ..<60_000_000: return "\(decimal(Double(micros) / 1_000_000, places: 1)) s"
        case ..<3_600_000_000:
            let seconds = micros / 1_000_000
            return "\(seconds / 60) min \(seconds % 60) s"
        default:
            let minutes = micros / 60_000_000
            let (days, hours) = (minutes / 1_440, minutes / 60 % 24)
            return days > 0 ? "\(days) d \(hours) h" : "\(hours) h \(minutes % 60) min"
        }
    }
}

/// `value` with exactly `places` digits behind the point.
public func decimal(_ value: Double, places: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    var scale: Int64 = 1
    for _ in 0..<places { scale *= 10 }
    guard abs(value) * Double(scale) < 9e18 else { return "\(value)" }
    let scaled = Int64((value * Double(scale)).rounded())
    let digits = String(abs(scaled % scale))
    let sign = scaled < 0 && scaled / scale == 0 ? "-" : ""
    guard places > 0 else { return "\(scaled)" }
    let zeros = String(repeating: "0", count: places - digits.utf8.count)
    return "\(sign)\(scaled / scale).\(zeros)\(digits)"
}
