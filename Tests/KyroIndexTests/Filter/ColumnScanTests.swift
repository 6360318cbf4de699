// Ranges of times and numbers over more rows than a zone has, and what a read may see of them, against
// one comparison a row.
import KyroIndex
import KyroModel
import Testing

@Suite struct ColumnScanTests {
    /// Times mostly ascend, as documents come; numbers are there once each for long, then now and then,
    /// then several of them.
    private struct Documents {
        let index = MetadataIndex()
        let rows = Rows()
        var numbers: [[Int64]] = []
        var times: [Int64?] = []

        mutating func append(_ generator: inout SeededGenerator) {
            let number = numbers.count
            let isLate = number > 2_500
            let time =
                Int.random(in: 0..<200, using: &generator) == 0
                ? nil : Int64(number) * 10 + Int64.random(in: -300...300, using: &generator)
            let values = (0..<(isLate ? Int.random(in: 0...3, using: &generator) : 1)).map { _ in
                Int64.random(in: -100...100, using: &generator)
            }
            let expires = Int.random(in: 0..<50, using: &generator) == 0
            let slot = rows.append(expiresAt: expires ? 100 : .max)
            var metadata: FieldMap<MetadataValue> = [:]
            if !values.isEmpty { metadata["n"] = isLate ? .int64s(values) : .int64(values[0]) }
            index.append(metadata: metadata, eventTimeMillis: time, slot: slot)
            numbers.append(values)
            times.append(time)
        }

        func expected(_ numbers: ClosedRange<Int64>, _ range: TimeRange, _ visibility: Visibility)
            -> [Int]
        {
            (0..<visibility.slotCount).filter { slot in
                guard let time = times[slot], let from = range.fromMillis, let to = range.toMillis
                else { return false }
                return time >= from && time < to
                    && self.numbers[slot].contains(where: numbers.contains)
                    && visibility.isVisible(slot)
            }
        }
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func rangesEqualOneComparisonARow(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        var documents = Documents()
        var matched = 0
        for _ in 0..<60 {
            for _ in 0..<Int.random(in: 1...150, using: &generator) { documents.append(&generator) }
            for _ in 0..<3 {
                let victim = Int.random(in: 0..<documents.times.count, using: &generator)
                if documents.rows.died.load(victim) == 0 { documents.rows.kill(victim) }
            }
            documents.rows.publish()
            let end = Int64(documents.times.count) * 10
            for _ in 0..<10 {
                let low = Int64.random(in: -110...110, using: &generator)
                let numbers = low...Int64.random(in: low...(low + 150), using: &generator)
                let from = Int64.random(in: -500...end, using: &generator)
                let range = TimeRange(
                    fromMillis: from,
                    toMillis: Int64.random(in: from...(end + 500), using: &generator))
                let now = documents.rows.seq.load(ordering: .relaxed)
                let visibility = documents.rows.visibility(
                    seq: UInt64.random(in: 0...now, using: &generator),
                    nowMillis: Int64.random(in: 0...200, using: &generator))
                let mask = try documents.index.evaluate(
                    filter: .range(
                        field: "n", lower: .init(.int64(numbers.lowerBound), isInclusive: true),
                        upper: .init(.int64(numbers.upperBound), isInclusive: true)),
                    timeRange: range, visibility: visibility, cancellation: Cancellation())
                var slots: [Int] = []
                mask?.forEach {
                    slots.append($0); return true
                }
                let expected = documents.expected(numbers, range, visibility)
                #expect(slots == expected, "seed \(seed), \(numbers), \(range), \(visibility.seq)")
                matched += slots.count
            }
        }
        #expect(matched > 10_000)
    }
}
