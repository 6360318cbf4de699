// What typical searches cost: counts are checked, times are printed.
import KyroIndex
import KyroModel
import Testing

@Suite struct CostTests {
    private static let slotCount = 60_000

    private func median(_ body: () throws -> Void) rethrows -> Double {
        var micros: [Double] = []
        for _ in 0..<41 {
            let began = ContinuousClock.now
            try body()
            micros.append((ContinuousClock.now - began) / .microseconds(1))
        }
        return micros.sorted()[20]
    }

    @Test func textOverThirtyThousandPostings() throws {
        let index = TextIndex(field: TextField(analyzer: .standard))
        let rows = Rows()
        for slot in 0..<Self.slotCount {
            let words = (0..<6).map {
                "zq\(UInt32(truncatingIfNeeded: slot * 31 + $0 * 7_919) % 36)"
            }
            let padding = String(repeating: "pad ", count: slot * 7 % 101)
            index.append(padding + words.joined(separator: " "), slot: rows.append())
        }
        rows.publish()
        let terms = index.analyze("zq1 zq2 zq3")
        let statistics = index.statistics(of: terms)
        let estimate = index.estimatedPostings(terms: terms)
        var scratch = TextScratch()
        for strategy in [PostingStrategy.exhaustive, .pruned] {
            var counters = SearchCounters()
            let micros = try median {
                let hits = try index.search(
                    terms: terms, statistics: statistics, strategy: strategy, k: 100,
                    visibility: rows.visibility(), mask: nil, order: SlotsAreIDs(),
                    scratch: &scratch, counters: &counters, cancellation: Cancellation())
                #expect(hits.count == 100)
            }
            #expect(counters.postingsListed == 41 * estimate)
            #expect(
                strategy == .exhaustive
                    ? counters.postingsScored == 41 * estimate
                    : counters.postingsScored < 41 * estimate)
            print(
                "cost: text, \(counters.postingsScored / 41) of \(estimate) postings, 100 hits: "
                    + "\(micros) µs")
        }
    }

    @Test func filtersOverSixtyThousandSlots() throws {
        let index = MetadataIndex()
        let rows = Rows()
        for slot in 0..<Self.slotCount {
            index.append(
                metadata: [
                    "repo": .string("r\(slot % 20)/x"), "files": .int64(Int64(slot % 97)),
                    "score": .double(Double(slot % 1_000) / 7),
                    "author": .string("a\(slot % 9_000)"),
                ], eventTimeMillis: Int64(slot) * 1_000, slot: rows.append())
        }
        rows.publish()
        let visibility = rows.visibility()
        let upper = Filter.Bound(.int64(48), isInclusive: false)
        let filters: [(String, Filter?, TimeRange?, Int)] = [
            ("repo = r3/x", .equals(field: "repo", .string("r3/x")), nil, 3_000),
            ("files < 48", .range(field: "files", lower: nil, upper: upper), nil, 29_712),
            (
                "repo = r3/x and files < 48",
                .all([
                    .equals(field: "repo", .string("r3/x")),
                    .range(field: "files", lower: nil, upper: upper),
                ]), nil, 1_485
            ),
            ("author starts with a12", .prefix(field: "author", "a12"), nil, 777),
            ("not repo = r3/x", .not(.equals(field: "repo", .string("r3/x"))), nil, 57_000),
            ("time, half", nil, TimeRange(fromMillis: 30_000_000), 30_000),
        ]
        for (name, filter, range, expected) in filters {
            var matches = 0
            let micros = try median {
                matches =
                    try index.evaluate(
                        filter: filter, timeRange: range, visibility: visibility,
                        cancellation: Cancellation())?.count() ?? 0
            }
            print("cost: filter \(name): \(matches) of \(Self.slotCount) slots in \(micros) µs")
            #expect(matches == expected)
        }
    }
}
