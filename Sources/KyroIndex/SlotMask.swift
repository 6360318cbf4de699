// The answer of a filter: a set of slots, private to one query.

/// One bit a slot, dense.
public struct SlotMask: Sendable {
    @usableFromInline var words: [UInt64]
    /// Bits in use; those above are zero.
    public let slotCount: Int

    public init(slotCount: Int, filledWith value: Bool = false) {
        self.slotCount = slotCount
        words = Array(repeating: value ? .max : 0, count: (slotCount + 63) / 64)
        if value, slotCount % 64 != 0, !words.isEmpty {
            words[words.count - 1] = (1 << UInt64(slotCount % 64)) - 1
        }
    }

    @inlinable public func contains(_ slot: Int) -> Bool {
        slot < slotCount && words[slot >> 6] & (1 << UInt64(slot & 63)) != 0
    }

    public mutating func insert(_ slot: Int) { words[slot >> 6] |= 1 << UInt64(slot & 63) }
    public mutating func remove(_ slot: Int) { words[slot >> 6] &= ~(1 << UInt64(slot & 63)) }

    /// Number of slots in the set.
    public func count() -> Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    public mutating func formIntersection(_ other: SlotMask) {
        precondition(slotCount == other.slotCount)
        for i in words.indices { words[i] &= other.words[i] }
    }

    public mutating func formUnion(_ other: SlotMask) {
        precondition(slotCount == other.slotCount)
        for i in words.indices { words[i] |= other.words[i] }
    }

    public mutating func subtract(_ other: SlotMask) {
        precondition(slotCount == other.slotCount)
        for i in words.indices { words[i] &= ~other.words[i] }
    }

    /// Calls `body` with every member in ascending order until it returns false.
    @inlinable public func forEach(_ body: (Int) -> Bool) {
        for (i, bits) in words.enumerated() {
            var rest = bits
            while rest != 0 {
                if !body((i << 6) + rest.trailingZeroBitCount) { return }
                rest &= rest - 1
            }
        }
    }
}
