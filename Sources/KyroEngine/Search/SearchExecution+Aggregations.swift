// What a search counts beside its hits.
import KyroIndex
import KyroModel

extension SearchExecution {
    /// - Parameter hits: every row that a leg has among its candidates.
    func aggregate(_ hits: [RankedHit]) throws(KyroError) -> [AggregationResult] {
        for view in views { try view.shard.requireMetadata() }
        let asked = query.aggregations
        var matching: [SlotMask] = []
        if asked.contains(where: { $0.over == .filter }) {
            for (index, view) in views.enumerated() {
                if let mask = answers[index].mask {
                    matching.append(mask)
                } else {
                    matching.append(
                        try SlotMask(visibleTo: view.visibility, cancellation: cancellation))
                }
            }
        }
        var candidates: [SlotMask] = []
        if asked.contains(where: { $0.over == .candidates }) {
            candidates = views.map { SlotMask(slotCount: $0.visibility.slotCount) }
            for hit in hits { candidates[hit.shard].insert(hit.slot) }
        }
        var results: [AggregationResult] = []
        var byteCount = 0
        for (index, aggregation) in asked.enumerated() {
            let path = "aggregations[\(index)]"
            let rows = try rows(
                aggregation, of: aggregation.over == .filter ? matching : candidates)
            let type = aggregation.field.flatMap { query.metadataTypes[$0] }
            let result = try Aggregator(path: path, over: rows, cancellation: cancellation)
                .run(aggregation, type: type)
            byteCount += result.approximateByteCount
            guard byteCount <= Limits.answerBytesMax else {
                throw KyroError(
                    .messageTooLarge,
                    "\(path): the answer takes more than \(Limits.answerBytesMax) bytes; lower the "
                        + "limits of its facets", field: path)
            }
            results.append(result)
        }
        return results
    }

    /// Those of the masks that pass the aggregation's own filter.
    private func rows(
        _ aggregation: Aggregation, of masks: [SlotMask]
    ) throws(KyroError) -> [AggregationRows] {
        var rows: [AggregationRows] = []
        for (index, view) in views.enumerated() {
            var mask = masks[index]
            let own = try view.shard.metadata.evaluate(
                filter: aggregation.filter, timeRange: nil, visibility: view.visibility,
                cancellation: cancellation)
            if let own { mask.formIntersection(own) }
            rows.append(AggregationRows(metadata: view.shard.metadata, mask: mask))
        }
        return rows
    }
}

extension AggregationResult {
    /// Of its strings, and a guess at the rest.
    fileprivate var approximateByteCount: Int {
        switch kind {
        case .count: 16
        case .facet(let facet):
            facet.buckets.reduce(16) { sum, bucket in
                if case .string(let text) = bucket.value { return sum + text.utf8.count + 16 }
                return sum + 24
            }
        case .histogram(let histogram): 24 * histogram.buckets.count
        case .timeHistogram(let histogram): 24 * histogram.buckets.count
        case .stats(let stats): 64 + 20 * stats.quantiles.count
        }
    }
}
