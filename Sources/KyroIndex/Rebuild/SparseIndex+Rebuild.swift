// Sparse postings taken over from those before a rebuild.
import KyroModel

extension SparseIndex {
    /// Dimensions that some document has or had. Any thread.
    public var knownDimensions: Int { listCount }

    /// Takes over the postings of one dimension, in the order of `knownDimensions`, in slots below
    /// `slotCount`.
    /// - Returns: how many postings were looked at.
    public func takePostings(
        from old: SparseIndex, list: Int, below slotCount: Int, map: SlotMap
    ) -> Int {
        var target: Int?
        return old.postings.forEach(list, below: slotCount) { entry in
            guard let new = map[Int(entry & 0xFFFF_FFFF)] else { return }
            let own = target ?? self.list(makingFor: old.keys[list])
            target = own
            post(entry & ~0xFFFF_FFFF | UInt64(new), to: own)
        }
    }
}
