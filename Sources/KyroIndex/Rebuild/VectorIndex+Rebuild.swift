// Vectors taken over from the index before a rebuild: rows and codes, bit for bit, where the new one
// has the same; else made anew from the rows.
import KyroModel

extension VectorIndex {
    /// An empty index of the same field, with codes that fit the other's rows: of the same shape,
    /// where the options are the same.
    ///
    /// - Parameter indexing: nil for the other's.
    public convenience init(like other: VectorIndex, indexing: VectorIndexing? = nil) {
        let indexing = indexing ?? other.field.indexing
        var field = other.field
        field.indexing = indexing
        self.init(
            field: field,
            parameters: indexing == other.field.indexing
                ? other.parameters : GraphParameters(indexing), codesOf: other)
    }

    /// Takes over the rows `range` of another index, as far as they are in slots below `slotCount`.
    /// The graph is not taken: folding grows it, or `GraphCarry`.
    ///
    /// - Throws: where a row is in a file that cannot be read.
    public func takeRows(
        from old: VectorIndex, _ range: Range<Int>, below slotCount: Int, map: SlotMap
    ) throws(KyroError) {
        defer { rows.store.endTaking() }
        for row in range {
            let slot = Int(old.rows.slots[row])
            guard slot < slotCount else { return }
            if let new = map[slot] { try rows.take(row, of: old.rows, slot: new) }
        }
    }
}
