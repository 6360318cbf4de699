// A vector index in this process whose rows come and go, with the columns that an engine keeps.
import KyroBytes
import KyroEngine
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
    private(set) var rebuildCount = 0

    /// As an engine has them that nobody has told anything.
    private static let defaults = EngineConfiguration(path: "")

    init(_ corpus: VectorFile) {
        self.corpus = corpus
        index = VectorIndex(field: VectorField(dimension: corpus.dimension, metric: .cosine))
    }

    /// Of these rows, linked row by row or at once.
    convenience init(_ corpus: VectorFile, rows: [Int], bulkThreads: Int? = nil) throws {
        self.init(corpus)
        for row in rows { insert(row) }
        if let bulkThreads {
            try build(threads: bulkThreads)
        } else {
            maintain(repairs: false)
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

    /// What a shard's maintenance does until it has nothing left to do, in its order.
    func maintain(repairs: Bool) {
        var done = 1
        while done > 0 {
            let start = ThreadClock.nanos
            done = index.foldStep(
                rowsMax: Engine.foldStepRows, visibility: visibility, deadUpTo: repairs ? seq : 0,
                cancellation: Cancellation())
            let folded = ThreadClock.nanos
            foldSeconds += Double(folded - start) / 1e9
            guard repairs else { continue }
            done += index.repairStep(
                rowsMax: Engine.repairStepRows, deadUpTo: seq, deadCount: deadCount,
                visibility: visibility, cancellation: Cancellation())
            repairSeconds += Double(ThreadClock.nanos - folded) / 1e9
        }
    }

    /// Whether an engine makes the part anew.
    var isWorthRebuilding: Bool {
        deadCount > Self.defaults.rebuildDeadRowsMin
            && deadCount > livingCount * Self.defaults.rebuildDeadPercent / 100
    }

    /// Without the dead, as a rebuild makes it: its graph built at once, or carried over where that
    /// is as good.
    func rebuilt(bulkThreads: Int) throws -> ChurnCollection {
        let new = ChurnCollection(corpus)
        new.seq = seq
        (new.foldSeconds, new.repairSeconds) = (foldSeconds, repairSeconds)
        new.rebuildCount = rebuildCount + 1
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
        if new.index.isBetterBuilt(thanCarriedFrom: index, below: slotCount, map: map) {
            try new.build(threads: bulkThreads)
        } else if let carry = GraphCarry(from: index, to: new.index, below: slotCount, map: map) {
            while !carry.step(rowsMax: 512) {}
        }
        return new
    }

    private func build(threads: Int) throws {
        let graph = index.bulkGraph(
            visibility: visibility, workers: BenchWorkers(count: threads),
            cancellation: Cancellation())
        guard let graph, index.install(graph) else {
            throw BenchError("the bulk build gave no graph")
        }
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
