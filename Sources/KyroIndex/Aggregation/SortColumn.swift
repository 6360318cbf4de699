// What rows are sorted by: one key of one field, for some rows of every shard.
import KyroModel

/// A row's place by one key. Ascending ranks are the order asked, descending or not.
public struct SortRank: Comparable, Sendable {
    /// 0 for rows without a value that come first, 2 for those that come last.
    var group: UInt8
    var key: Int64

    @inlinable public static func < (a: SortRank, b: SortRank) -> Bool {
        a.isBefore(b)
    }

    @usableFromInline func isBefore(_ other: SortRank) -> Bool {
        group != other.group ? group < other.group : key < other.key
    }
}

/// Rows of one shard.
public struct SortRows: Sendable {
    let metadata: MetadataIndex
    /// Ascending.
    let slots: [UInt32]
    let slotCount: Int

    public init(metadata: MetadataIndex, slots: [UInt32], slotCount: Int) {
        self.metadata = metadata
        self.slots = slots
        self.slotCount = slotCount
    }

    fileprivate var aggregationRows: AggregationRows {
        var mask = SlotMask(slotCount: slotCount)
        for slot in slots { mask.insert(Int(slot)) }
        return AggregationRows(metadata: metadata, mask: mask)
    }
}

extension SortKey {
    /// The ranks of all rows, by shard and position in `slots`; those of several shards compare.
    public func ranks(
        of parts: [SortRows], type: ValueType?, cancellation: Cancellation
    ) throws(KyroError) -> [[SortRank]] {
        let missing = SortRank(group: isMissingFirst ? 0 : 2, key: 0)
        var ranks = parts.map { Array(repeating: missing, count: $0.slots.count) }
        if type?.element == .string {
            try rankStrings(parts, &ranks, cancellation)
            return ranks
        }
        for (shard, part) in parts.enumerated() {
            let walk = KeyWalk(
                field: field, parts: [part.aggregationRows], cancellation: cancellation)
            let slots = part.slots
            let isDescending = isDescending
            var position = 0
            var own = ranks[shard]
            ranks[shard] = []
            try walk.forEach { key, row in
                while UInt64(slots[position]) < row { position += 1 }
                let rank = SortRank(group: 1, key: isDescending ? ~key : key)
                // Of a list the one that comes first.
                if own[position].group != 1 || rank < own[position] { own[position] = rank }
            }
            ranks[shard] = own
        }
        return ranks
    }

    /// Strings get the rank that they have among all those that occur.
    private func rankStrings(
        _ parts: [SortRows], _ ranks: inout [[SortRank]], _ cancellation: Cancellation
    ) throws(KyroError) {
        let dictionary = StringDictionary()
        var pairs: [(shard: Int, position: Int, number: Int)] = []
        for (shard, part) in parts.enumerated() {
            guard case .strings(let column) = part.metadata.column(field)?.values else { continue }
            let rows = part.aggregationRows
            // A slot's position is the number of members before it.
            var before: [Int] = []
            before.reserveCapacity(rows.mask.words.count)
            var sum = 0
            for word in rows.mask.words {
                before.append(sum)
                sum += word.nonzeroBitCount
            }
            for value in 0..<column.dictionary.count {
                let start = pairs.count
                let count = try column.count(
                    value, in: rows.mask, cancellation: cancellation
                ) { slot in
                    let below = rows.mask.words[slot >> 6] & ((1 << UInt64(slot & 63)) - 1)
                    pairs.append((shard, before[slot >> 6] + below.nonzeroBitCount, 0))
                }
                guard count > 0 else { continue }
                let number = dictionary.intern(column.dictionary.bytes(value)) { _ in }
                for index in start..<pairs.count { pairs[index].number = number }
            }
        }
        let texts = (0..<dictionary.count).map { dictionary.bytes($0) }
        var sorted = Array(texts.indices)
        try sorted.sort(cancellation: cancellation) {
            texts[$0].lexicographicallyPrecedes(texts[$1])
        }
        var places = Array(repeating: Int64(0), count: texts.count)
        for (place, number) in sorted.enumerated() { places[number] = Int64(place) }
        for (shard, position, number) in pairs {
            let key = isDescending ? ~places[number] : places[number]
            let rank = SortRank(group: 1, key: key)
            let own = ranks[shard][position]
            if own.group != 1 || rank < own { ranks[shard][position] = rank }
        }
    }
}
