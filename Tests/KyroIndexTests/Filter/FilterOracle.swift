// Filters evaluated document by document, and random ones to evaluate.
import Glibc
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
    case .equals(let field, let value): return anyElement(field) { compare($0, value) == 0 }
    case .isIn(let field, let values), .containsAny(let field, let values):
        return anyElement(field) { element in values.contains { compare(element, $0) == 0 } }
    case .containsAll(let field, let values):
        return metadata[field].map { value in
            values.allSatisfy { wanted in elements(value).contains { compare($0, wanted) == 0 } }
        }
    case .range(let field, let lower, let upper):
        return anyElement(field) { element in
            isWithin(element, lower, sign: 1) && isWithin(element, upper, sign: -1)
        }
    case .exists(let field): return metadata[field] != nil
    case .prefix(let field, let prefix):
        return anyElement(field) {
            if case .string(let text) = $0 { text.utf8.starts(with: prefix.utf8) } else { false }
        }
    case .withinDistance(let field, let center, let metres):
        return anyElement(field) {
            if case .geoPoint(let point) = $0 {
                angle(center, point) * 6_371_008.8 <= metres
            } else {
                false
            }
        }
    case .withinBox(let field, let box):
        return anyElement(field) {
            if case .geoPoint(let point) = $0 { isInside(point, box) } else { false }
        }
    }
}

/// Radians between two places: of the vectors from the Earth's centre, by the arctangent of cross
/// and dot product.
func angle(_ a: GeoPoint, _ b: GeoPoint) -> Double {
    func vector(_ p: GeoPoint) -> [Double] {
        let (lat, lon) = (p.latitude * .pi / 180, p.longitude * .pi / 180)
        return [cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)]
    }
    let (u, v) = (vector(a), vector(b))
    let cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
    let length = cross.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return atan2(length, u[0] * v[0] + u[1] * v[1] + u[2] * v[2])
}

/// By walking east from the box's west.
private func isInside(_ point: GeoPoint, _ box: GeoBox) -> Bool {
    guard (box.south...box.north).contains(point.latitude) else { return false }
    if point.latitude == 90 || point.latitude == -90 { return true }
    if box.east >= box.west, box.east - box.west == 360 { return true }
    let end = box.east >= box.west ? box.east : box.east + 360
    return [-360.0, 0, 360].contains { turn in
        (box.west...end).contains(point.longitude + turn)
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
    case .geoPoints(let all): all.map { .geoPoint($0) }
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
        case .geoPoint, .geoPoints: .geoPoint(point())
        }
    }

    /// Poles, both ends of the antimeridian and a grid of eighths of a turn among them.
    mutating func point() -> GeoPoint {
        if chance(50) {
            return GeoPoint(
                latitude: pick([-90, -45, 0, 45, 89.999, 90]),
                longitude: pick([-180, -179.999, -135, -45, 0, 45, 90, 179.999, 180]))
        }
        return GeoPoint(
            latitude: Double.random(in: -90...90, using: &generator),
            longitude: Double.random(in: -180...180, using: &generator))
    }

    mutating func box() -> GeoBox {
        let (a, b) = (point(), point())
        return GeoBox(
            south: min(a.latitude, b.latitude), west: a.longitude,
            north: max(a.latitude, b.latitude), east: b.longitude)
    }

    /// Metres; none that two points of the grid are apart.
    mutating func distance() -> Double {
        chance(40)
            ? pick([0.5, 11, 1_000, 123_457, 5_000_001, 2e7, 1e300, .infinity])
            : Double.random(in: 0...20_015_114, using: &generator)
    }

    mutating func value(_ type: ValueType) -> MetadataValue {
        guard type.isList else { return element(type) }
        let all = (0..<Int.random(in: 0...4, using: &generator)).map { _ in element(type) }
        return switch type.element {
        case .string: .strings(all.compactMap { if case .string(let x) = $0 { x } else { nil } })
        case .int64: .int64s(all.compactMap { if case .int64(let x) = $0 { x } else { nil } })
        case .double: .doubles(all.compactMap { if case .double(let x) = $0 { x } else { nil } })
        case .bool: .bools(all.compactMap { if case .bool(let x) = $0 { x } else { nil } })
        case .geoPoint:
            .geoPoints(all.compactMap { if case .geoPoint(let x) = $0 { x } else { nil } })
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
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: return .all(children)
            case 1: return .any(children)
            case 2: return .sqlNot(filter(depth: depth - 1))
            default: return .not(filter(depth: depth - 1))
            }
        }
        let type = pick(ValueType.allCases)
        let field = chance(3) ? "unknown" : type.name
        let choice = Int.random(in: 0..<8, using: &generator)
        if type.element == .geoPoint, choice > 0 {
            return chance(50)
                ? .withinBox(field: field, box())
                : .withinDistance(field: field, center: point(), metres: distance())
        }
        switch choice {
        case 0: return .exists(field: field)
        case 5, 6:
            let literals = (0..<Int.random(in: 0...3, using: &generator)).map { _ in literal(type) }
            return choice == 5
                ? .containsAny(field: field, literals) : .containsAll(field: field, literals)
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
