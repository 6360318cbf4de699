// Metadata by slot: what a ranking looks up for the few rows that it has.
import KyroModel

/// One metadata field of one shard. Any thread; a field that the shard does not know is missing in
/// every row.
public struct FieldReader: Sendable {
    private let column: MetadataColumn?

    init(column: MetadataColumn?) { self.column = column }

    /// - Precondition: the slot was published.
    public func isPresent(at slot: Int) -> Bool { column?.presence.contains(slot) ?? false }

    /// The value of an int64, double, bool (1 or 0) or timestamp (Unix milliseconds); of a list its
    /// first. Nil where it is missing or a text. Logarithmic in the values of the field.
    /// - Precondition: the slot was published.
    public func number(at slot: Int) -> Double? {
        guard let column, case .numbers(let numbers) = column.values,
            let key = numbers.firstKey(of: slot)
        else { return nil }
        return column.type.element == .double ? OrderedKey.double(key) : Double(key)
    }
}

extension MetadataIndex {
    public func reader(of field: String) -> FieldReader { FieldReader(column: column(field)) }
}

extension NumberColumn {
    /// Of the pairs of a slot the first one; owners ascend.
    func firstKey(of slot: Int) -> Int64? {
        var low = 0
        let end = count
        var high = end
        while low < high {
            let middle = (low + high) / 2
            if Int(owners[middle]) < slot { low = middle + 1 } else { high = middle }
        }
        return low < end && Int(owners[low]) == slot ? keys[low] : nil
    }
}
