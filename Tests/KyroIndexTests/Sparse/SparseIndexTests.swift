// Sparse dot products against brute force.
import KyroIndex
import KyroModel
import Testing

@Suite struct SparseIndexTests {
    private static func vector(
        using generator: inout SeededGenerator, entries: ClosedRange<Int>, dimensions: UInt32
    ) -> SparseVector {
        let count = Int.random(in: entries, using: &generator)
        var indices: Set<UInt32> = []
        for _ in 0..<count {
            indices.insert(UInt32.random(in: 0..<dimensions, using: &generator) &* 40_503)
        }
        let sorted = indices.sorted()
        return SparseVector(
            indices: sorted,
            values: sorted.map { _ in
                // Small integers make exact ties and sums of zero.
                Bool.random(using: &generator)
                    ? Float(Int.random(in: -2...2, using: &generator))
                    : Float.random(in: -1...1, using: &generator)
            })
    }

    /// Slots that share an index with the query, with their dot products in ascending index order.
    private func bruteForce(
        _ vectors: [SparseVector?], _ query: SparseVector, _ visibility: Visibility,
        _ mask: SlotMask?, _ k: Int
    ) -> [ScoredSlot] {
        var all: [ScoredSlot] = []
        for (slot, vector) in vectors.enumerated() {
            guard let vector, visibility.isVisible(slot), mask?.contains(slot) ?? true else {
                continue
            }
            var sum = 0.0
            var isShared = false
            for (index, weight) in zip(query.indices, query.values) {
                guard let position = vector.indices.firstIndex(of: index) else { continue }
                sum += Double(weight) * Double(vector.values[position])
                isShared = true
            }
            if isShared { all.append(ScoredSlot(slot: slot, score: Float(sum))) }
        }
        all.sort { ($1.score, $0.slot) < ($0.score, $1.slot) }
        return Array(all.prefix(k))
    }

    @Test(arguments: [UInt64(31), 32, 33, 34])
    func equalsBruteForceUnderDeletesAndInTheRestoredSnapshot(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let index = SparseIndex()
        let rows = Rows()
        var vectors: [SparseVector?] = []
        var scratch = SparseScratch()
        var counters = SearchCounters()
        var compared = 0
        for step in 0..<150 {
            for _ in 0..<Int.random(in: 1...20, using: &generator) {
                let slot = rows.append()
                if Int.random(in: 0..<10, using: &generator) == 0 {
                    vectors.append(nil)
                } else {
                    let vector = Self.vector(
                        using: &generator, entries: 0...20, dimensions: 300)
                    index.append(vector, slot: slot)
                    vectors.append(vector)
                }
                let victim = Int.random(in: 0..<vectors.count, using: &generator)
                if victim % 3 == 0, rows.died.load(victim) == 0 { rows.kill(victim) }
            }
            rows.publish()
            let now = rows.seq.load(ordering: .relaxed)
            let reader =
                step % 10 == 9 ? try restored(index, slotCount: vectors.count) : index
            for seq in [now, now / 2, now / 4] {
                let visibility = rows.visibility(seq: seq)
                let query = Self.vector(using: &generator, entries: 1...10, dimensions: 320)
                var mask: SlotMask?
                if Bool.random(using: &generator) {
                    var chosen = SlotMask(slotCount: vectors.count)
                    for slot in vectors.indices where Bool.random(using: &generator) {
                        chosen.insert(slot)
                    }
                    mask = chosen
                }
                let k = Int.random(in: 1...30, using: &generator)
                let hits = try reader.search(
                    query: query, k: k, visibility: visibility, mask: mask, order: SlotsAreIDs(),
                    scratch: &scratch, counters: &counters, cancellation: Cancellation())
                let expected = bruteForce(vectors, query, visibility, mask, k)
                #expect(hits == expected, "seed \(seed) step \(step)")
                let pruned = try reader.search(
                    query: query, strategy: .pruned, k: k, visibility: visibility, mask: mask,
                    order: SlotsAreIDs(), scratch: &scratch, counters: &counters,
                    cancellation: Cancellation())
                #expect(pruned == expected, "pruned, seed \(seed) step \(step)")
                compared += hits.count
            }
        }
        print("sparse against brute force: \(compared) hits, seed \(seed)")
    }

    private func restored(_ index: SparseIndex, slotCount: Int) throws -> SparseIndex {
        let stream = MemoryStream()
        try index.write(to: stream, slotCount: slotCount)
        let restored = try SparseIndex(from: stream, slotCount: slotCount)
        #expect(stream.isAtEnd)
        let again = MemoryStream()
        try restored.write(to: again, slotCount: slotCount)
        #expect(again.bytes == stream.bytes)
        return restored
    }

    @Test func aSnapshotLeavesOutLaterSlotsAndRefusesDamage() throws {
        var generator = SeededGenerator(35)
        let index = SparseIndex()
        for slot in 0..<500 {
            index.append(
                Self.vector(using: &generator, entries: 0...9, dimensions: 100),
                slot: Slot(index: slot))
        }
        let before = MemoryStream()
        try index.write(to: before, slotCount: 500)
        index.append(SparseVector(indices: [7, 9], values: [1, 2]), slot: Slot(500))
        let after = MemoryStream()
        try index.write(to: after, slotCount: 500)
        #expect(before.bytes == after.bytes)
        #expect(throws: KyroError.self) { try SparseIndex(from: after, slotCount: 499) }
        for _ in 0..<300 {
            var damaged = before.bytes
            damaged[Int.random(in: 4..<damaged.count, using: &generator)] ^=
                UInt8.random(in: 1...255, using: &generator)
            _ = try? SparseIndex(from: MemoryStream(damaged), slotCount: 500)
        }
    }
}
