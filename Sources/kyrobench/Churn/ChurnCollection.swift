// A vector index in this process whose rows come and go, with the columns that an engine keeps.
import KyroBytes
import KyroIndex
import KyroModel
import KyroPlatform

/// Smaller row numbers first.
private final class BySlot: SlotOrder {
    func precedes(_ a: Int, _ b: Int) -> Bool { a < b }
}

final class ChurnCollection {
    let corpus: VectorFile
    let index: VectorIndex
    private let born = Column<UInt64>()
    private let died = AtomicColumn64()
    private let expiresAt = Column<Int64>()
    private let order: any SlotOrder = BySlot()
    private var slotCount = 0
    private var seq: UInt64 = 0
    private var deadCount = 0
    /// By row of the corpus.
    private var slots: [Int: Int] = [:]
    /// By slot.
    private var rows: [Int] = []
    var foldSeconds = 0.0
    var repairSeconds = 0.0

    init(_ corpus: VectorFile) {
        self.corpus = corpus
        index = VectorIndex(field: VectorField(dimension: corpus.dimension, metric: .cosine))
    }

    /// Of these rows, linked row by row or at once.
    convenience init(_ corpus: VectorFile, rows: [Int], bulkThreads: Int? = nil) throws {
        self.init(corpus)
        for row in rows { insert(row) }
        guard let bulkThreads else {
            maintain(repairs: false)
            return
        }
        let graph = index.bulkGraph(
            visibility: visibility, workers: BenchWorkers(count: bulkThreads),
            cancellation: Cancellation())
        guard let graph, index.install(graph) else {
            throw BenchError("the bulk build gave no graph")
        }
    }

    var visibility: Visibility {
        Visibility(
            born: born, died: died, expiresAt: expiresAt, seq: seq, slotCount: slotCount,
            nowMillis: 0)
    }

    var livingCount: Int { slots.count }

    func insert(_ row: Int) {
        seq += 1
        appendColumns(row)
        index.append(corpus.floats(row), slot: Slot(index: slotCount - 1))
    }

    private func appendColumns(_ row: Int) {
        born.append(seq, at: slotCount)
        died.reserve(row: slotCount)
        expiresAt.append(.max, at: slotCount)
        slots[row] = slotCount
        rows.append(row)
        slotCount += 1
    }

    func remove(_ row: Int) {
        guard let slot = slots.removeValue(forKey: row) else { return }
        seq += 1
        died.store(seq, slot)
        deadCount += 1
    }

    /// What maintenance does until it has nothing left to do.
    func maintain(repairs: Bool) {
        let start = ThreadClock.nanos
        while index.foldStep(
            rowsMax: 256, visibility: visibility, deadUpTo: repairs ? seq : 0,
            cancellation: Cancellation()) > 0
        {}
        let folded = ThreadClock.nanos
        foldSeconds += Double(folded - start) / 1e9
        guard repairs else { return }
        while index.repairStep(
            rowsMax: 256, deadUpTo: seq, deadCount: deadCount, visibility: visibility,
            cancellation: Cancellation()) > 0
        {}
        repairSeconds += Double(ThreadClock.nanos - folded) / 1e9
    }

    /// Without the dead, its graph carried over as a rebuild does it.
    func rebuilt() throws -> ChurnCollection {
        let new = ChurnCollection(corpus)
        new.seq = seq
        var map = SlotMap()
        for (slot, row) in rows.enumerated() {
            if slots[row] == slot {
                map.append(new.slotCount)
                new.appendColumns(row)
            } else {
                map.append(nil)
            }
        }
        try new.index.takeRows(from: index, 0..<index.rowCount, below: slotCount, map: map)
        let start = ThreadClock.nanos
        guard let carry = GraphCarry(from: index, to: new.index, below: slotCount, map: map)
        else { throw BenchError("there is too little to carry over") }
        while !carry.step(rowsMax: 512) {}
        new.foldSeconds = Double(ThreadClock.nanos - start) / 1e9
        return new
    }

    func search(
        _ query: [Float], efSearch: Int, exact: Bool, scratch: inout VectorScratch,
        counters: inout SearchCounters
    ) throws(KyroError) -> [ScoredSlot] {
        let request = VectorIndex.Request(
            vector: query, k: ExactTruth.depth, efSearch: efSearch, exact: exact)
        let plan = index.plan(request, visibility: visibility, mask: nil, maskCount: 0)
        return try index.search(
            request, plan: plan, visibility: visibility, mask: nil, order: order,
            scratch: &scratch, counters: &counters, cancellation: Cancellation())
    }
}
