// Visiting documents in some order, as they were at one sequence.
import KyroIndex
import KyroModel

/// A scan in progress. It holds the slots that match, four bytes each and sixteen for each key to
/// sort by, and no lock: rows stay where they are however long the reader takes.
public final class ScanCursor {
    private let views: [CollectionView]
    private let projection: Projection
    private let order: ScanOrder
    private let lease: ScanLease
    /// By shard: matching slots in the order of the scan, and how many are done.
    private var rows: [OrderedRows]
    private var positions: [Int]
    private var remaining: UInt64

    init(
        views: [CollectionView], request: ScanRequest, order: ScanOrder, lease: ScanLease,
        after: DocumentID?, cancellation: Cancellation
    ) throws(KyroError) {
        self.views = views
        self.lease = lease
        self.order = order
        projection = request.projection ?? .everything
        remaining = request.limit == 0 ? .max : request.limit
        var slots: [[UInt32]] = []
        for view in views {
            try cancellation.check()
            slots.append(
                try Self.matching(view, request, order.isByID ? after : nil, cancellation))
        }
        let kept = Int(clamping: remaining)
        rows =
            order.isByID
            ? try OrderedRows.byID(slots, views, kept: kept, cancellation)
            : try order.rows(slots, views, after: after, kept: kept, cancellation)
        positions = Array(repeating: 0, count: slots.count)
    }

    private static func matching(
        _ view: CollectionView, _ request: ScanRequest, _ after: DocumentID?,
        _ cancellation: Cancellation
    ) throws(KyroError) -> [UInt32] {
        let mask = try view.shard.metadata.evaluate(
            filter: request.filter, timeRange: request.timeRange, visibility: view.visibility,
            cancellation: cancellation)
        let rows = view.shard.rows
        var slots: [UInt32] = []
        for slot in 0..<view.visibility.slotCount {
            if slot % 4_096 == 0 { try cancellation.check() }
            guard view.visibility.isVisible(slot) else { continue }
            if let mask, !mask.contains(slot) { continue }
            if let after, !(after < rows.ids[slot]) { continue }
            slots.append(UInt32(slot))
        }
        return slots
    }

    /// The next documents, about `bytesMax` bytes of them; nil at the end.
    public func next(bytesMax: Int) throws(KyroError) -> ScanResponse? {
        var documents: [Document] = []
        var byteCount = 0
        var last: DocumentID?
        while byteCount < bytesMax, remaining > 0, let shard = nextShard() {
            let view = views[shard]
            let slot = Int(rows[shard].slots[positions[shard]])
            positions[shard] += 1
            remaining -= 1
            let document = try view.shard.document(
                at: slot, root: view.root, projection: projection)
            byteCount += document.approximateByteCount
            last = document.id
            documents.append(document)
        }
        guard let last else {
            lease.isEnded = true
            return nil
        }
        let seq = lease.seq
        let token = ScanToken(seq: seq, after: last, orderHash: order.hash)
        var response = ScanResponse(
            documents: documents, resumeToken: token.encoded(), seq: seq)
        response.vectorEncoding = projection.vectorEncoding
        return response
    }

    /// The shard whose next document comes first.
    private func nextShard() -> Int? {
        var best: Int?
        for shard in rows.indices where positions[shard] < rows[shard].slots.count {
            guard let current = best else {
                best = shard
                continue
            }
            if precedes(shard, current) { best = shard }
        }
        return best
    }

    /// Whether the next document of one shard comes before that of another.
    private func precedes(_ a: Int, _ b: Int) -> Bool {
        for key in rows[a].ranks.indices {
            let (x, y) = (rows[a].ranks[key][positions[a]], rows[b].ranks[key][positions[b]])
            if x != y { return x < y }
        }
        return views[a].shard.rows.ids[Int(rows[a].slots[positions[a]])]
            < views[b].shard.rows.ids[Int(rows[b].slots[positions[b]])]
    }
}
