// How far a change of analysers is, added up over a collection's shards.
import KyroModel

extension Collection {
    /// Ordered by field.
    var textStatus: [TextIndexStatus] {
        let parts = shards.map { ($0, $0.currentRoot) }
        return schema.texts.map { entry in
            var status = TextIndexStatus(field: entry.name)
            var isChanging = false
            for (part, root) in parts {
                guard let index = root.texts[entry.name] else { continue }
                let rows = UInt64(part.slotCount)
                var done = rows
                if CollectionShard.agreement(index, entry.value) == .outdated {
                    isChanging = true
                    done = part.rebuildTextRows.withLock { $0[entry.name] } ?? 0
                }
                status.rebuildRowsTotal += rows
                status.rebuildRowsDone += min(done, rows)
            }
            return isChanging ? status : TextIndexStatus(field: entry.name)
        }
    }
}
