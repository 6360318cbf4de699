// Which bucket of time a moment falls into. Moments are Unix milliseconds.
import KyroModel

/// Buckets begin where the one before ends and cover all of time; a bound beyond Int64 is cut to it.
package enum TimeBuckets {
    package static let dayMillis: Int64 = 86_400_000
    /// 1970-01-05 was a Monday.
    static let mondayMillis = 4 * dayMillis

    /// Buckets of one length.
    package struct Fixed {
        let interval: Int64
        /// Where a bucket begins, in [0, interval).
        let phase: Int64

        /// - Precondition: `interval` is above zero.
        package init(interval: Int64, offset: Int64) {
            precondition(interval > 0, "an interval of \(interval) ms")
            self.interval = interval
            phase = floorModulo(offset, interval)
        }

        /// Of the bucket that holds `time`.
        @inline(__always)
        package func start(_ time: Int64) -> Int64 {
            let (start, isBelow) = time.subtractingReportingOverflow(rest(time))
            return isBelow ? .min : start
        }

        /// From a bucket's start, or `Int64.min` in a bucket that begins before it.
        package func end(_ start: Int64) -> Int64 {
            let (end, isAbove) = start.addingReportingOverflow(interval - rest(start))
            return isAbove ? .max : end
        }

        @inline(__always)
        private func rest(_ time: Int64) -> Int64 {
            let rest = floorModulo(time, interval) - phase
            return rest < 0 ? rest + interval : rest
        }
    }

    package static func monthStart(_ time: Int64) -> Int64 {
        let (year, month) = civil(day: floorDivide(time, dayMillis))
        return millis(day: day(year: year, month: month))
    }

    package static func monthEnd(_ start: Int64) -> Int64 {
        let (year, month) = civil(day: floorDivide(start, dayMillis))
        return millis(
            day: month == 12 ? day(year: year + 1, month: 1) : day(year: year, month: month + 1))
    }

    package static func yearStart(_ time: Int64) -> Int64 {
        millis(day: day(year: civil(day: floorDivide(time, dayMillis)).year, month: 1))
    }

    package static func yearEnd(_ start: Int64) -> Int64 {
        millis(day: day(year: civil(day: floorDivide(start, dayMillis)).year + 1, month: 1))
    }

    private static func millis(day: Int64) -> Int64 {
        let (millis, isOver) = day.multipliedReportingOverflow(by: dayMillis)
        return isOver ? (day < 0 ? .min : .max) : millis
    }

    /// Days from 1970-01-01 to the first of a month in the proleptic Gregorian calendar. Years begin
    /// in March here, so that the leap day is the last of its year.
    package static func day(year: Int64, month: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = floorDivide(shifted, 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// Year and month of a day.
    static func civil(day: Int64) -> (year: Int64, month: Int64) {
        let era = floorDivide(day + 719_468, 146_097)
        let dayOfEra = day + 719_468 - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month)
    }
}

@inline(__always)
func floorModulo(_ value: Int64, _ divisor: Int64) -> Int64 {
    let rest = value % divisor
    return rest < 0 ? rest + divisor : rest
}

@inline(__always)
func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
