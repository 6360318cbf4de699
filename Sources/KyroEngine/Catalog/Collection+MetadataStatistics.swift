// What a collection's metadata looks like, over all shards.
import KyroIndex
import KyroModel

extension Collection {
    /// Ordered by field.
    var metadataStatistics: [MetadataStatistics] {
        var all: FieldMap<MetadataStatistics> = [:]
        for part in shards {
            for statistics in part.metadata.statistics(slotCount: part.slotCount) {
                all[statistics.field] =
                    all[statistics.field].map { $0.adding(statistics) } ?? statistics
            }
        }
        return all.map(\.value)
    }
}

extension MetadataStatistics {
    fileprivate func adding(_ other: MetadataStatistics) -> MetadataStatistics {
        var sum = self
        sum.rows += other.rows
        sum.distinctStrings += other.distinctStrings
        if let low = other.lowest, sum.lowest.map({ low.precedes($0) }) ?? true { sum.lowest = low }
        if let high = other.highest, sum.highest.map({ $0.precedes(high) }) ?? true {
            sum.highest = high
        }
        return sum
    }
}

extension MetadataValue {
    /// Among numbers of one type.
    fileprivate func precedes(_ other: MetadataValue) -> Bool {
        switch (self, other) {
        case (.int64(let a), .int64(let b)), (.timestamp(let a), .timestamp(let b)): a < b
        case (.double(let a), .double(let b)): a < b
        case (.bool(let a), .bool(let b)): !a && b
        default: false
        }
    }
}
