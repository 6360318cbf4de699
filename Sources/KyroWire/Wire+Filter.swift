// types.proto, third part: how a Filter is read.
import KyroModel

/// A filter while its fields arrive. A member of the oneof that comes again merges into itself and
/// replaces any other; `self` lets go of it first, or its arrays would be copied as they grow.
enum FilterDraft: WireDraft {
    case empty
    case all(FilterListDraft)
    case any(FilterListDraft)
    indirect case not(FilterDraft)
    case equals(EqualsDraft)
    case isIn(InDraft)
    case range(RangeDraft)
    case exists(ExistsDraft)
    case prefix(PrefixDraft)
    case withinDistance(GeoDistanceDraft)
    case withinBox(GeoBoxDraft)
    case containsAny(InDraft)
    case containsAll(InDraft)
    indirect case sqlNot(FilterDraft)

    init() { self = .empty }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var list = FilterListDraft()
            if case .all(let present) = self { list = present }
            self = .empty
            try reader.message("all_of", into: &list)
            self = .all(list)
        case (2, .bytes):
            var list = FilterListDraft()
            if case .any(let present) = self { list = present }
            self = .empty
            try reader.message("any_of", into: &list)
            self = .any(list)
        case (3, .bytes):
            var negated = FilterDraft()
            if case .not(let present) = self { negated = present }
            self = .empty
            try reader.message("negation", into: &negated)
            self = .not(negated)
        case (4, .bytes):
            var comparison = EqualsDraft()
            if case .equals(let present) = self { comparison = present }
            self = .empty
            try reader.message("equals", into: &comparison)
            self = .equals(comparison)
        case (5, .bytes):
            var membership = InDraft()
            if case .isIn(let present) = self { membership = present }
            self = .empty
            try reader.message("in_set", into: &membership)
            self = .isIn(membership)
        case (6, .bytes):
            var range = RangeDraft()
            if case .range(let present) = self { range = present }
            self = .empty
            try reader.message("range", into: &range)
            self = .range(range)
        case (7, .bytes):
            var existence = ExistsDraft()
            if case .exists(let present) = self { existence = present }
            self = .empty
            try reader.message("exists", into: &existence)
            self = .exists(existence)
        case (8, .bytes):
            var prefix = PrefixDraft()
            if case .prefix(let present) = self { prefix = present }
            self = .empty
            try reader.message("prefix", into: &prefix)
            self = .prefix(prefix)
        case (9...13, .bytes): try readLater(field, from: &reader)
        default: try reader.skip(field)
        }
    }

    private mutating func readLater(
        _ field: WireField, from reader: inout WireReader
    ) throws(WireError) {
        switch field.number {
        case 9:
            var distance = GeoDistanceDraft()
            if case .withinDistance(let present) = self { distance = present }
            self = .empty
            try reader.message("within_distance", into: &distance)
            self = .withinDistance(distance)
        case 10:
            var box = GeoBoxDraft()
            if case .withinBox(let present) = self { box = present }
            self = .empty
            try reader.message("within_box", into: &box)
            self = .withinBox(box)
        case 11:
            var values = InDraft()
            if case .containsAny(let present) = self { values = present }
            self = .empty
            try reader.message("contains_any", into: &values)
            self = .containsAny(values)
        case 12:
            var values = InDraft()
            if case .containsAll(let present) = self { values = present }
            self = .empty
            try reader.message("contains_all", into: &values)
            self = .containsAll(values)
        default:
            var negated = FilterDraft()
            if case .sqlNot(let present) = self { negated = present }
            self = .empty
            try reader.message("sql_not", into: &negated)
            self = .sqlNot(negated)
        }
    }

    func finish() throws(WireError) -> Filter {
        guard depth <= Limits.filterDepthMax else {
            throw .overLimit(
                path: "",
                problem: "is nested deeper than \(Limits.filterDepthMax): flatten it")
        }
        guard !isCut else {
            throw .overLimit(
                path: "",
                problem: "has more than \(Limits.filterNodesMax) nodes: in_set takes many values")
        }
        return try build()
    }

    /// A comparison has depth 1. The reader bounds this recursion.
    private var depth: Int {
        switch self {
        case .all(let list), .any(let list): 1 + (list.filters.lazy.map(\.depth).max() ?? 0)
        case .not(let negated), .sqlNot(let negated): 1 + negated.depth
        case .empty, .equals, .isIn, .range, .exists, .prefix, .withinDistance, .withinBox,
            .containsAny, .containsAll:
            1
        }
    }

    /// Whether filters were left out because there were too many.
    private var isCut: Bool {
        switch self {
        case .all(let list), .any(let list): list.isCut || list.filters.contains(where: \.isCut)
        case .not(let negated), .sqlNot(let negated): negated.isCut
        case .empty, .equals, .isIn, .range, .exists, .prefix, .withinDistance, .withinBox,
            .containsAny, .containsAll:
            false
        }
    }

    private func build() throws(WireError) -> Filter {
        switch self {
        case .empty:
            throw .invalid(path: "", problem: "has no node: set one of the kinds of Filter")
        case .all(let list): return .all(try FilterDraft.build(list, "all_of"))
        case .any(let list): return .any(try FilterDraft.build(list, "any_of"))
        case .not(let negated):
            do { return .not(try negated.build()) } catch { throw error.inside("negation") }
        case .equals(let draft): return try draft.finish("equals")
        case .isIn(let draft):
            return .isIn(field: draft.field, try draft.finish("in_set"))
        case .range(let draft): return try draft.finish("range")
        case .exists(let draft): return .exists(field: draft.field)
        case .prefix(let draft): return .prefix(field: draft.field, draft.prefix)
        case .withinDistance(let draft): return try draft.finish("within_distance")
        case .withinBox(let draft): return draft.finish()
        case .containsAny(let draft):
            return .containsAny(field: draft.field, try draft.finish("contains_any"))
        case .containsAll(let draft):
            return .containsAll(field: draft.field, try draft.finish("contains_all"))
        case .sqlNot(let negated):
            do { return .sqlNot(try negated.build()) } catch { throw error.inside("sql_not") }
        }
    }

    private static func build(
        _ list: FilterListDraft, _ name: StaticString
    ) throws(WireError) -> [Filter] {
        var filters: [Filter] = []
        filters.reserveCapacity(list.filters.count)
        for (index, draft) in list.filters.enumerated() {
            do { filters.append(try draft.build()) } catch {
                throw error.inside("filters", index: index).inside(name)
            }
        }
        return filters
    }
}

struct FilterListDraft: WireDraft {
    var filters: [FilterDraft] = []
    var isCut = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            // Two bytes on the wire become a hundred in memory: the bound must hold while reading.
            reader.filterCount += 1
            guard reader.filterCount <= Limits.filterNodesMax else {
                isCut = true
                return try reader.skip(field)
            }
            try reader.message("filters", appendingTo: &filters)
        default: try reader.skip(field)
        }
    }

    func finish() -> [FilterDraft] { filters }
}

struct EqualsDraft: WireDraft {
    var field = ""
    var value = ValueDraft()

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes): try reader.message("value", into: &value)
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> Filter {
        .equals(field: field, try value.finish("value"))
    }
}

/// InFilter and ContainsFilter, whose fields are the same.
struct InDraft: WireDraft {
    var field = ""
    var values: [ValueDraft] = []
    var isCut = false

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes):
            guard values.count < Limits.filterNodesMax else {
                isCut = true
                return try reader.skip(wire)
            }
            try reader.message("values", appendingTo: &values)
        default: try reader.skip(wire)
        }
    }

    func finish() throws(WireError) -> [MetadataValue] {
        guard !isCut else {
            throw .overLimit(
                path: "values",
                problem: "are more than \(Limits.filterNodesMax): split them over searches")
        }
        return try finishList(values, "values")
    }
}

struct RangeDraft: WireDraft {
    struct BoundDraft {
        var value: ValueDraft
        var isInclusive: Bool
    }

    var field = ""
    var lower: BoundDraft?
    var upper: BoundDraft?

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes):
            try RangeDraft.read("greater_than", into: &lower, isInclusive: false, &reader)
        case (3, .bytes): try RangeDraft.read("at_least", into: &lower, isInclusive: true, &reader)
        case (4, .bytes):
            try RangeDraft.read("less_than", into: &upper, isInclusive: false, &reader)
        case (5, .bytes): try RangeDraft.read("at_most", into: &upper, isInclusive: true, &reader)
        default: try reader.skip(wire)
        }
    }

    private static func read(
        _ name: StaticString, into bound: inout BoundDraft?, isInclusive: Bool,
        _ reader: inout WireReader
    ) throws(WireError) {
        var value = ValueDraft()
        if let present = bound, present.isInclusive == isInclusive { value = present.value }
        bound = nil
        try reader.message(name, into: &value)
        bound = BoundDraft(value: value, isInclusive: isInclusive)
    }

    func finish() throws(WireError) -> Filter {
        .range(
            field: field,
            lower: try RangeDraft.finish(lower, exclusive: "greater_than", inclusive: "at_least"),
            upper: try RangeDraft.finish(upper, exclusive: "less_than", inclusive: "at_most"))
    }

    private static func finish(
        _ bound: BoundDraft?, exclusive: StaticString, inclusive: StaticString
    ) throws(WireError) -> Filter.Bound? {
        guard let bound else { return nil }
        let value = try bound.value.finish(bound.isInclusive ? inclusive : exclusive)
        return Filter.Bound(value, isInclusive: bound.isInclusive)
    }
}

struct ExistsDraft: WireDraft {
    var field = ""

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        default: try reader.skip(wire)
        }
    }

    func finish() -> Filter { .exists(field: field) }
}

struct PrefixDraft: WireDraft {
    var field = ""
    var prefix = ""

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes): prefix = try reader.string("prefix")
        default: try reader.skip(wire)
        }
    }

    func finish() -> Filter { .prefix(field: field, prefix) }
}

/// Finishes every element of a repeated message.
func finishList<Item: WireDraft>(
    _ drafts: [Item], _ name: StaticString
) throws(WireError) -> [Item.Value] {
    var finished: [Item.Value] = []
    finished.reserveCapacity(drafts.count)
    for (index, draft) in drafts.enumerated() {
        finished.append(try draft.finish(name, index: index))
    }
    return finished
}

extension Filter {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> Filter {
        try decodeMessage(FilterDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }
}
