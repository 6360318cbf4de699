// A small map from field names to values.

/// Values by field name, kept sorted by the name's UTF-8. Documents have few fields, so that a
/// sorted array beats a hash table in size and in time, and two equal documents encode to equal
/// bytes.
public struct FieldMap<Value: Sendable>: Sendable {
    public struct Entry: Sendable {
        public let name: String
        public var value: Value
    }

    public private(set) var entries: [Entry] = []

    public init() {}

    public var isEmpty: Bool { entries.isEmpty }
    public var count: Int { entries.count }
    public var names: [String] { entries.map(\.name) }

    public subscript(name: String) -> Value? {
        get {
            let (position, isPresent) = find(name)
            return isPresent ? entries[position].value : nil
        }
        set {
            let (position, isPresent) = find(name)
            if let newValue {
                if isPresent {
                    entries[position].value = newValue
                } else {
                    entries.insert(Entry(name: name, value: newValue), at: position)
                }
            } else if isPresent {
                entries.remove(at: position)
            }
        }
    }

    /// Where `name` is, or where it belongs.
    private func find(_ name: String) -> (position: Int, isPresent: Bool) {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].name.utf8.lexicographicallyPrecedes(name.utf8) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let isPresent = low < entries.count && entries[low].name.utf8.elementsEqual(name.utf8)
        return (low, isPresent)
    }
}

extension FieldMap.Entry: Equatable where Value: Equatable {}
extension FieldMap: Equatable where Value: Equatable {}

extension FieldMap: Swift.Sequence {
    public func makeIterator() -> IndexingIterator<[Entry]> { entries.makeIterator() }
}

extension FieldMap: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, Value)...) {
        for (name, value) in elements { self[name] = value }
    }
}
