// Positions in snapshots and rebuilds, and snapshots from before there were positions.
import KyroIndex
import KyroModel
import Testing

@Suite struct PositionSnapshotTests {
    private func slots(_ phrase: String, _ index: TextIndex, _ rows: Rows) throws -> [Int] {
        var planner = TextPlanner(
            fields: [TextPlanner.Field(name: "t", model: index, shards: [index])],
            cancellation: Cancellation())
        var counters = SearchCounters()
        return try StructuredTextSearch.run(
            planner.plan(TextNode(.phrase(phrase, slop: 0))), indexes: [index], k: 100,
            visibility: rows.visibility(), mask: nil, order: SlotsAreIDs(), counters: &counters,
            cancellation: Cancellation()
        ).map(\.slot).sorted()
    }

    private static let texts = [
        "red green blue", "green red blue red green", "blue the green red", "red red red green",
    ]

    private func filled() -> (TextIndex, Rows) {
        let index = TextIndex(
            field: TextField(
                bm25: BM25Parameters(k1: 0.5, b: 0.25), foldsDiacritics: true,
                stopWords: .list(["the", "Œuf"]), stems: false))
        let rows = Rows()
        for text in Self.texts { index.append(text, slot: rows.append()) }
        rows.publish()
        return (index, rows)
    }

    @Test func aSnapshotKeepsPositionsAndTheAnalyser() throws {
        let (index, rows) = filled()
        let stream = MemoryStream()
        try index.write(to: stream, slotCount: 4)
        // The schema says something else by now.
        let restored = try TextIndex(
            from: stream, field: TextField(analyzer: .raw), visibility: rows.visibility())
        #expect(restored.field == index.field)
        for phrase in ["red green", "green red", "red red", "red red green", "blue green"] {
            #expect(
                try slots(phrase, restored, rows) == slots(phrase, index, rows), "\(phrase)")
        }
        #expect(try slots("red red", restored, rows) == [3])
        #expect(try slots("blue x green", restored, rows) == [])
        #expect(try slots("blue the green", restored, rows) == [1, 2])
    }

    @Test func aRebuildTakesPositionsOver() throws {
        let (old, rows) = filled()
        var map = SlotMap()
        for new in [nil, 0, 1, 2] { map.append(new) }
        let index = TextIndex(field: old.field)
        index.takeLengths(from: old, slots: 0..<4, map: map) { _ in true }
        for term in 0..<old.termCount {
            _ = index.takePostings(from: old, term: term, below: 4, map: map) { _ in true }
        }
        #expect(try slots("red green", index, rows) == [0, 2])
        #expect(try slots("red red green", index, rows) == [2])
    }

    /// "red green" at slot 0 and "green" at slot 2, as version 1 wrote them.
    @Test func snapshotsWithoutPositionsOpenAndHaveNoPhrases() throws {
        let content: [UInt8] =
            [1, 3, 2, 0, 2, 2, 1, 2] + [3] + Array("red".utf8) + [1, 0, 1]
            + [5] + Array("green".utf8) + [2, 0, 1, 2, 1]
        let bytes = [UInt8(content.count), 0, 0, 0] + content
        let rows = Rows()
        for _ in 0..<3 { _ = rows.append() }
        rows.publish()
        let index = try TextIndex(
            from: MemoryStream(bytes), field: TextField(stems: false),
            visibility: rows.visibility())
        #expect(!index.hasPositions)
        #expect(index.statistics(of: ["green", "red"]).documentFrequency == [2, 1])
        index.append("red red green", slot: rows.append())
        rows.publish()
        #expect(index.statistics(of: ["green", "red"]).documentFrequency == [3, 2])
        let error = #expect(throws: KyroError.self) { try slots("red green", index, rows) }
        #expect(error?.reason == "REBUILDING")
        let again = MemoryStream()
        try index.write(to: again, slotCount: 3)
        #expect(again.bytes == bytes)
    }
}
