// Documents sorted by fields.
import KyroBytes
import KyroIndex
import KyroModel

/// Rows of one shard in the order of a scan.
struct OrderedRows {
    var slots: [UInt32]
    /// By key and position; none where ids alone decide.
    var ranks: [[SortRank]] = []

    /// - Parameter kept: so many of each shard at most.
    static func byID(
        _ slots: [[UInt32]], _ views: [CollectionView], kept: Int, _ cancellation: Cancellation
    ) throws(KyroError) -> [OrderedRows] {
        var ordered: [OrderedRows] = []
        for (shard, var own) in slots.enumerated() {
            try cancellation.check()
            let rows = views[shard].shard.rows
            try own.keepFirst(kept, cancellation: cancellation) {
                rows.precedes(Int($0), Int($1))
            }
            ordered.append(OrderedRows(slots: own))
        }
        return ordered
    }
}

/// What a scan sorts by: keys, and ids among equals.
struct ScanOrder {
    private let keys: [SortKey]
    /// Of each key's field; nil where nobody has it, or it is the event time.
    private let types: [ValueType?]
    /// Zero for the order of ids.
    let hash: UInt64

    var isByID: Bool { keys.isEmpty }

    init(_ keys: [SortKey], schema: Schema) throws(KyroError) {
        guard keys.count <= Limits.sortKeysMax else {
            throw .overLimit(
                "order_by", "has \(keys.count) keys; the limit is \(Limits.sortKeysMax)")
        }
        for (index, key) in keys.enumerated() where key.field.utf8.count > Limits.nameBytesMax {
            throw .overLimit(
                "order_by[\(index)].field",
                "has \(key.field.utf8.count) bytes; the limit is \(Limits.nameBytesMax)")
        }
        for (index, key) in keys.enumerated() {
            guard let type = schema.metadata[key.field], type.element == .geoPoint else { continue }
            let path = "order_by[\(index)].field"
            throw KyroError(
                .typeMismatch,
                "\(path) needs values with an order; the field \"\(key.field)\" is a \(type.name)",
                field: path)
        }
        self.keys = keys
        types = keys.map { schema.metadata[$0.field] }
        var bytes: [UInt8] = []
        for key in keys {
            bytes += Array(key.field.utf8)
            bytes += [0, key.isDescending ? 1 : 0, key.isMissingFirst ? 1 : 0]
        }
        hash = keys.isEmpty ? 0 : max(1, xxh3(bytes))
    }

    /// Sorts the slots of each shard.
    /// - Parameters:
    ///   - slots: ascending.
    ///   - after: rows up to this document, which was visible at the scan's sequence, are left out.
    ///   - kept: so many of each shard at most.
    func rows(
        _ slots: [[UInt32]], _ views: [CollectionView], after: DocumentID?, kept: Int,
        _ cancellation: Cancellation
    ) throws(KyroError) -> [OrderedRows] {
        var slots = slots
        var passed: (shard: Int, slot: UInt32)?
        if let after {
            passed = try Self.find(after, views)
            // Its ranks are wanted, whether it still matches or not.
            if let passed { Self.insert(passed.slot, into: &slots[passed.shard]) }
        }
        let parts = zip(slots, views).map { slots, view in
            SortRows(
                metadata: view.shard.metadata, slots: slots, slotCount: view.visibility.slotCount)
        }
        // By key, shard and position.
        var ranks: [[[SortRank]]] = []
        for (key, type) in zip(keys, types) {
            ranks.append(try key.ranks(of: parts, type: type, cancellation: cancellation))
        }
        var limit: (ranks: [SortRank], id: DocumentID)?
        if let passed, let after, let at = slots[passed.shard].firstIndex(of: passed.slot) {
            limit = (ranks.map { $0[passed.shard][at] }, after)
        }
        var ordered: [OrderedRows] = []
        for (shard, view) in views.enumerated() {
            try cancellation.check()
            let own = ranks.map { $0[shard] }
            let ids = view.shard.rows
            let shardSlots = slots[shard]
            var positions = Array(shardSlots.indices)
            if let limit {
                positions.removeAll { position in
                    for (key, bound) in limit.ranks.enumerated() where own[key][position] != bound {
                        return own[key][position] < bound
                    }
                    return !(limit.id < ids.ids[Int(shardSlots[position])])
                }
            }
            try positions.keepFirst(kept, cancellation: cancellation) { a, b in
                for column in own where column[a] != column[b] { return column[a] < column[b] }
                return ids.precedes(Int(shardSlots[a]), Int(shardSlots[b]))
            }
            ordered.append(
                OrderedRows(
                    slots: positions.map { shardSlots[$0] },
                    ranks: own.map { column in positions.map { column[$0] } }))
        }
        return ordered
    }

    /// The version of a document that a view sees or, since time goes on, saw before it expired.
    private static func find(
        _ id: DocumentID, _ views: [CollectionView]
    ) throws(KyroError) -> (shard: Int, slot: UInt32) {
        for (shard, view) in views.enumerated() {
            if let slot = view.slot(of: id, expired: true) { return (shard, UInt32(slot)) }
        }
        throw KyroError(
            .tokenExpired,
            "resume_token names the document \(id), which is gone since; start again without it",
            field: "resume_token")
    }

    private static func insert(_ slot: UInt32, into slots: inout [UInt32]) {
        var low = 0
        var high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if slots[middle] < slot { low = middle + 1 } else { high = middle }
        }
        if low == slots.count || slots[low] != slot { slots.insert(slot, at: low) }
    }
}
