// The most frequent values of a field.
import KyroModel

extension Aggregator {
    func facet(
        _ asked: FacetAggregation, _ type: ValueType?
    ) throws(KyroError) -> FacetResult {
        guard let type else {
            var result = FacetResult()
            result.missing = UInt64(parts.reduce(0) { $0 + $1.count })
            return result
        }
        return type.element == .string
            ? try strings(asked, isList: type.isList) : try numbers(asked, type.element)
    }

    private func numbers(
        _ asked: FacetAggregation, _ element: ValueType
    ) throws(KyroError) -> FacetResult {
        var counts = KeyCounts()
        var rows = RowCount()
        try walk(asked.field).forEach(
            afterBatch: { () throws(KyroError) in try checkValues(counts.count, asked.field) }
        ) { key, row in
            rows.add(row)
            counts.add(key, row: row)
        }
        let keys = counts.keys
        var result = try top(asked, counts: counts.counts) { a, b in
            keys[a] < keys[b]
        } value: {
            Self.value(keys[$0], element)
        }
        result.missing = UInt64(parts.reduce(0) { $0 + $1.count } - rows.count)
        return result
    }

    private func strings(
        _ asked: FacetAggregation, isList: Bool
    ) throws(KyroError) -> FacetResult {
        // Values of all shards, numbered anew.
        let dictionary = StringDictionary()
        var counts: [Int] = []
        var missing = 0
        for part in parts {
            missing += part.count
            guard case .strings(let column) = part.metadata.column(asked.field)?.values else {
                continue
            }
            var seen = SlotMask(slotCount: isList ? part.mask.slotCount : 0)
            for value in 0..<column.dictionary.count {
                let count = try column.count(
                    value, in: part.mask, cancellation: cancellation
                ) { if isList { seen.insert($0) } }
                if count == 0 { continue }
                let number = dictionary.intern(column.dictionary.bytes(value)) { _ in }
                if number == counts.count {
                    try checkValues(number + 1, asked.field)
                    counts.append(count)
                } else {
                    counts[number] += count
                }
                if !isList { missing -= count }
            }
            if isList { missing -= seen.count() }
        }
        var result = try top(asked, counts: counts) { a, b in
            dictionary.bytes(a).lexicographicallyPrecedes(dictionary.bytes(b))
        } value: {
            .string(String(decoding: dictionary.bytes($0), as: UTF8.self))
        }
        result.missing = UInt64(missing)
        return result
    }

    /// - Parameters:
    ///   - counts: documents by the position of the value.
    ///   - precedes: whether one position's value is the smaller one.
    private func top(
        _ asked: FacetAggregation, counts: [Int], precedes: (Int, Int) -> Bool,
        value: (Int) -> MetadataValue
    ) throws(KyroError) -> FacetResult {
        let limit = asked.limit == 0 ? Limits.facetLimitDefault : Int(asked.limit)
        var positions = counts.indices.filter { UInt64(counts[$0]) >= asked.minCount }
        try positions.keepFirst(limit, cancellation: cancellation) { a, b in
            counts[a] != counts[b] ? counts[a] > counts[b] : precedes(a, b)
        }
        var result = FacetResult()
        var shown = 0
        for position in positions {
            shown += counts[position]
            result.buckets.append(
                FacetBucket(value: value(position), documents: UInt64(counts[position])))
        }
        result.otherValues = UInt64(counts.count - positions.count)
        result.otherDocuments = UInt64(counts.reduce(0, +) - shown)
        return result
    }

    private func checkValues(_ count: Int, _ field: String) throws(KyroError) {
        guard count > Limits.facetValuesMax else { return }
        throw .overLimit(
            path + ".facet.field",
            "\"\(field)\" has more than \(Limits.facetValuesMax) distinct values among these "
                + "documents; take a filter")
    }
}
