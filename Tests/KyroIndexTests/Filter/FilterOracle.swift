// Filters evaluated document by document, and random ones to evaluate.
import KyroModel

/// What `Filter` says, literally.
func satisfies(_ metadata: FieldMap<MetadataValue>, _ filter: Filter) -> Bool {
    switch filter {
    case .all(let children): children.allSatisfy { satisfies(metadata, $0) }
    case .any(let children): children.contains { satisfies(metadata, $0) }
    case .not(let child): !satisfies(metadata, child)
    case .equals(let field, let value):
        elements(metadata[field]).contains { compare($0, value) == 0 }
    case .isIn(let field, let values):
        elements(metadata[field]).contains { element in
            values.contains { compare(element, $0) == 0 }
        }
    case .range(let field, let lower, let upper):
        elements(metadata[field]).contains { element in
            isWithin(element, lower, sign: 1) && isWithin(element, upper, sign: -1)
        }
    case .exists(let field): metadata[field] != nil
    case .prefix(let field, let prefix):
        elements(metadata[field]).contains {
            if case .string(let text) = $0 { text.utf8.starts(with: prefix.utf8) } else { false }
        }
    }
}

private func elements(_ value: MetadataValue?) -> [MetadataValue] {
    switch value {
    case nil: []
    case .strings(let all): all.map { .string($0) }
    case .int64s(let all): all.map { .int64($0) }
    case .doubles(let all): all.map { .double($0) }
    case .bools(let all): all.map { .bool($0) }
    case .timestamps(let all): all.map { .timestamp($0) }
    case .some(let one): [one]
    }
}

private func isWithin(_ value: MetadataValue, _ bound: Filter.Bound?, sign: Int) -> Bool {
    guard let bound else { return true }
    guard let order = compare(value, bound.value) else { return false }
    return order * sign > 0 || order == 0 && bound.isInclusive
}

/// −1, 0 or 1; nil where the types do not compare.
private func compare(_ a: MetadataValue, _ b: MetadataValue) -> Int? {
    func order<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a == b ? 0 : 1 }
    switch (a, b) {
    case (.string(let x), .string(let y)):
        if x.utf8.elementsEqual(y.utf8) { return 0 }
        return x.utf8.lexicographicallyPrecedes(y.utf8) ? -1 : 1
    case (.int64(let x), .int64(let y)), (.timestamp(let x), .timestamp(let y)):
        return order(x, y)
    case (.double(let x), .double(let y)): return order(x, y)
    case (.double(let x), .int64(let y)): return order(x, Double(y))
    case (.bool(let x), .bool(let y)): return order(x ? 1 : 0, y ? 1 : 0)
    default: return nil
    }
}

/// Documents and filters over one field of every type.
struct FilterSource {
    var generator: SeededGenerator
    static let words = [
        "", "a", "ab", "abc", "apple/swift-nio", "apple/swift", "apple", "grpc/grpc-go", "ä", "z",
        "apple/swift-nio-http2", "\u{0}", "ab\u{0}", "\u{10FFFF}",
    ]
    static let numbers: [Int64] = [.min, -1_000, -2, -1, 0, 1, 2, 3, 10, 1_000, .max]
    static let doubles: [Double] = [
        -.infinity, -1e300, -2.5, -1, -0.0, 0, .leastNonzeroMagnitude, 0.5, 1, 2, 1e300, .infinity,
    ]

    static var schema: Schema {
        var schema = Schema()
        for type in ValueType.allCases { schema.metadata[type.name] = type }
        return schema
    }

    init(seed: UInt64) { generator = SeededGenerator(seed) }

    mutating func pick<T>(_ values: [T]) -> T {
        values[Int.random(in: 0..<values.count, using: &generator)]
    }

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &generator) < percent
    }

    mutating func number() -> Int64 {
        chance(30) ? pick(Self.numbers) : Int64.random(in: -20...20, using: &generator)
    }

    mutating func element(_ type: ValueType) -> MetadataValue {
        switch type.element {
        case .string, .strings: .string(pick(Self.words))
        case .int64, .int64s: .int64(number())
        case .double, .doubles:
            .double(chance(50) ? pick(Self.doubles) : Double(number()))
        case .bool, .bools: .bool(chance(50))
        case .timestamp, .timestamps: .timestamp(number())
        }
    }

    mutating func value(_ type: ValueType) -> MetadataValue {
        guard type.isList else { return element(type) }
        let all = (0..<Int.random(in: 0...4, using: &generator)).map { _ in element(type) }
        return switch type.element {
        case .string: .strings(all.compactMap { if case .string(let x) = $0 { x } else { nil } })
        case .int64: .int64s(all.compactMap { if case .int64(let x) = $0 { x } else { nil } })
        case .double: .doubles(all.compactMap { if case .double(let x) = $0 { x } else { nil } })
        case .bool: .bools(all.compactMap { if case .bool(let x) = $0 { x } else { nil } })
        default:
            .timestamps(all.compactMap { if case .timestamp(let x) = $0 { x } else { nil } })
        }
    }

    /// - Parameter types: of the fields that may occur yet.
    mutating func metadata(_ types: ArraySlice<ValueType>) -> FieldMap<MetadataValue> {
        var metadata: FieldMap<MetadataValue> = [:]
        for type in types where chance(60) { metadata[type.name] = value(type) }
        return metadata
    }

    mutating func literal(_ type: ValueType) -> MetadataValue {
        type.element == .double && chance(30) ? .int64(number()) : element(type)
    }

    /// Valid for the schema, but for ranges, which may be reversed.
    mutating func filter(depth: Int) -> Filter {
        if depth > 0, chance(60) {
            let children = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                filter(depth: depth - 1)
            }
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: return .all(children)
            case 1: return .any(children)
            default: return .not(filter(depth: depth - 1))
            }
        }
        let type = pick(ValueType.allCases)
        let field = chance(3) ? "unknown" : type.name
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: return .exists(field: field)
        case 1:
            let count = Int.random(in: 0...12, using: &generator)
            return .isIn(field: field, (0..<count).map { _ in literal(type) })
        case 2 where type.element != .bool, 3 where type.element != .bool:
            let lower = chance(70) ? Filter.Bound(literal(type), isInclusive: chance(50)) : nil
            let upper = chance(70) ? Filter.Bound(literal(type), isInclusive: chance(50)) : nil
            return .range(field: field, lower: lower, upper: upper)
        case 4:
            return .prefix(
                field: pick(["string", "list of string"]),
                String(pick(Self.words).unicodeScalars.prefix(2)))
        default: return .equals(field: field, literal(type))
        }
    }
}
