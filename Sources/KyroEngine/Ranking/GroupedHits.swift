// Hits by the value of a metadata field.
import KyroIndex
import KyroModel

/// Places in the ranking that stand or fall together: a group, or one hit where nothing is grouped.
struct HitGroup: Equatable, Sendable {
    /// Positions of its hits, best first; never empty.
    var hits: [Int]
    /// Nil where the documents lack the field, or nothing is grouped.
    var value: MetadataValue?
}

/// Which group a hit belongs to.
private enum GroupKey: Hashable {
    case number(UInt64)
    case text([UInt8])
    case missing
    case alone(Int)

    /// Nil for a list, which is no group.
    init?(_ value: MetadataValue) {
        switch value {
        case .int64(let number), .timestamp(let number): self = .number(UInt64(bitPattern: number))
        // Both zeros are one value, as for filters.
        case .double(let number): self = .number(number == 0 ? 0 : number.bitPattern)
        case .bool(let flag): self = .number(flag ? 1 : 0)
        case .string(let text): self = .text(Array(text.utf8))
        default: return nil
        }
    }
}

struct HitGrouping {
    let grouping: Grouping
    let execution: SearchExecution

    /// Groups in the order of their best hits.
    /// - Parameter ranked: best first.
    func groups(of ranked: [RankedHit]) throws(KyroError) -> [HitGroup] {
        for view in execution.views { try view.shard.requireMetadata() }
        let readers = execution.views.map { $0.shard.metadata.reader(of: grouping.field) }
        let hitsMax = max(1, Int(grouping.hitsPerGroup))
        var groups: [HitGroup] = []
        var positions: [GroupKey: Int] = [:]
        for (index, hit) in ranked.enumerated() {
            if index % 64 == 0 { try execution.cancellation.check() }
            let value = try value(of: hit, readers[hit.shard])
            guard let key = value.flatMap(GroupKey.init) ?? missing(index) else { continue }
            if let position = positions[key] {
                if groups[position].hits.count < hitsMax { groups[position].hits.append(index) }
            } else {
                positions[key] = groups.count
                groups.append(HitGroup(hits: [index], value: value))
            }
        }
        return groups
    }

    private func missing(_ index: Int) -> GroupKey? {
        switch grouping.missing {
        case .alone: .alone(index)
        case .together: .missing
        case .dropped: nil
        }
    }

    /// Numbers stand in their column; a text only the stored document has by slot.
    private func value(
        of hit: RankedHit, _ reader: FieldReader
    ) throws(KyroError) -> MetadataValue? {
        guard reader.isPresent(at: hit.slot) else { return nil }
        if let value = reader.scalar(at: hit.slot) { return value }
        let shard = execution.views[hit.shard].shard
        return try shard.storedDocument(at: hit.slot).metadata[grouping.field]
    }
}
