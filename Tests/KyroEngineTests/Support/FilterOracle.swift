// Filters, document by document.
import KyroModel

/// What `Filter` says, literally.
func satisfies(_ metadata: FieldMap<MetadataValue>, _ filter: Filter) -> Bool {
    func anyElement(_ field: String, _ test: (MetadataValue) -> Bool) -> Bool {
        metadata[field].map { elements($0).contains(where: test) } ?? false
    }
    switch filter {
    case .all(let children): return children.allSatisfy { satisfies(metadata, $0) }
    case .any(let children): return children.contains { satisfies(metadata, $0) }
    case .not(let child): return !satisfies(metadata, child)
    case .equals(let field, let value): return anyElement(field) { order($0, value) == 0 }
    case .isIn(let field, let values):
        return anyElement(field) { element in values.contains { order(element, $0) == 0 } }
    case .range(let field, let lower, let upper):
        return anyElement(field) { element in
            for (bound, wanted) in [(lower, 1), (upper, -1)] {
                guard let bound else { continue }
                guard let order = order(element, bound.value) else { return false }
                if order != wanted, !(order == 0 && bound.isInclusive) { return false }
            }
            return true
        }
    case .exists(let field): return metadata[field] != nil
    case .prefix(let field, let prefix):
        return anyElement(field) {
            if case .string(let text) = $0 {
                Array(text.utf8).starts(with: prefix.utf8)
            } else {
                false
            }
        }
    }
}

func elements(_ value: MetadataValue) -> [MetadataValue] {
    switch value {
    case .strings(let all): all.map { .string($0) }
    case .int64s(let all): all.map { .int64($0) }
    case .doubles(let all): all.map { .double($0) }
    case .bools(let all): all.map { .bool($0) }
    case .timestamps(let all): all.map { .timestamp($0) }
    case .string, .int64, .double, .bool, .timestamp: [value]
    }
}

/// −1, 0 or 1; nil where the types do not compare.
func order(_ a: MetadataValue, _ b: MetadataValue) -> Int? {
    func sign<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a == b ? 0 : 1 }
    switch (a, b) {
    case (.string(let x), .string(let y)):
        let (x, y) = (Array(x.utf8), Array(y.utf8))
        return x == y ? 0 : x.lexicographicallyPrecedes(y) ? -1 : 1
    case (.int64(let x), .int64(let y)), (.timestamp(let x), .timestamp(let y)):
        return sign(x, y)
    case (.double(let x), .double(let y)): return sign(x, y)
    case (.double(let x), .int64(let y)): return sign(x, Double(y))
    case (.int64(let x), .double(let y)): return sign(Double(x), y)
    case (.bool(let x), .bool(let y)): return x == y ? 0 : x ? 1 : -1
    default: return nil
    }
}
