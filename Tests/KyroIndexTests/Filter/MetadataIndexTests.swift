// Filters over an index that grows and loses documents, against a plain evaluation.
import KyroIndex
import KyroModel
import Testing

@Suite struct MetadataIndexTests {
    /// Documents beside the index that holds them.
    private struct Documents {
        let index = MetadataIndex()
        let rows = Rows()
        var metadata: [FieldMap<MetadataValue>] = []
        var times: [Int64?] = []

        mutating func append(_ source: inout FilterSource, types: ArraySlice<ValueType>) {
            let slot = rows.append(expiresAt: source.chance(5) ? 100 : .max)
            metadata.append(source.metadata(types))
            times.append(source.chance(80) ? source.number() : nil)
            index.append(
                metadata: metadata[slot.index], eventTimeMillis: times[slot.index], slot: slot)
        }

        func expected(_ filter: Filter?, _ range: TimeRange?, _ visibility: Visibility) -> [Int] {
            (0..<visibility.slotCount).filter { slot in
                guard visibility.isVisible(slot) else { return false }
                if let filter, !satisfies(metadata[slot], filter) { return false }
                guard let range else { return true }
                guard let time = times[slot].map({ max($0, .min + 1) }) else { return false }
                return time >= range.fromMillis ?? .min && range.toMillis.map { time < $0 } ?? true
            }
        }
    }

    private func members(_ mask: SlotMask) -> [Int] {
        var slots: [Int] = []
        mask.forEach {
            slots.append($0); return true
        }
        return slots
    }

    private func restored(_ index: MetadataIndex, slotCount: Int) throws -> MetadataIndex {
        let stream = MemoryStream()
        try index.write(to: stream, slotCount: slotCount)
        let restored = try MetadataIndex(from: stream, slotCount: slotCount)
        #expect(stream.isAtEnd)
        let again = MemoryStream()
        try restored.write(to: again, slotCount: slotCount)
        #expect(again.bytes == stream.bytes)
        return restored
    }

    @Test(arguments: [UInt64(41), 42, 43, 44, 45])
    func randomFiltersEqualAPlainEvaluation(seed: UInt64) throws {
        var source = FilterSource(seed: seed)
        var documents = Documents()
        var evaluated = 0
        var matched = 0
        for step in 0..<150 {
            for _ in 0..<Int.random(in: 1...4, using: &source.generator) {
                // Fields appear one by one while documents come.
                let known = min(ValueType.allCases.count, 1 + step / 8)
                documents.append(&source, types: ValueType.allCases[..<known])
                let victim = Int.random(in: 0..<documents.metadata.count, using: &source.generator)
                if victim % 4 == 0, documents.rows.died.load(victim) == 0 {
                    documents.rows.kill(victim)
                }
            }
            documents.rows.publish()
            let now = documents.rows.seq.load(ordering: .relaxed)
            let index =
                step % 10 == 9
                ? try restored(documents.index, slotCount: documents.metadata.count)
                : documents.index
            for round in 0..<30 {
                let seq = [now, now - now / 3, now / 2][round % 3]
                let visibility = documents.rows.visibility(
                    seq: seq, nowMillis: source.chance(50) ? 0 : 100)
                let filter = source.chance(95) ? source.filter(depth: 4) : nil
                var range: TimeRange?
                if source.chance(20) {
                    range = TimeRange(
                        fromMillis: source.chance(70) ? source.number() : nil,
                        toMillis: source.chance(70) ? source.number() : nil)
                }
                let mask = try index.evaluate(
                    filter: filter, timeRange: range, visibility: visibility,
                    cancellation: Cancellation())
                guard let mask else {
                    #expect(filter == nil && range == nil)
                    continue
                }
                let expected = documents.expected(filter, range, visibility)
                #expect(members(mask) == expected, "seed \(seed) step \(step): \(filter as Any)")
                #expect(mask.count() == expected.count)
                evaluated += 1
                matched += expected.count
            }
        }
        for slot in documents.times.indices {
            let time = documents.times[slot].map { max($0, .min + 1) }
            #expect(documents.index.eventTime(of: slot) == time)
        }
        print("filters: \(evaluated) evaluated, \(matched) matches, seed \(seed)")
    }

    /// Beyond 64 Ki slots small sets are CRoaring bitmaps.
    @Test(arguments: [UInt64(51), 52])
    func largeShardsGiveTheSameAnswers(seed: UInt64) throws {
        var source = FilterSource(seed: seed)
        let index = MetadataIndex()
        let rows = Rows()
        var documents: [FieldMap<MetadataValue>] = []
        for slot in 0..<80_000 {
            var metadata: FieldMap<MetadataValue> = [:]
            metadata["key"] = .string("k\(Int.random(in: 0..<5_000, using: &source.generator))")
            if slot % 3 == 0 { metadata["half"] = .string(slot % 2 == 0 ? "even" : "odd") }
            metadata["n"] = .int64(Int64.random(in: 0..<1_000, using: &source.generator))
            index.append(metadata: metadata, eventTimeMillis: nil, slot: rows.append())
            documents.append(metadata)
        }
        for slot in stride(from: 0, to: 80_000, by: 11) { rows.kill(slot) }
        rows.publish()
        let visibility = rows.visibility()
        func leaf(_ source: inout FilterSource) -> Filter {
            switch Int.random(in: 0..<5, using: &source.generator) {
            case 0: .prefix(field: "key", "k\(Int.random(in: 0..<500, using: &source.generator))")
            case 1:
                .isIn(
                    field: "key",
                    (0..<20).map { _ in
                        .string("k\(Int.random(in: 0..<5_000, using: &source.generator))")
                    })
            case 2: .equals(field: "half", .string(source.pick(["even", "odd", "none"])))
            case 3:
                .range(
                    field: "n", lower: Filter.Bound(.int64(source.number()), isInclusive: true),
                    upper: nil)
            default: .exists(field: "half")
            }
        }
        for _ in 0..<30 {
            let pair = [leaf(&source), leaf(&source), .not(leaf(&source))]
            let filter: Filter =
                source.chance(50) ? .all(pair) : .any([.all(Array(pair.prefix(2))), leaf(&source)])
            let mask = try index.evaluate(
                filter: filter, timeRange: nil, visibility: visibility,
                cancellation: Cancellation())
            let expected = documents.indices.filter {
                visibility.isVisible($0) && satisfies(documents[$0], filter)
            }
            #expect(members(try #require(mask)) == expected, "seed \(seed): \(filter)")
        }
    }

    @Test func damagedSnapshotsAreRefusedOrReadButNeverTrap() throws {
        var source = FilterSource(seed: 61)
        var documents = Documents()
        for _ in 0..<200 { documents.append(&source, types: ValueType.allCases[...]) }
        let stream = MemoryStream()
        try documents.index.write(to: stream, slotCount: 200)
        for _ in 0..<500 {
            var damaged = stream.bytes
            damaged[Int.random(in: 4..<damaged.count, using: &source.generator)] ^=
                UInt8.random(in: 1...255, using: &source.generator)
            _ = try? MetadataIndex(from: MemoryStream(damaged), slotCount: 200)
        }
        for cut in stride(from: 0, to: stream.bytes.count, by: 7) {
            #expect(throws: KyroError.self) {
                try MetadataIndex(from: MemoryStream(Array(stream.bytes[..<cut])), slotCount: 200)
            }
        }
    }

    @Test func aCancelledEvaluationThrows() {
        let cancelled = Cancellation()
        cancelled.cancel(.deadlineExceeded)
        #expect(throws: KyroError.self) {
            try MetadataIndex().evaluate(
                filter: .all([]), timeRange: nil, visibility: Rows().visibility(),
                cancellation: cancelled)
        }
    }
}
