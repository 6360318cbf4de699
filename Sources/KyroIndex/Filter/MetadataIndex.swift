// All metadata of a collection in one shard, and event times: what filters are evaluated on.
import KyroBytes
import KyroModel
import Synchronization

/// Columns by field. The shard's writer appends; any thread evaluates at the same time.
///
/// `@unchecked Sendable`: rows are written before the counts that cover them.
public final class MetadataIndex: @unchecked Sendable {
    private let names = StringDictionary()
    private let columns = ObjectList<MetadataColumn>(capacity: Limits.fieldsMax)
    let eventTimes = TimeColumn()

    public init() {}

    /// Indexes the metadata of a new slot. Shard writer only.
    /// - Precondition: slots ascend from call to call; the schema has checked the types.
    public func append(
        metadata: FieldMap<MetadataValue>, eventTimeMillis: Int64?, slot: Slot
    ) {
        for entry in metadata {
            column(entry.name, makingOf: entry.value.type).append(entry.value, slot: slot.index)
        }
        setEventTime(eventTimeMillis, slot: slot.index)
    }

    /// - Precondition: the slot was published.
    public func eventTime(of slot: Int) -> Int64? {
        eventTimes.time(of: slot)
    }

    /// The visible slots that satisfy both; nil when neither is asked. A comparison with a field
    /// that is unknown or of another type is false.
    ///
    /// Three-valued, as `Filter` says. The answer is the caller's own.
    public func evaluate(
        filter: Filter?, timeRange: TimeRange?, visibility: Visibility,
        cancellation: Cancellation
    ) throws(KyroError) -> SlotMask? {
        if filter == nil, timeRange == nil { return nil }
        let slotCount = visibility.slotCount
        var result: SlotSet?
        if let filter {
            result = try slots(filter, slotCount: slotCount, cancellation: cancellation)
        }
        if let timeRange {
            let inTime = try slots(timeRange, slotCount: slotCount, cancellation: cancellation)
            if result == nil { result = inTime } else { result?.formIntersection(inTime) }
        }
        guard let result else { return nil }
        var mask = result.mask(slotCount: slotCount)
        try mask.keepVisible(visibility, cancellation: cancellation)
        return mask
    }

    /// Any thread.
    public var residentBytes: Int {
        var total = names.residentBytes
        for number in 0..<names.count { total += columns[number].residentBytes }
        return total + eventTimes.residentBytes
    }

    private func slots(
        _ filter: Filter, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        try cancellation.check()
        switch filter {
        case .all(let children):
            var result: SlotSet?
            for child in children {
                let next = try slots(child, slotCount: slotCount, cancellation: cancellation)
                if result == nil { result = next } else { result?.formIntersection(next) }
                if result?.isKnownEmpty == true { break }
            }
            return result ?? .dense(SlotMask(slotCount: slotCount, filledWith: true))
        case .any(let children):
            var result = SlotSet.empty(slotCount: slotCount)
            for child in children {
                result.formUnion(
                    try slots(child, slotCount: slotCount, cancellation: cancellation))
            }
            return result
        case .not(let child):
            let inner = try slots(child, slotCount: slotCount, cancellation: cancellation)
            return inner.complement(slotCount: slotCount)
        case .sqlNot(let child):
            return try slotsWhereFalse(child, slotCount: slotCount, cancellation: cancellation)
        case .equals(let field, let value):
            return try column(field)?.slots(
                equalToAny: [value], slotCount: slotCount, cancellation: cancellation)
                ?? .empty(slotCount: slotCount)
        case .isIn(let field, let values), .containsAny(let field, let values):
            return try column(field)?.slots(
                equalToAny: values, slotCount: slotCount, cancellation: cancellation)
                ?? .empty(slotCount: slotCount)
        case .range(let field, let lower, let upper):
            return try column(field)?.slots(
                from: lower, to: upper, slotCount: slotCount, cancellation: cancellation)
                ?? .empty(slotCount: slotCount)
        case .exists(let field):
            guard let column = column(field) else { return .empty(slotCount: slotCount) }
            return .dense(column.presence.mask(slotCount: slotCount))
        case .prefix(let field, let prefix):
            return try column(field)?.slots(
                prefix: prefix, slotCount: slotCount, cancellation: cancellation)
                ?? .empty(slotCount: slotCount)
        case .withinDistance(let field, let center, let metres):
            return try column(field)?.slots(
                around: center, metres: metres, slotCount: slotCount, cancellation: cancellation)
                ?? .empty(slotCount: slotCount)
        case .withinBox(let field, let box):
            return try column(field)?.slots(
                in: box, slotCount: slotCount, cancellation: cancellation)
                ?? .empty(slotCount: slotCount)
        case .containsAll(let field, let values):
            return try column(field)?.slots(
                withAll: values, slotCount: slotCount, cancellation: cancellation)
                ?? .empty(slotCount: slotCount)
        }
    }

    /// Where the filter is neither true nor unknown. By De Morgan's laws, which hold in Kleene's
    /// logic, a negation goes down to the comparisons: no set of the unknown is ever built.
    private func slotsWhereFalse(
        _ filter: Filter, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        try cancellation.check()
        switch filter {
        case .all(let children):
            var result = SlotSet.empty(slotCount: slotCount)
            for child in children {
                result.formUnion(
                    try slotsWhereFalse(child, slotCount: slotCount, cancellation: cancellation))
            }
            return result
        case .any(let children):
            var result: SlotSet?
            for child in children {
                let next = try slotsWhereFalse(
                    child, slotCount: slotCount, cancellation: cancellation)
                if result == nil { result = next } else { result?.formIntersection(next) }
                if result?.isKnownEmpty == true { break }
            }
            return result ?? .dense(SlotMask(slotCount: slotCount, filledWith: true))
        case .not(let child), .sqlNot(let child):
            // Either negation is false just where its operand is true.
            return try slots(child, slotCount: slotCount, cancellation: cancellation)
        case .exists:
            let present = try slots(filter, slotCount: slotCount, cancellation: cancellation)
            return present.complement(slotCount: slotCount)
        case .equals, .isIn, .range, .prefix, .withinDistance, .withinBox, .containsAny,
            .containsAll:
            guard let field = filter.fields.first, let column = column(field) else {
                return .empty(slotCount: slotCount)
            }
            let holds = try slots(filter, slotCount: slotCount, cancellation: cancellation)
            var result = column.presence.mask(slotCount: slotCount)
            result.subtract(holds.mask(slotCount: slotCount))
            return .dense(result)
        }
    }

    private func slots(
        _ range: TimeRange, slotCount: Int, cancellation: Cancellation
    ) throws(KyroError) -> SlotSet {
        let low = max(range.fromMillis ?? .min, TimeColumn.none + 1)
        let high = range.toMillis.map { $0 == .min ? .min : $0 - 1 } ?? .max
        guard low <= high else { return .empty(slotCount: slotCount) }
        return .dense(
            try eventTimes.slots(
                in: low...high, slotCount: slotCount, cancellation: cancellation))
    }

    func column(_ name: String) -> MetadataColumn? {
        names.find(Array(name.utf8)).map { columns[$0] }
    }

    /// Writer only.
    func column(_ name: String, makingOf type: ValueType) -> MetadataColumn {
        if let column = column(name) { return column }
        let made = MetadataColumn(type: type)
        let number = names.intern(Array(name.utf8)) { columns.set(made, at: $0) }
        return columns[number]
    }

    func column(_ number: Int) -> MetadataColumn { columns[number] }

    /// Writer only. The number of a field, made where it is new; nil when there is no memory for it.
    func tryReserve(name: String, type: ValueType) -> Int? {
        let bytes = Array(name.utf8)
        if let number = names.find(bytes) { return number }
        guard names.tryReserve(strings: 1, byteCount: bytes.count) else { return nil }
        _ = column(name, makingOf: type)
        return names.find(bytes)
    }

    /// Writer only.
    func tryReserveEventTimes(slotCount: Int) -> Bool {
        eventTimes.tryReserve(slotCount: slotCount)
    }

    /// Writer only. The earliest of all times stands for none, so that it moves by one millisecond.
    func setEventTime(_ time: Int64?, slot: Int) {
        eventTimes.append(time, slot: slot)
    }

    /// Fields in the order of their first appearance; a snapshot writes those it finds.
    var fields: [(name: [UInt8], column: MetadataColumn)] {
        (0..<names.count).map { (names.bytes($0), columns[$0]) }
    }
}
