// Rows taken in at once are those that come one by one, whoever copies and encodes them.
import KyroIndex
import KyroModel
import Testing

@Suite struct BulkAppendTests {
    @Test(arguments: VectorCodes.allCases, [VectorRerank.f32, .bf16, .none])
    func rowsTakenInAtOnceAreThoseThatComeOneByOne(
        codes: VectorCodes, rerank: VectorRerank
    ) throws {
        guard codes != .none || rerank == .f32 else { return }
        let indexing = VectorIndexing(codes: codes, rerank: rerank)
        for metric in [Metric.cosine, .innerProduct, .l2] {
            let vectors = clusteredVectors(count: 1_500, dimension: 33, centres: 9, seed: 51)
            let field = VectorField(dimension: 33, metric: metric, indexing: indexing)
            var one = VectorFixture(field: field)
            for vector in vectors { one.insert(vector) }
            // Some come one by one, the rest at once.
            var other = VectorFixture(field: field)
            for vector in vectors[0..<300] { other.insert(vector) }
            let isStored = other.index.append(
                count: 1_200, from: Slot(index: 300), workers: ThreadedWorkers(count: 3)
            ) { i, body in
                let vector = vectors[300 + i]
                body(vector.span)
            }
            #expect(isStored)
            #expect(other.index.rowCount == 1_500)
            other.slotCount = 1_500
            let label: Comment = "\(codes), \(rerank), \(metric), seed 51"
            let (expected, found) = (MemorySnapshot(), MemorySnapshot())
            try VectorSnapshotTests.write(one, to: expected, slotCount: 1_500)
            try VectorSnapshotTests.write(other, to: found, slotCount: 1_500)
            #expect(found.bytes == expected.bytes, label)
            for slot in [0, 299, 300, 555, 556, 1_499] {
                let slot = Slot(index: slot)
                #expect(try other.index.vector(of: slot) == one.index.vector(of: slot), label)
            }
        }
    }

    @Test func noneIsTakenInWhereNoneCome() {
        let fixture = VectorFixture(field: VectorField(dimension: 3))
        let isStored = fixture.index.append(
            count: 0, from: Slot(index: 0), workers: SingleWorker()
        ) { _, _ in }
        #expect(isStored && fixture.index.rowCount == 0)
    }
}
