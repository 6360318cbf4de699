// One metadata field: who has it, and its values.
import KyroModel

/// The writer appends; readers evaluate comparisons at the same time.
final class MetadataColumn: Sendable {
    enum Values: Sendable {
        case strings(StringColumn)
        case numbers(NumberColumn)
        case points(GeoColumn)
    }

    let type: ValueType
    let presence = PresenceColumn()
    let values: Values

    init(type: ValueType) {
        self.type = type
        values =
            switch type.element {
            case .string: .strings(StringColumn())
            case .geoPoint: .points(GeoColumn())
            default: .numbers(NumberColumn())
            }
    }

    /// Writer only.
    func append(_ value: MetadataValue, slot: Int) {
        precondition(
            value.type.element == type.element,
            "a \(value.type.name) in a field of \(type.name): the schema fixes the type")
        presence.insert(slot)
        switch value {
        case .string(let text): append(text, slot)
        case .strings(let texts): for text in texts { append(text, slot) }
        case .int64(let number), .timestamp(let number): append(number, slot)
        case .int64s(let numbers), .timestamps(let numbers):
            for number in numbers { append(number, slot) }
        case .double(let number): append(OrderedKey.key(number), slot)
        case .doubles(let numbers):
            for number in numbers { append(OrderedKey.key(number), slot) }
        case .bool(let flag): append(flag ? 1 : 0, slot)
        case .bools(let flags): for flag in flags { append(flag ? 1 : 0, slot) }
        case .geoPoint(let point): append(point, slot)
        case .geoPoints(let points): for point in points { append(point, slot) }
        }
    }

    private func append(_ text: String, _ slot: Int) {
        if case .strings(let column) = values { column.append(Array(text.utf8), slot: slot) }
    }

    private func append(_ key: Int64, _ slot: Int) {
        if case .numbers(let column) = values { column.append(key, slot: slot) }
    }

    private func append(_ point: GeoPoint, _ slot: Int) {
        if case .points(let column) = values { column.append(point, slot: slot) }
    }

    /// Slots where some element equals one of the literals; a literal of another type equals none.
    func slots(
        equalToAny literals: [MetadataValue], slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        switch values {
        case .strings(let column):
            var numbers: Set<Int> = []
            for case .string(let text) in literals {
                if let number = column.dictionary.find(Array(text.utf8)) { numbers.insert(number) }
            }
            return try column.slots(
                with: numbers.sorted(), slotCount: slotCount, cancellation: cancellation)
        case .numbers(let column):
            let keys = Set(literals.compactMap { OrderedKey.key($0, element: type.element) })
            if keys.isEmpty { return .empty(slotCount: slotCount) }
            return .dense(
                try column.scan(
                    .oneOf(keys.sorted()), slotCount: slotCount, cancellation: cancellation))
        case .points: return .empty(slotCount: slotCount)
        }
    }

    /// Slots whose elements have every literal among them; a literal of another type is no element.
    func slots(
        withAll literals: [MetadataValue], slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        guard !literals.isEmpty else { return .dense(presence.mask(slotCount: slotCount)) }
        switch values {
        case .strings(let column):
            // By number: two strings that differ in composition are two values.
            var numbers: Set<Int> = []
            for literal in literals {
                guard case .string(let text) = literal,
                    let number = column.dictionary.find(Array(text.utf8))
                else { return .empty(slotCount: slotCount) }
                numbers.insert(number)
            }
            let rarestFirst = numbers.sorted {
                column.postings.count($0) < column.postings.count($1)
            }
            var result: SlotSet?
            for number in rarestFirst {
                let next = try column.slots(
                    with: [number], slotCount: slotCount, cancellation: cancellation)
                if result == nil { result = next } else { result?.formIntersection(next) }
                if result?.isKnownEmpty == true { break }
            }
            return result ?? .empty(slotCount: slotCount)
        case .numbers(let column):
            let keys = literals.compactMap { OrderedKey.key($0, element: type.element) }
            guard keys.count == literals.count else { return .empty(slotCount: slotCount) }
            return .dense(
                try column.scan(
                    all: Set(keys).sorted(), slotCount: slotCount, cancellation: cancellation))
        case .points: return .empty(slotCount: slotCount)
        }
    }

    /// Slots with a point within the distance.
    func slots(
        around center: GeoPoint, metres: Double, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        guard case .points(let column) = values else { return .empty(slotCount: slotCount) }
        return .dense(
            try column.scan(
                GeoCircle(center: center, metres: metres), slotCount: slotCount,
                cancellation: cancellation))
    }

    func slots(
        in box: GeoBox, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        guard case .points(let column) = values else { return .empty(slotCount: slotCount) }
        return .dense(try column.scan(box, slotCount: slotCount, cancellation: cancellation))
    }

    /// Slots where some element lies between the bounds.
    func slots(
        from lower: Filter.Bound?, to upper: Filter.Bound?, slotCount: Int,
        cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        switch values {
        case .strings(let column):
            guard let low = Self.text(lower), let high = Self.text(upper) else {
                return .empty(slotCount: slotCount)
            }
            return try column.slots(
                with: column.dictionary.numbers(lower: low.bound, upper: high.bound),
                slotCount: slotCount, cancellation: cancellation)
        case .numbers(let column):
            guard let range = keyRange(lower, upper) else { return .empty(slotCount: slotCount) }
            return .dense(
                try column.scan(.inRange(range), slotCount: slotCount, cancellation: cancellation))
        case .points: return .empty(slotCount: slotCount)
        }
    }

    func slots(
        prefix: String, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        guard case .strings(let column) = values else { return .empty(slotCount: slotCount) }
        return try column.slots(
            with: column.dictionary.numbers(prefix: Array(prefix.utf8)), slotCount: slotCount,
            cancellation: cancellation)
    }

    /// Nil when the bound is no string; no bound when there is none.
    private static func text(
        _ bound: Filter.Bound?
    ) -> (bound: (bytes: [UInt8], isInclusive: Bool)?, Void)? {
        guard let bound else { return (nil, ()) }
        guard case .string(let text) = bound.value else { return nil }
        return ((Array(text.utf8), bound.isInclusive), ())
    }

    /// Nil when nothing can lie between the bounds, or a bound is of another type.
    func keyRange(_ lower: Filter.Bound?, _ upper: Filter.Bound?) -> ClosedRange<Int64>? {
        let all = OrderedKey.all(type.element)
        var low = all.lowerBound
        var high = all.upperBound
        if let lower {
            guard let key = OrderedKey.key(lower.value, element: type.element) else { return nil }
            if key == .max, !lower.isInclusive { return nil }
            low = max(low, lower.isInclusive ? key : key + 1)
        }
        if let upper {
            guard let key = OrderedKey.key(upper.value, element: type.element) else { return nil }
            if key == .min, !upper.isInclusive { return nil }
            high = min(high, upper.isInclusive ? key : key - 1)
        }
        return low <= high ? low...high : nil
    }

    var residentBytes: Int {
        let own =
            switch values {
            case .strings(let column): column.residentBytes
            case .numbers(let column): column.residentBytes
            case .points(let column): column.residentBytes
            }
        return own + presence.residentBytes
    }
}
