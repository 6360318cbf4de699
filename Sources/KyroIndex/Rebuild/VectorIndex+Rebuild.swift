// Vectors taken over from the index before a rebuild: floats and codes, bit for bit, where the new
// one has the same; else encoded anew from the floats.
import KyroModel

extension VectorIndex {
    /// An empty index of the same field: of the same shape, where the options are the same.
    public convenience init(like other: VectorIndex, indexing: VectorIndexing) {
        var field = other.field
        field.indexing = indexing
        self.init(
            field: field, parameters: indexing == other.field.indexing ? other.parameters : nil)
    }

    /// Takes over the rows `range` of another index, as far as they are in slots below `slotCount`.
    /// The graph is not taken: folding grows it, or `GraphCarry`.
    public func takeRows(
        from old: VectorIndex, _ range: Range<Int>, below slotCount: Int, map: SlotMap
    ) {
        let isStoredAlike = field.indexing.isStored(like: old.field.indexing)
        for row in range {
            let slot = Int(old.rows.slots[row])
            guard slot < slotCount else { return }
            guard let new = map[slot] else { continue }
            if isStoredAlike {
                rows.take(row, of: old.rows, slot: new)
            } else {
                rows.append(old.rows.values.row(row), slot: new)
            }
        }
    }
}
