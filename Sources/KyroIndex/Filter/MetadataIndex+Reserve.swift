// Memory for metadata, asked before the log takes it.
import KyroModel

extension MetadataIndex {
    /// Makes room for the metadata of the next slots, below `slotCount`; false when there is no
    /// memory for it. Shard writer only.
    public func tryReserve(_ documents: [Document], slotCount: Int) -> Bool {
        var needs: [Int: ColumnNeed] = [:]
        for document in documents {
            for entry in document.metadata {
                guard let number = tryReserve(name: entry.name, type: entry.value.type) else {
                    return false
                }
                needs[number, default: ColumnNeed()].add(entry.value)
            }
        }
        guard tryReserveEventTimes(slotCount: slotCount) else { return false }
        return needs.allSatisfy { number, need in
            column(number).tryReserve(need, slotCount: slotCount)
        }
    }
}

/// What values of one field take.
struct ColumnNeed {
    var elements = 0
    var byteCount = 0

    mutating func add(_ value: MetadataValue) {
        switch value {
        case .string(let text):
            elements += 1
            byteCount += text.utf8.count
        case .strings(let texts):
            elements += texts.count
            for text in texts { byteCount += text.utf8.count }
        case .int64, .timestamp, .double, .bool, .geoPoint: elements += 1
        case .int64s(let values), .timestamps(let values): elements += values.count
        case .doubles(let values): elements += values.count
        case .bools(let values): elements += values.count
        case .geoPoints(let points): elements += points.count
        }
    }
}

extension MetadataColumn {
    func tryReserve(_ need: ColumnNeed, slotCount: Int) -> Bool {
        guard presence.tryReserve(slotCount: slotCount) else { return false }
        return switch values {
        case .strings(let column):
            column.tryReserve(strings: need.elements, byteCount: need.byteCount)
        case .numbers(let column): column.tryReserve(numbers: need.elements)
        case .points(let column): column.tryReserve(points: need.elements)
        }
    }
}
