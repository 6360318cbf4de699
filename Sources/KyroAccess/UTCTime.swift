// Unix milliseconds as people and log readers write them.

package enum UTCTime {
    /// RFC 3339 in UTC, such as `2026-03-01T12:00:00.000Z`.
    package static func text(millis: Int64) -> String {
        let days = floorDivision(millis, 86_400_000)
        let ofDay = millis - days * 86_400_000
        let (year, month, day) = date(daysSince1970: days)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T"
            + "\(padded(ofDay / 3_600_000, 2)):\(padded(ofDay / 60_000 % 60, 2)):"
            + "\(padded(ofDay / 1_000 % 60, 2)).\(padded(ofDay % 1_000, 3))Z"
    }

    private static func floorDivision(_ a: Int64, _ b: Int64) -> Int64 {
        a >= 0 ? a / b : -((b - 1 - a) / b)
    }

    /// Of the proleptic Gregorian calendar, counted in eras of 400 years from 1 March of year 0
    /// (Hinnant 2013, `civil_from_days`).
    private static func date(daysSince1970 days: Int64) -> (Int64, Int64, Int64) {
        let shifted = days + 719_468
        let era = floorDivision(shifted, 146_097)
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * ofYear + 2) / 153
        let day = ofYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
