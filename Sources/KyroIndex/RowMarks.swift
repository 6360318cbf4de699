// Which rows of a shard's collection a read must look at one by one to know whether it may see them.
import KyroBytes

/// One bit a row: set for those that have died or will expire. All others are visible to every read
/// that sees their birth, so that a filter's answer is cut by 64 rows a word, and not by three columns
/// of 8 bytes a row.
///
/// One thread writes. A mark is there before the death that it tells of, and is never taken back; who
/// reads it too late reads at a sequence below that death.
public final class RowMarks: Sendable {
    private let words = AtomicColumn64()

    public init() {}

    /// Writer only: makes rows usable; false when there is no memory for them.
    public func tryReserve(rows: Range<Int>) -> Bool {
        rows.isEmpty
            || words.tryReserve(rows: (rows.lowerBound >> 6)..<((rows.upperBound + 63) >> 6))
    }

    /// Writer only, for each row in turn and before it is published.
    public func append(_ row: Int, isMarked: Bool) {
        words.reserve(row: row >> 6)
        if isMarked { mark(row) }
    }

    /// Writer only, before the row's death is stored.
    public func mark(_ row: Int) {
        words.store(words.load(row >> 6) | 1 << UInt64(row & 63), row >> 6)
    }

    /// The marks of rows 64 × `index` and behind.
    /// - Precondition: one of them was published.
    func word(_ index: Int) -> UInt64 { words.load(index) }

    public func residentBytes(rowCount: Int) -> Int {
        words.residentBytes(rowCount: (rowCount + 63) >> 6)
    }
}
