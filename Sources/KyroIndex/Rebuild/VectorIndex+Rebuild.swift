// Vectors taken over from the index before a rebuild: floats and codes, bit for bit.
import KyroModel

extension VectorIndex {
    /// An index of the same field and the same shape, with codes that fit the other's rows.
    public convenience init(like other: VectorIndex) {
        self.init(field: other.field, parameters: other.parameters, codesOf: other)
    }

    /// Takes over the rows `range` of another index, as far as they are in slots below `slotCount`.
    /// The graph is not taken: folding grows it, or `GraphCarry`.
    public func takeRows(
        from old: VectorIndex, _ range: Range<Int>, below slotCount: Int, map: SlotMap
    ) {
        for row in range {
            let slot = Int(old.rows.slots[row])
            guard slot < slotCount else { return }
            if let new = map[slot] { rows.take(row, of: old.rows, slot: new) }
        }
    }
}
