// Taking dead rows out of the graph while it is read and grown.
import KyroBytes
import KyroModel
import Synchronization

extension VectorIndex {
    /// Takes dead rows out of the graph, up to `rowsMax` of them: those who lead to one get others in
    /// its place. Returns how much was done, zero when nothing is left to do. The index's one
    /// maintenance thread only; about 100 µs a row.
    ///
    /// A search at an older sequence that may see such a row scans, from then on; so `deadUpTo`
    /// should lie behind the searches that are under way, for the sake of their time alone.
    ///
    /// - Parameters:
    ///   - deadUpTo: rows that died at or below this sequence are taken out.
    ///   - deadCount: dead rows of the part, in this index or not: as long as it stays the same
    ///     nobody is looked for.
    ///   - visibility: who else lives; rows of the graph have slots below its `slotCount`.
    public func repairStep(
        rowsMax: Int, deadUpTo: UInt64, deadCount: Int, visibility: Visibility,
        cancellation: Cancellation
    ) -> Int {
        repair.step(
            rowsMax: rowsMax, deadUpTo: deadUpTo, deadCount: deadCount, visibility: visibility,
            cancellation: cancellation)
    }

    /// Rows of the graph that were taken out of it, or are about to be.
    public var goneCount: Int { graph.goneCount }

    /// Whether rows that a read of this sequence sees have left the graph.
    func isOutrun(_ visibility: Visibility) -> Bool { graph.repairedSeq > visibility.seq }
}

extension SearchRun {
    /// After a walk that may have missed what was taken out under its feet.
    mutating func scanInstead() throws(KyroError) {
        top = TopK(k: request.k, order: top.order)
        try scan()
    }
}
