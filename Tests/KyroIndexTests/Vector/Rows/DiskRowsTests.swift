// Rows that are read from a snapshot: the same answers, less memory, and never a damaged one.
import KyroIndex
import KyroModel
import Testing

@Suite struct DiskRowsTests {
    private static let queries = RowStoreTests.queries

    private static func filled(
        _ metric: Metric, _ rerank: VectorRerank, _ storage: VectorStorage, count: Int = 2_000
    ) -> VectorFixture {
        RowStoreTests.filled(metric, .keeping(rerank, storage), count: count)
    }

    private static func expectSame(
        _ a: VectorFixture, _ b: VectorFixture, _ what: Comment
    ) throws {
        var scratch = VectorScratch()
        var counters = [SearchCounters(), SearchCounters()]
        var mask = SlotMask(slotCount: a.slotCount)
        for slot in stride(from: 0, to: a.slotCount, by: 5) { mask.insert(slot) }
        for query in queries {
            for (exact, filter) in [(false, nil), (true, nil), (false, mask), (true, mask)] {
                let (expected, _) = try a.search(
                    query, k: 10, exact: exact, mask: filter, scratch: &scratch,
                    counters: &counters[0])
                let (hits, _) = try b.search(
                    query, k: 10, exact: exact, mask: filter, scratch: &scratch,
                    counters: &counters[1])
                #expect(hits == expected, what)
            }
        }
        #expect(counters[0] == counters[1], what)
        for slot in stride(from: 0, to: a.slotCount, by: 7) {
            let expected = try a.index.vector(of: Slot(index: slot))
            #expect(try b.index.vector(of: Slot(index: slot)) == expected, what)
        }
    }

    @Test(arguments: VectorIndexTests.metrics, [VectorRerank.f32, .bf16])
    func answersAreThoseOfRowsInMemory(metric: Metric, rerank: VectorRerank) throws {
        var inMemory = Self.filled(metric, rerank, .memory)
        var onDisk = Self.filled(metric, rerank, .disk)
        try Self.expectSame(inMemory, onDisk, "before a snapshot")
        let bytes = try onDisk.snapshot()
        #expect(try inMemory.snapshot() == bytes)
        let before = onDisk.index.rowBytes
        let first = SnapshotFile(bytes.rows)
        try onDisk.index.adoptRows(in: first)
        try Self.expectSame(inMemory, onDisk, "from the file")
        // A tail in memory, then a snapshot of both.
        for vector in clusteredVectors(count: 800, dimension: 24, centres: 20, seed: 43) {
            inMemory.insert(vector)
            onDisk.insert(vector)
        }
        try Self.expectSame(inMemory, onDisk, "from both")
        inMemory.fold()
        onDisk.fold()
        let next = try onDisk.snapshot()
        #expect(try inMemory.snapshot() == next)
        try onDisk.index.adoptRows(in: SnapshotFile(next.rows))
        first.forgetReads()
        try Self.expectSame(inMemory, onDisk, "from the next file")
        #expect(first.reads.isEmpty)
        // A restart.
        let file = SnapshotFile(next.rows)
        let restored = try onDisk.restored(next, file)
        #expect(restored.index.rowBytes < before / 4)
        try Self.expectSame(inMemory, restored, "after a restart")
        #expect(!file.reads.isEmpty && file.findings.isEmpty)
    }

    @Test func aSearchReadsWhatItReranksAndNoMore() throws {
        let fixture = Self.filled(.cosine, .f32, .disk)
        let bytes = try fixture.snapshot()
        let file = SnapshotFile(bytes.rows)
        let restored = try fixture.restored(bytes, file)
        var scratch = VectorScratch()
        for query in Self.queries {
            file.forgetReads()
            var counters = SearchCounters()
            _ = try restored.search(query, k: 10, scratch: &scratch, counters: &counters)
            let reads = file.reads
            #expect(reads.count >= 30 && reads.count < 200, "\(reads.count)")
            let isOfRows = reads.allSatisfy { $0.upperBound - $0.lowerBound == 96 }
            #expect(isOfRows)
            #expect(
                reads.prefix(30).map(\.lowerBound) == reads.prefix(30).map(\.lowerBound).sorted())
        }
        // An exact search reads rows in their order, many at once.
        file.forgetReads()
        var counters = SearchCounters()
        _ = try restored.search(
            Self.queries[0], k: 10, exact: true, scratch: &scratch, counters: &counters)
        #expect(file.reads.count <= 2_000 / 64 + 2)
    }

    @Test func damageIsAnErrorAndNeverAnAnswer() throws {
        let original = Self.filled(.l2, .f32, .memory)
        let bytes = try original.snapshot()
        var scratch = VectorScratch()
        var numbers = SeededNumbers(seed: 44)
        var errors = 0
        for round in 0..<60 {
            let file = SnapshotFile(bytes.rows)
            let restored = try original.restored(bytes, file, indexing: .keeping(.f32, .disk))
            let row = numbers.below(2_000)
            let position = bytes.rows.count - (2_000 - row) * 96 + numbers.below(96)
            switch round % 3 {
            case 0: file.flip(position)
            case 1: file.refuse(UInt64(position)..<UInt64(position + 1))
            default: file.cut(to: position)
            }
            #expect(throws: KyroError.self) { try restored.index.vector(of: Slot(index: row)) }
            #expect(!file.findings.isEmpty)
            for query in Self.queries.prefix(10) + [original.vectors[row] ?? []] {
                var counters = [SearchCounters(), SearchCounters()]
                let (expected, _) = try original.search(
                    query, k: 10, scratch: &scratch, counters: &counters[0])
                do {
                    let (hits, _) = try restored.search(
                        query, k: 10, scratch: &scratch, counters: &counters[1])
                    #expect(hits == expected, "round \(round)")
                } catch {
                    #expect((error as? KyroError)?.code == .dataLoss)
                    errors += 1
                }
            }
            // Nor does it get into the next snapshot.
            #expect(throws: KyroError.self) { try restored.snapshot() }
        }
        #expect(errors >= 60)
    }

    @Test func whatTheSnapshotBeforeHasIsReadThere() throws {
        var fixture = Self.filled(.cosine, .f32, .disk)
        var inMemory = Self.filled(.cosine, .f32, .memory)
        let older = SnapshotFile(try fixture.snapshot().rows)
        try fixture.index.adoptRows(in: older)
        for vector in clusteredVectors(count: 300, dimension: 24, centres: 20, seed: 45) {
            fixture.insert(vector)
            inMemory.insert(vector)
        }
        let bytes = try fixture.snapshot()
        let file = SnapshotFile(bytes.rows)
        try fixture.index.adoptRows(in: file)
        for row in 0..<2_000 { file.flip(bytes.rows.count - (2_300 - row) * 96) }
        try Self.expectSame(inMemory, fixture, "every row is damaged in one of two")
        #expect(!file.findings.isEmpty)
        #expect(try fixture.snapshot() == bytes, "it heals")
        file.flip(bytes.rows.count - 1)
        #expect(throws: KyroError.self) { try fixture.index.vector(of: Slot(index: 2_299)) }
    }

    @Test func aRebuildLeavesRowsInTheFile() throws {
        var old = Self.filled(.cosine, .f32, .disk)
        let file = SnapshotFile(try old.snapshot().rows)
        try old.index.adoptRows(in: file)
        for vector in clusteredVectors(count: 300, dimension: 24, centres: 20, seed: 46) {
            old.insert(vector)
        }
        var map = SlotMap()
        for slot in 0..<2_300 { map.append(slot % 4 == 1 ? nil : slot - (slot + 2) / 4) }
        let new = VectorIndex(like: old.index)
        file.forgetReads()
        for begin in stride(from: 0, to: 2_300, by: 256) {
            // The next snapshot may come on the way.
            if begin == 1_024 {
                try old.index.adoptRows(in: SnapshotFile(try old.snapshot().rows))
                file.forgetReads()
            }
            try new.takeRows(
                from: old.index, begin..<min(2_300, begin + 256), below: 2_300, map: map)
        }
        #expect(file.reads.isEmpty, "codes are copied, and rows stay where they are")
        #expect(new.rowCount == 1_725)
        func check() throws {
            for slot in 0..<2_300 where slot % 4 != 1 {
                let row = Slot(index: slot - (slot + 2) / 4)
                #expect(try new.vector(of: row) == old.vectors[slot])
            }
        }
        try check()
        new.append(old.vectors[5] ?? [], slot: Slot(index: 1_725))
        let sink = MemorySnapshot()
        try new.writeRows(to: sink, slotCount: 1_726)
        try new.adoptRows(in: SnapshotFile(sink.bytes))
        try check()
        #expect(try new.vector(of: Slot(index: 1_725)) == old.vectors[5])
        // Once more, of rows that lie under other numbers in their file.
        let again = VectorIndex(like: new)
        var same = SlotMap()
        for slot in 0..<1_726 { same.append(slot == 3 ? nil : slot - (slot > 3 ? 1 : 0)) }
        try again.takeRows(from: new, 0..<1_726, below: 1_726, map: same)
        let third = VectorIndex(like: new)
        var shifted = SlotMap()
        for slot in 0..<1_725 { shifted.append(slot) }
        try third.takeRows(from: again, 0..<1_725, below: 1_725, map: shifted)
        for slot in 0..<1_725 {
            let expected = try new.vector(of: Slot(index: slot < 3 ? slot : slot + 1))
            #expect(try third.vector(of: Slot(index: slot)) == expected)
        }
    }

    @Test func memoryOfAFieldOf768DimensionsIsAThirdOfItsRows() throws {
        let vectors = clusteredVectors(count: 4_096, dimension: 768, centres: 30, seed: 47)
        var field = VectorField(
            dimension: 768, metric: .cosine, indexing: .keeping(.f32, .disk))
        field.indexing.codes = .sq8
        var fixture = VectorFixture(field: field)
        for vector in vectors { fixture.insert(vector) }
        try fixture.index.adoptRows(in: SnapshotFile(try fixture.snapshot().rows))
        fixture.fold()
        let share = Double(fixture.index.residentBytes) / Double(4_096 * 768 * 4)
        print("RESULT rows on disk: \(share) of the rows in memory")
        #expect(share <= 0.35)
        #expect(fixture.index.rowBytes <= 4_096 * 8)
        let rebuilt = VectorIndex(like: fixture.index)
        var map = SlotMap()
        for slot in 0..<4_096 { map.append(slot) }
        try rebuilt.takeRows(from: fixture.index, 0..<4_096, below: 4_096, map: map)
        #expect(rebuilt.rowBytes <= 4_096 * 16)
    }
}
