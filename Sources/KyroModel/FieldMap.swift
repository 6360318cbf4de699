// A small map from field names to values.

/// Values by field name, kept sorted by the name's UTF-8. Documents have few fields, so that a
/// sorted array beats a hash table in size and in time, and two equal documents encode to equal
/// bytes. Inlinable, since a generic call across modules costs more than the lookup itself.
public struct FieldMap<Value: Sendable>: Sendable {
    public struct Entry: Sendable {
        public let name: String
        public var value: Value

        @inlinable init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    @inlinable public var entries: [Entry] { sorted }

    @usableFromInline var sorted: [Entry] = []

    @inlinable public init() {}

    @inlinable public var isEmpty: Bool { sorted.isEmpty }
    @inlinable public var count: Int { sorted.count }
    @inlinable public var names: [String] { sorted.map { $0.name } }

    @inlinable public subscript(name: String) -> Value? {
        get {
            let (position, isPresent) = find(name)
            return isPresent ? sorted[position].value : nil
        }
        set {
            let (position, isPresent) = find(name)
            if let newValue {
                if isPresent {
                    sorted[position].value = newValue
                } else {
                    sorted.insert(Entry(name: name, value: newValue), at: position)
                }
            } else if isPresent {
                sorted.remove(at: position)
            }
        }
    }

    /// Adds an entry behind all others, without looking for its place.
    ///
    /// - Precondition: `name` sorts behind every name that is there.
    @inlinable public mutating func append(rising name: String, _ value: Value) {
        assert(
            sorted.last.map { $0.name.utf8.lexicographicallyPrecedes(name.utf8) } ?? true,
            "\(name) does not sort behind \(sorted.last?.name ?? "")")
        sorted.append(Entry(name: name, value: value))
    }

    @inlinable public mutating func reserveCapacity(_ count: Int) { sorted.reserveCapacity(count) }

    /// Where `name` is, or where it belongs.
    @inlinable func find(_ name: String) -> (position: Int, isPresent: Bool) {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle].name.utf8.lexicographicallyPrecedes(name.utf8) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let isPresent = low < sorted.count && sorted[low].name.utf8.elementsEqual(name.utf8)
        return (low, isPresent)
    }
}

extension FieldMap.Entry: Equatable where Value: Equatable {}
extension FieldMap: Equatable where Value: Equatable {}

extension FieldMap: Swift.Sequence {
    @inlinable public func makeIterator() -> IndexingIterator<[Entry]> { entries.makeIterator() }
}

extension FieldMap: ExpressibleByDictionaryLiteral {
    @inlinable public init(dictionaryLiteral elements: (String, Value)...) {
        for (name, value) in elements { self[name] = value }
    }
}
