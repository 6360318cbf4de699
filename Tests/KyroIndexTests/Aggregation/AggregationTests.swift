// What aggregations stand on: exact sums, order statistics, buckets of time, the first of many.
import KyroBytes
import KyroModel
import TestSupport
import Testing

import KyroIndex

@Suite struct AggregationTests {
    private struct Dice: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 1
            return mix64(state)
        }
    }

    private func sum(_ values: [Double]) -> Double {
        var sum = ExactSum()
        for value in values { sum.add(value) }
        return sum.value
    }

    @Test func sumsAreExactAndRoundedOnce() {
        #expect(sum([]) == 0)
        #expect(sum([1e308, 1, -1e308]) == 1)
        #expect(sum([1e16, 1, 1, -1e16]) == 2)
        #expect(sum([0.1, 0.2, 0.3, -0.6]) == 2.7755575615628914e-17)
        #expect(sum([.leastNonzeroMagnitude, .leastNonzeroMagnitude]) == 2 * .leastNonzeroMagnitude)
        #expect(sum([-.leastNonzeroMagnitude, .leastNormalMagnitude]) > 0)
        #expect(sum([.greatestFiniteMagnitude, .greatestFiniteMagnitude]) == .infinity)
        #expect(sum([-.greatestFiniteMagnitude, -.greatestFiniteMagnitude]) == -.infinity)
        // Half a unit in the last place: to even, unless anything lies behind it.
        let unit = 0x1p-52
        #expect(sum([1, unit / 2]) == 1)
        #expect(sum([1, unit / 2, 0x1p-1000]) == 1 + unit)
        #expect(sum([1 + unit, unit / 2]) == 1 + 2 * unit)
        #expect(sum([-1 - unit, -unit / 2, 0x1p-1000]) == -1 - unit)
    }

    /// Sums of 53-bit numbers with few exponents are whole numbers of 128 bits.
    @Test(arguments: [1 as UInt64])
    func sumsDoNotDependOnTheOrder(seed: UInt64) {
        var dice = Dice(state: seed)
        for round in 0..<scaled(2_000) {
            var exact = Int128(0)
            let values = (0..<Int.random(in: 1...40, using: &dice)).map { _ in
                let mantissa = Int64.random(in: -(1 << 53)...(1 << 53), using: &dice)
                let shift = Int.random(in: 0...60, using: &dice)
                exact += Int128(mantissa) << Int128(shift)
                return Double(mantissa) * Double(sign: .plus, exponent: shift, significand: 1)
            }
            #expect(sum(values) == Double(exact), "seed \(seed), round \(round): \(values)")
            #expect(sum(values.shuffled(using: &dice)) == sum(values))
        }
    }

    @Test(arguments: [2 as UInt64])
    func orderStatisticsAreThoseOfASort(seed: UInt64) throws {
        var dice = Dice(state: seed)
        for round in 0..<scaled(400) {
            let span = Int64.max >> Int64.random(in: 0...62, using: &dice)
            let parts = (0..<3).map { _ in MetadataIndex() }
            var keys: [Int64] = []
            for (number, part) in parts.enumerated() {
                let count = Int.random(in: number == 0 ? 1...200 : 0...200, using: &dice)
                for slot in 0..<count {
                    let key = Int64.random(in: -span...span, using: &dice)
                    keys.append(key)
                    part.append(
                        metadata: ["k": .int64(key)], eventTimeMillis: nil, slot: Slot(index: slot))
                }
            }
            keys.sort()
            let walk = KeyWalk(
                field: "k",
                parts: parts.map {
                    AggregationRows(
                        metadata: $0, mask: SlotMask(slotCount: 300, filledWith: true))
                }, cancellation: Cancellation())
            let ranks = Set(
                (0..<6).map { _ in Int.random(in: 0..<keys.count, using: &dice) }
            ).sorted()
            let found = try OrderStatistics.keys(
                at: ranks, of: walk, in: keys[0]...keys[keys.count - 1])
            for rank in ranks {
                #expect(found[rank] == keys[rank], "seed \(seed), round \(round), rank \(rank)")
            }
        }
    }

    /// Day by day from 1600 to 2400, by the rule of leap years alone.
    @Test func monthsAndYearsBeginWhereTheCalendarSays() {
        var day = TimeBuckets.day(year: 1600, month: 1)
        for year in 1600..<Int64(2400) {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let yearStart = day * TimeBuckets.dayMillis
            for (month, length) in [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                .enumerated()
            {
                let start = day * TimeBuckets.dayMillis
                let end = start + Int64(length) * TimeBuckets.dayMillis
                #expect(TimeBuckets.day(year: year, month: Int64(month + 1)) == day)
                for time in [start, start + 1, start + 12 * TimeBuckets.dayMillis, end - 1] {
                    #expect(TimeBuckets.monthStart(time) == start)
                    #expect(TimeBuckets.yearStart(time) == yearStart)
                }
                #expect(TimeBuckets.monthEnd(start) == end)
                day += Int64(length)
            }
            #expect(TimeBuckets.yearEnd(yearStart) == day * TimeBuckets.dayMillis)
        }
        #expect(TimeBuckets.day(year: 1970, month: 1) == 0)
    }

    @Test func bucketsAtTheEndsOfTimeAreCutAndHoldTheirMoments() {
        for interval in [1, 2, 7, 1_000, Int64.max] {
            for offset in [0, 1, -5, Int64.min, .max] {
                let buckets = TimeBuckets.Fixed(interval: interval, offset: offset)
                for time in [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max] {
                    let start = buckets.start(time)
                    let end = buckets.end(start)
                    #expect(start <= time && (time < end || end == .max))
                    #expect(buckets.start(start) == start)
                    if end != .max { #expect(buckets.start(end) == end) }
                }
            }
        }
        for time in [Int64.min, .max] {
            #expect(TimeBuckets.monthStart(time) <= time)
            #expect(TimeBuckets.yearStart(time) <= TimeBuckets.monthStart(time))
            #expect(TimeBuckets.yearEnd(TimeBuckets.yearStart(time)) >= time)
        }
    }

    @Test(arguments: [3 as UInt64])
    func theFirstOfManyAreThoseOfASort(seed: UInt64) {
        var dice = Dice(state: seed)
        for _ in 0..<scaled(500) {
            let count = Int.random(in: 0...120, using: &dice)
            let values = (0..<count).map { ($0, Int.random(in: 0...20, using: &dice)) }
                .shuffled(using: &dice)
            for kept in [0, 1, 3, count / 5, count, count + 3] {
                var first = values
                first.keepFirst(kept) { ($0.1, $0.0) < ($1.1, $1.0) }
                let sorted = values.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.prefix(kept)
                #expect(first.map(\.0) == sorted.map(\.0), "seed \(seed)")
            }
        }
    }
}
