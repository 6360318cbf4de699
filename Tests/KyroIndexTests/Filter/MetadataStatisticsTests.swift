// What columns know of themselves, and that estimates are not below what a filter lets through.
import KyroIndex
import KyroModel
import TestSupport
import Testing

@Suite struct MetadataStatisticsTests {
    @Test func statisticsAreOfAllRows() {
        let index = MetadataIndex()
        let rows = Rows()
        let documents: [FieldMap<MetadataValue>] = [
            ["s": .string("a"), "n": .int64(5), "d": .doubles([-0.5, 2])],
            ["s": .string("b"), "n": .int64(-3), "p": .geoPoint(GeoPoint())],
            ["s": .string("a"), "b": .bool(true), "d": .doubles([])],
        ]
        for metadata in documents {
            index.append(metadata: metadata, eventTimeMillis: nil, slot: rows.append())
        }
        let found = index.statistics(slotCount: 3).sorted { $0.field < $1.field }
        #expect(
            found == [
                MetadataStatistics(
                    field: "b", rows: 1, lowest: .bool(true), highest: .bool(true)),
                MetadataStatistics(
                    field: "d", rows: 2, lowest: .double(-0.5), highest: .double(2)),
                MetadataStatistics(
                    field: "n", rows: 2, lowest: .int64(-3), highest: .int64(5)),
                MetadataStatistics(field: "p", rows: 1),
                MetadataStatistics(field: "s", rows: 3, distinctStrings: 2),
            ])
    }

    /// But for ranges of numbers, which are taken as spread evenly.
    @Test(arguments: [UInt64(81), 82])
    func estimatesAreNotBelowWhatMatches(seed: UInt64) throws {
        var source = FilterSource(seed: seed)
        let index = MetadataIndex()
        let rows = Rows()
        for _ in 0..<300 {
            index.append(
                metadata: source.metadata(ValueType.allCases[...]), eventTimeMillis: nil,
                slot: rows.append())
        }
        rows.publish()
        var small = 0
        for _ in 0..<scaled(2_000) {
            let filter = source.filter(depth: 3)
            let estimate = index.estimatedMatches(filter, slotCount: 300)
            #expect((0...300).contains(estimate), "seed \(seed): \(filter)")
            if estimate < 150 { small += 1 }
            guard !filter.hasRange else { continue }
            let mask = try index.evaluate(
                filter: filter, timeRange: nil, visibility: rows.visibility(),
                cancellation: Cancellation())
            let count = try #require(mask).count()
            #expect(estimate >= count, "seed \(seed): \(filter)")
        }
        #expect(small > 0)
    }
}

extension Filter {
    fileprivate var hasRange: Bool {
        switch self {
        case .all(let filters), .any(let filters): filters.contains(where: \.hasRange)
        case .range: true
        default: false
        }
    }
}
