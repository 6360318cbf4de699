// A vector index in this process, with the columns that an engine keeps beside it.
import KyroBytes
import KyroIndex
import KyroModel

/// Smaller row numbers first.
private final class BySlot: SlotOrder {
    func precedes(_ a: Int, _ b: Int) -> Bool { a < b }
}

struct VectorCollection: Sendable {
    let index: VectorIndex
    let visibility: Visibility
    let order: any SlotOrder = BySlot()

    /// Takes all rows in, by several workers at once or in their order; none is in the graph yet.
    init(_ corpus: VectorFile, workers: (any BulkWorkers)? = nil) throws {
        index = VectorIndex(field: VectorField(dimension: corpus.dimension, metric: .cosine))
        let born = Column<UInt64>()
        let died = AtomicColumn64()
        let expiresAt = Column<Int64>()
        for row in 0..<corpus.rowCount {
            born.append(1, at: row)
            died.reserve(row: row)
            expiresAt.append(.max, at: row)
        }
        if let workers {
            let isStored = index.append(
                count: corpus.rowCount, from: Slot(index: 0), workers: workers
            ) { row, body in
                let floats = UnsafeBufferPointer(start: corpus.row(row), count: corpus.dimension)
                body(floats.span)
            }
            guard isStored else { throw BenchError("no memory for \(corpus.rowCount) rows") }
        } else {
            for row in 0..<corpus.rowCount {
                index.append(corpus.floats(row), slot: Slot(index: row))
            }
        }
        visibility = Visibility(
            born: born, died: died, expiresAt: expiresAt, seq: 1, slotCount: corpus.rowCount,
            nowMillis: 0)
    }

    /// Planned and carried out as the engine does.
    func search(
        _ query: [Float], efSearch: Int, scratch: inout VectorScratch,
        counters: inout SearchCounters
    ) throws(KyroError) -> [ScoredSlot] {
        let request = VectorIndex.Request(
            vector: query, k: ExactTruth.depth, efSearch: efSearch)
        let plan = index.plan(request, visibility: visibility, mask: nil, maskCount: 0)
        return try index.search(
            request, plan: plan, visibility: visibility, mask: nil, order: order,
            scratch: &scratch, counters: &counters, cancellation: Cancellation())
    }
}
