// An inverted index over one sparse vector field of a collection in one shard.
import KyroBytes
import KyroModel
import Synchronization

/// Postings (slot and value) by dimension. The shard's writer appends; any thread searches at the
/// same time. Versions that die stay: visibility leaves them out.
///
/// `@unchecked Sendable`: keys are written before the table publishes them.
public final class SparseIndex: @unchecked Sendable {
    private let table = ProbeTable()
    /// The vector index of each list, by list number.
    let keys = Column<UInt32>()
    /// Entries are slot | bits of the value << 32, slots ascending.
    let postings = PostingLists<UInt64>(baseShift: 10, isSummarised: true)
    /// Of this table alone, so that nobody can prepare indices that collide.
    private let seed = UInt64.random(in: .min ... .max)
    /// Lists with their keys.
    private let dimensionCount = Atomic<Int>(0)

    public init() {}

    /// Indexes the vector of a new slot. Shard writer only.
    /// - Precondition: slots ascend from call to call; no index occurs twice in a vector.
    public func append(_ vector: SparseVector, slot: Slot) {
        precondition(
            vector.indices.count == vector.values.count,
            "\(vector.indices.count) indices of \(vector.values.count) values")
        for (index, value) in zip(vector.indices, vector.values) {
            post(UInt64(value.bitPattern) << 32 | UInt64(slot.raw), to: list(makingFor: index))
        }
    }

    /// Makes room for so many more entries; false when there is no memory for them. Shard writer only.
    public func tryReserve(entries: Int) -> Bool {
        let known = dimensionCount.load(ordering: .relaxed)
        return keys.tryReserve(rows: known..<(known + entries))
            && table.tryReserve(idCount: known + entries)
            && postings.tryReserve(entries: entries, newLists: entries)
    }

    /// The best `k` visible documents by dot product among those that share an index with the
    /// query, whatever the sign, best first. Products add up in double in ascending order of the
    /// index and are rounded once; the result does not depend on the strategy.
    ///
    /// - Parameters:
    ///   - floor: documents that score less may be left out: what the best `k` of other shards have
    ///     at least.
    ///   - mask: the slots to consider; nil for all.
    public func search(
        query: SparseVector, strategy: PostingStrategy = .automatic, floor: Float = -.infinity,
        k: Int, visibility: Visibility, mask: SlotMask?, order: any SlotOrder,
        scratch: inout SparseScratch, counters: inout SearchCounters, cancellation: Cancellation
    ) throws(KyroError) -> [ScoredSlot] {
        guard k > 0, visibility.slotCount > 0 else { return [] }
        precondition(
            query.indices.count == query.values.count,
            "\(query.indices.count) indices of \(query.values.count) values")
        let ascending = query.indices.indices.sorted { query.indices[$0] < query.indices[$1] }
        var lists: [(list: Int, model: SparseModel)] = []
        var count = 0
        for position in ascending {
            guard let list = list(query.indices[position]) else { continue }
            lists.append((list, SparseModel(weight: Double(query.values[position]))))
            count += postings.count(list)
        }
        counters.postingsListed += count
        if strategy.prunes(lists: lists.count, postings: count, k: k) {
            var clauses = lists.compactMap { list, model in
                PostingCursor(postings, list: list, below: visibility.slotCount).map {
                    PostingClause(model: model, cursor: $0)
                }
            }
            return try scratch.searchBlocks(
                &clauses, k: k, floor: floor, positiveOnly: false, visibility: visibility,
                mask: mask, order: order, counters: &counters, cancellation: cancellation)
        }
        scratch.prepare(slotCount: visibility.slotCount)
        for (list, model) in lists {
            do throws(KyroError) {
                counters.postingsScored += try scratch.add(
                    list, of: postings, model, slotCount: visibility.slotCount, mask: mask,
                    cancellation: cancellation)
            } catch {
                scratch.clear()
                throw error
            }
        }
        return try scratch.drain(
            k: k, positiveOnly: false, visibility: visibility, order: order,
            cancellation: cancellation)
    }

    /// What a search will touch at most. Any thread.
    public func estimatedPostings(query: SparseVector) -> Int {
        query.indices.reduce(0) { sum, index in sum + (list(index).map(postings.count) ?? 0) }
    }

    /// Any thread.
    public var residentBytes: Int {
        table.residentBytes + 4 * listCount + postings.residentBytes
    }

    var listCount: Int { dimensionCount.load(ordering: .acquiring) }

    private func list(_ index: UInt32) -> Int? {
        table.find(hash: mix64(UInt64(index) ^ seed)) { keys[$0] == index }
    }

    /// Writer only.
    func list(makingFor index: UInt32) -> Int {
        if let list = list(index) { return list }
        let list = dimensionCount.load(ordering: .relaxed)
        keys.append(index, at: list)
        postings.reserve(list: list)
        table.insert(hash: mix64(UInt64(index) ^ seed), id: list) { mix64(UInt64(keys[$0]) ^ seed) }
        dimensionCount.store(list + 1, ordering: .releasing)
        return list
    }
}

// In a snapshot:
//
//   version        varint, 1
//   slot count     varint
//   dimensions     varint count of dimensions with postings, then per dimension:
//                    varint index, varint count of postings,
//                    per posting: varint slot − previous slot (0 at first), f32 value
extension SparseIndex {
    private static let version = 1

    /// Writes what concerns the slots below `slotCount`, while the writer goes on. Any thread that
    /// has learnt of them.
    public func write(to sink: any SnapshotSink, slotCount: Int) throws(KyroError) {
        var stream = IndexStreamWriter(sink)
        try stream.write(Self.version)
        try stream.write(slotCount)
        var lists: [(list: Int, count: Int)] = []
        for list in 0..<listCount {
            let count = try postings.count(list, below: slotCount)
            if count > 0 { lists.append((list, count)) }
        }
        try stream.write(lists.count)
        for (list, count) in lists {
            try stream.write(UInt64(keys[list]))
            try stream.write(count)
            var rest = count
            var previous: UInt64 = 0
            try postings.forEachEntry(list) { entry throws(KyroError) in
                guard rest > 0 else { return false }
                rest -= 1
                try stream.write((entry & 0xFFFF_FFFF) - previous)
                try stream.writeFixed32(UInt32(entry >> 32))
                previous = entry & 0xFFFF_FFFF
                return true
            }
        }
        try stream.flush()
    }

    /// Reads a snapshot back.
    /// - Parameter slotCount: rows of the shard's collection; no slot may lie above.
    public convenience init(
        from source: any SnapshotSource, slotCount rows: Int
    ) throws(KyroError) {
        self.init()
        var stream = IndexStreamReader(source, what: "sparse index")
        guard try stream.read() == UInt64(Self.version) else {
            throw stream.damaged("unknown version")
        }
        let slotCount = try stream.read(max: rows, "slot count")
        let dimensions = try stream.read(max: Int(UInt32.max), "dimensions")
        for _ in 0..<dimensions {
            let index = UInt32(try stream.read(max: Int(UInt32.max), "index"))
            guard list(index) == nil else { throw stream.damaged("a dimension twice") }
            let list = list(makingFor: index)
            let count = try stream.read(max: slotCount, "postings")
            var previous = -1
            for _ in 0..<count {
                let slot = try stream.readSlot(after: &previous, below: slotCount)
                let bits = try stream.readFixed32()
                post(UInt64(bits) << 32 | UInt64(slot), to: list)
            }
        }
        guard stream.isAtEndOfPiece else { throw stream.damaged("bytes behind the end") }
    }
}
