// Which rows of a shard's collection a read may see.
import KyroBytes

/// The view of one read: rows below a published count, born at or before a sequence and not dead
/// by then. A value to pass into every search loop; it holds no lock and pins nothing. Rows lie in the
/// order of their births.
public struct Visibility: Sendable {
    public let born: Column<UInt64>
    public let died: AtomicColumn64
    /// Unix milliseconds; `Int64.max` for what never expires.
    public let expiresAt: Column<Int64>
    public let seq: UInt64
    /// Rows published: slots in [0, slotCount) may be looked at.
    public let slotCount: Int
    public let nowMillis: Int64
    /// Nil where nobody keeps any.
    public let marks: RowMarks?

    public init(
        born: Column<UInt64>, died: AtomicColumn64, expiresAt: Column<Int64>, seq: UInt64,
        slotCount: Int, nowMillis: Int64, marks: RowMarks? = nil
    ) {
        self.born = born
        self.died = died
        self.expiresAt = expiresAt
        self.seq = seq
        self.slotCount = slotCount
        self.nowMillis = nowMillis
        self.marks = marks
    }

    /// `died` is zero for the living: cells begin as zero.
    @inlinable public func isVisible(_ slot: Int) -> Bool {
        guard slot < slotCount, born[slot] <= seq else { return false }
        let death = died.load(slot)
        return (death == 0 || death > seq) && expiresAt[slot] > nowMillis
    }

    /// Born and not dead at the sequence, expired or not: what live statistics count.
    public func isAlive(_ slot: Int) -> Bool {
        guard slot < slotCount, born[slot] <= seq else { return false }
        let death = died.load(slot)
        return death == 0 || death > seq
    }
}
