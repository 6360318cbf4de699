// What serves a collection's vector fields, added up over its shards.
import KyroIndex
import KyroModel

extension Collection {
    /// Ordered by field.
    var vectorStatus: [VectorIndexStatus] {
        let parts = shards.map { ($0, $0.currentRoot) }
        return schema.vectors.map { entry in
            var status = VectorIndexStatus(name: entry.name, declared: entry.value)
            status.recallSamples = UInt32(clamping: recall.field(entry.name)?.sampleCount ?? 0)
            for (part, root) in parts {
                guard let index = root.vectors[entry.name] else { continue }
                status.add(index, slotCount: part.slotCount, deadCount: part.deadCount)
                guard CollectionShard.agreement(index, entry.value) == .outdated else { continue }
                let rows =
                    part.rebuildRows.withLock { $0[entry.name] }
                    ?? RebuildRows(total: UInt64(index.rowCount))
                status.rebuildRowsTotal += rows.total
                status.rebuildRowsDone += rows.done
            }
            return status
        }
    }
}

extension VectorIndexStatus {
    /// Of a field that no document carries yet.
    fileprivate init(name: String, declared field: VectorField) {
        let declared = field.indexing
        self.init(
            field: name, kind: declared.kind == .automatic ? .flat : declared.kind,
            codes: VectorIndex.codes(of: field), rerank: declared.rerank,
            storage: declared.storage)
    }

    /// - Parameters:
    ///   - slotCount: rows of the part, and `deadCount` the dead ones among them: where every
    ///     document has the field these are the index's own.
    fileprivate mutating func add(_ index: VectorIndex, slotCount: Int, deadCount: Int) {
        let rowCount = index.rowCount
        let indexedCount = min(index.indexedCount, rowCount)
        // A shard that is behind the others, or has few rows, does not speak for all.
        if rowCount > 0, rows == 0 || kind == .flat {
            kind = index.servedKind
            codes = index.servedCodes
            rerank = index.field.indexing.rerank
            storage = index.field.indexing.storage
        }
        codesVersion = max(codesVersion, index.codesVersion)
        rows += UInt64(rowCount)
        indexedRows += UInt64(indexedCount)
        deadRows += UInt64(deadCount * min(rowCount, slotCount) / max(1, slotCount))
        rowBytes += UInt64(index.rowBytes)
        codeBytes += UInt64(index.codeBytes)
        linkBytes += UInt64(index.linkBytes)
    }
}
