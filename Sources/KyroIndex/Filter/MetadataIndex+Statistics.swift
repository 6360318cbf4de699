// What columns know of themselves, and what a filter may be expected to let through.
import KyroModel

extension MetadataIndex {
    /// Of every field, in the order of their first appearance; a pass over the bits of presence. Any
    /// thread.
    public func statistics(slotCount: Int) -> [MetadataStatistics] {
        fields.map { name, column in
            var statistics = MetadataStatistics(field: String(decoding: name, as: UTF8.self))
            statistics.rows = UInt64(column.presence.mask(slotCount: slotCount).count())
            switch column.values {
            case .strings(let strings):
                statistics.distinctStrings = UInt64(strings.dictionary.count)
            case .numbers(let numbers):
                guard let keys = numbers.keyRange else { break }
                statistics.lowest = OrderedKey.value(keys.lowerBound, element: column.type.element)
                statistics.highest = OrderedKey.value(keys.upperBound, element: column.type.element)
            case .points: break
            }
            return statistics
        }
    }

    /// At most about how many of the slots the filter lets through, from counts that are kept: a few
    /// look-ups, and no scan. Of strings the postings are counted; of numbers no more is known than
    /// their bounds. Any thread.
    public func estimatedMatches(_ filter: Filter, slotCount: Int) -> Int {
        switch filter {
        case .all(let children):
            var least = slotCount
            for child in children {
                least = min(least, estimatedMatches(child, slotCount: slotCount))
                if least == 0 { break }
            }
            return least
        case .any(let children):
            var sum = 0
            for child in children {
                sum += estimatedMatches(child, slotCount: slotCount)
                if sum >= slotCount { return slotCount }
            }
            return sum
        case .not, .sqlNot, .exists: return slotCount
        case .equals(let field, let value):
            return estimate(field, slotCount) { $0.estimatedMatches(equalToAny: [value]) }
        case .isIn(let field, let values), .containsAny(let field, let values):
            return estimate(field, slotCount) { $0.estimatedMatches(equalToAny: values) }
        case .containsAll(let field, let values):
            return estimate(field, slotCount) { column in
                values.lazy.map { column.estimatedMatches(equalToAny: [$0]) }.min() ?? slotCount
            }
        case .range(let field, let lower, let upper):
            return estimate(field, slotCount) { $0.estimatedMatches(from: lower, to: upper) }
        case .prefix(let field, _), .withinBox(let field, _), .withinDistance(let field, _, _):
            return estimate(field, slotCount) { _ in slotCount }
        }
    }

    private func estimate(
        _ field: String, _ slotCount: Int, _ body: (MetadataColumn) -> Int
    ) -> Int {
        guard let column = column(field) else { return 0 }
        return min(slotCount, body(column))
    }
}

extension MetadataColumn {
    fileprivate func estimatedMatches(equalToAny literals: [MetadataValue]) -> Int {
        switch values {
        case .strings(let column):
            var total = 0
            for case .string(let text) in literals {
                if let number = column.dictionary.find(Array(text.utf8)) {
                    total += column.postings.count(number)
                }
            }
            return total
        case .numbers(let column):
            guard let known = column.keyRange else { return 0 }
            let isPossible = literals.contains { literal in
                OrderedKey.key(literal, element: type.element).map(known.contains) ?? false
            }
            return isPossible ? column.count : 0
        case .points: return 0
        }
    }

    fileprivate func estimatedMatches(from lower: Filter.Bound?, to upper: Filter.Bound?) -> Int {
        guard case .numbers(let column) = values else { return .max }
        guard let known = column.keyRange, let wanted = keyRange(lower, upper),
            wanted.overlaps(known)
        else { return 0 }
        if known.lowerBound >= wanted.lowerBound, known.upperBound <= wanted.upperBound {
            return column.count
        }
        // As if spread evenly, doubled: what is expected and not what is sure.
        let part = wanted.clamped(to: known)
        let share = position(part.upperBound, in: known) - position(part.lowerBound, in: known)
        // Between infinities nothing is known of a share.
        guard (0...1).contains(share) else { return column.count }
        return min(column.count, Int(2 * share * Double(column.count)) + column.count / 64 + 1)
    }

    /// Where a key lies between the bounds, in [0, 1].
    private func position(_ key: Int64, in known: ClosedRange<Int64>) -> Double {
        let isDouble = type.element == .double
        func number(_ key: Int64) -> Double {
            isDouble ? OrderedKey.double(key) / 2 : Double(key) / 2
        }
        let span = number(known.upperBound) - number(known.lowerBound)
        guard span > 0 else { return 0 }
        return (number(key) - number(known.lowerBound)) / span
    }
}

extension OrderedKey {
    /// The value behind a key.
    static func value(_ key: Int64, element: ValueType) -> MetadataValue {
        switch element {
        case .double, .doubles: .double(double(key))
        case .bool, .bools: .bool(key != 0)
        case .timestamp, .timestamps: .timestamp(key)
        case .int64, .int64s, .string, .strings, .geoPoint, .geoPoints: .int64(key)
        }
    }
}
