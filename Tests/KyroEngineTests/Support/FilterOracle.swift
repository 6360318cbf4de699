// Filters, document by document.
import KyroIndex
import KyroModel

/// Whether the filter lets the document through.
func satisfies(_ metadata: FieldMap<MetadataValue>, _ filter: Filter) -> Bool {
    truth(metadata, filter) == true
}

/// What `Filter` says, literally; nil is unknown.
func truth(_ metadata: FieldMap<MetadataValue>, _ filter: Filter) -> Bool? {
    func anyElement(_ field: String, _ test: (MetadataValue) -> Bool) -> Bool? {
        metadata[field].map { elements($0).contains(where: test) }
    }
    switch filter {
    case .all(let children):
        let truths = children.map { truth(metadata, $0) }
        return truths.contains(false) ? false : truths.contains(nil) ? nil : true
    case .any(let children):
        let truths = children.map { truth(metadata, $0) }
        return truths.contains(true) ? true : truths.contains(nil) ? nil : false
    case .not(let child): return truth(metadata, child) != true
    case .sqlNot(let child): return truth(metadata, child).map { !$0 }
    case .equals(let field, let value): return anyElement(field) { order($0, value) == 0 }
    case .isIn(let field, let values), .containsAny(let field, let values):
        return anyElement(field) { element in values.contains { order(element, $0) == 0 } }
    case .containsAll(let field, let values):
        return metadata[field].map { value in
            values.allSatisfy { wanted in elements(value).contains { order($0, wanted) == 0 } }
        }
    case .range(let field, let lower, let upper):
        return anyElement(field) { isWithin($0, lower, upper) }
    case .exists(let field): return metadata[field] != nil
    case .prefix(let field, let prefix):
        return anyElement(field) {
            guard case .string(let text) = $0 else { return false }
            return Array(text.utf8).starts(with: prefix.utf8)
        }
    case .withinDistance(let field, let center, let metres):
        return anyElement(field) {
            guard case .geoPoint(let point) = $0 else { return false }
            return GeoDistance.metres(center, point) <= metres
        }
    case .withinBox(let field, let box):
        return anyElement(field) {
            guard case .geoPoint(let point) = $0 else { return false }
            return box.contains(latitude: point.latitude, longitude: point.longitude)
        }
    }
}

private func isWithin(
    _ element: MetadataValue, _ lower: Filter.Bound?, _ upper: Filter.Bound?
) -> Bool {
    for (bound, wanted) in [(lower, 1), (upper, -1)] {
        guard let bound else { continue }
        guard let order = order(element, bound.value) else { return false }
        if order != wanted, !(order == 0 && bound.isInclusive) { return false }
    }
    return true
}

func elements(_ value: MetadataValue) -> [MetadataValue] {
    switch value {
    case .strings(let all): all.map { .string($0) }
    case .int64s(let all): all.map { .int64($0) }
    case .doubles(let all): all.map { .double($0) }
    case .bools(let all): all.map { .bool($0) }
    case .timestamps(let all): all.map { .timestamp($0) }
    case .geoPoints(let all): all.map { .geoPoint($0) }
    case .string, .int64, .double, .bool, .timestamp, .geoPoint: [value]
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
