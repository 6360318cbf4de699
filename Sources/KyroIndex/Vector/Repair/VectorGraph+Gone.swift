// Which rows of a graph are gone: dead for every reader, and led to by nobody, or by nobody for long.
import KyroBytes
import Synchronization

/// A gone row keeps its own list, so that a walk which stands on it goes on: whoever is in that list
/// went later, if he went at all, and has a list himself. Rows are never used again; a rebuild of
/// the part gives their memory back.
extension VectorGraph {
    @inline(__always) func isGone(_ row: UInt32) -> Bool {
        goneNumber.load(ordering: .relaxed) > 0
            && goneWords.load(Int(row >> 5)) & 1 << (row & 31) != 0
    }

    /// Maintenance only. - Precondition: `reserve` has seen the row.
    func setGone(_ row: UInt32) {
        let word = goneWords.load(Int(row >> 5))
        guard word & 1 << (row & 31) == 0 else { return }
        goneWords.store(word | 1 << (row & 31), Int(row >> 5))
        goneNumber.add(1, ordering: .relaxed)
    }

    var goneCount: Int { goneNumber.load(ordering: .relaxed) }

    /// A walk at a sequence below this may lack rows that its reader sees, and is followed by a scan.
    ///
    /// Stored before the cells that take such a row out: a reader to whom one of them mattered
    /// has loaded it with acquire semantics, and finds the sequence raised after its walk.
    var repairedSeq: UInt64 { repaired.load(ordering: .acquiring) }

    /// Maintenance only, before rows that died at or below are taken out.
    func raiseRepaired(to seq: UInt64) { repaired.max(seq, ordering: .releasing) }

    /// Maintenance only: the highest row that is not gone becomes the entry; none when all are gone.
    func replaceEntry() {
        var best: UInt32?
        var bestHeight = -1
        for row in 0..<UInt32(count) where height(row) > bestHeight && !isGone(row) {
            best = row
            bestHeight = height(row)
        }
        setEntry(best)
    }
}
