// A vector index with the engine-owned columns around it, and brute force over the same rows.
import KyroBytes
import KyroIndex
import KyroModel

/// Smaller slots first, as if ids were given out in order.
final class BySlot: SlotOrder {
    func precedes(_ a: Int, _ b: Int) -> Bool { a < b }
}

final class MemorySnapshot: SnapshotSink, SnapshotSource {
    var bytes: [UInt8] = []
    private var position = 0

    func write(_ block: [UInt8]) throws(KyroError) { bytes += block }

    func read(count: Int) throws(KyroError) -> [UInt8] {
        guard count <= bytes.count - position else { throw KyroError(.internal, "truncated") }
        defer { position += count }
        return Array(bytes[position..<(position + count)])
    }
}

/// What the engine keeps beside an index: who is alive.
struct VectorFixture {
    var index: VectorIndex
    let born = Column<UInt64>()
    let died = AtomicColumn64()
    let expiresAt = Column<Int64>()
    var slotCount = 0
    var seq: UInt64 = 0
    /// By slot; nil where the document lacks the field.
    var vectors: [[Float]?] = []
    var alive: Set<Int> = []

    init(field: VectorField, parameters: GraphParameters? = nil) {
        index = VectorIndex(field: field, parameters: parameters)
    }

    var visibility: Visibility {
        Visibility(
            born: born, died: died, expiresAt: expiresAt, seq: seq, slotCount: slotCount,
            nowMillis: 0)
    }

    mutating func insert(_ vector: [Float]?) {
        if let vector { index.append(vector, slot: Slot(index: slotCount)) }
        admit(vector)
    }

    /// A document whose row, if it has one, is in the index already.
    mutating func admit(_ vector: [Float]?) {
        seq += 1
        born.append(seq, at: slotCount)
        died.reserve(row: slotCount)
        expiresAt.append(.max, at: slotCount)
        vectors.append(vector)
        alive.insert(slotCount)
        slotCount += 1
    }

    mutating func remove(_ slot: Int) {
        seq += 1
        died.store(seq, slot)
        alive.remove(slot)
    }

    func fold() {
        while index.foldStep(rowsMax: 1_000, visibility: visibility, cancellation: Cancellation())
            > 0 || index.isTraining
        {}
    }

    var deadCount: Int { slotCount - alive.count }

    /// Up to so much of what takes the dead out of the graph; zero when nothing is left.
    func repairStep(rowsMax: Int) -> Int {
        index.repairStep(
            rowsMax: rowsMax, deadUpTo: seq, deadCount: deadCount, visibility: visibility,
            cancellation: Cancellation())
    }

    func repair() { while repairStep(rowsMax: 1_000) > 0 {} }

    func score(_ query: [Float], _ slot: Int) -> Double? {
        vectors[slot].map { exactScore(index.field.metric, query, $0) }
    }

    func bruteForce(_ query: [Float], k: Int, mask: SlotMask? = nil) -> [ScoredSlot] {
        var all: [ScoredSlot] = []
        for slot in alive where mask?.contains(slot) ?? true {
            if let score = score(query, slot) {
                all.append(ScoredSlot(slot: slot, score: Float(score)))
            }
        }
        all.sort { $0.score != $1.score ? $0.score > $1.score : $0.slot < $1.slot }
        return Array(all.prefix(k))
    }

    func search(
        _ query: [Float], k: Int, efSearch: Int = 0, probes: Int = 0, exact: Bool = false,
        mask: SlotMask? = nil, scratch: inout VectorScratch, counters: inout SearchCounters
    ) throws -> (hits: [ScoredSlot], plan: VectorPlan) {
        let request = VectorIndex.Request(
            vector: query, k: k, efSearch: efSearch, probes: probes, exact: exact)
        let plan = index.plan(
            request, visibility: visibility, mask: mask, maskCount: mask?.count() ?? 0)
        let hits = try index.search(
            request, plan: plan, visibility: visibility, mask: mask, order: BySlot(),
            scratch: &scratch, counters: &counters, cancellation: Cancellation())
        return (hits, plan)
    }
}

/// In double precision, larger for what is nearer.
func exactScore(_ metric: Metric, _ query: [Float], _ vector: [Float]) -> Double {
    var dot = 0.0
    var square = 0.0
    var queryNorm = 0.0
    var norm = 0.0
    for (q, v) in zip(query, vector) {
        dot += Double(q) * Double(v)
        square += (Double(q) - Double(v)) * (Double(q) - Double(v))
        queryNorm += Double(q) * Double(q)
        norm += Double(v) * Double(v)
    }
    switch metric {
    case .cosine: return dot / (queryNorm.squareRoot() * norm.squareRoot())
    case .innerProduct: return dot
    case .l2: return -square
    }
}

/// Points around `centres` centres, with a spread that makes clusters overlap.
func clusteredVectors(
    count: Int, dimension: Int, centres: Int, seed: UInt64
) -> [[Float]] {
    var numbers = SeededNumbers(seed: seed)
    let middle = (0..<centres).map { _ in (0..<dimension).map { _ in numbers.normal() } }
    return (0..<count).map { _ in
        let centre = middle[numbers.below(centres)]
        return centre.map { $0 + numbers.normal() * 0.7 }
    }
}
