// Columns of single-word atomic cells: neighbour slots, `died`.
import Synchronization

/// Rows of `width` 32-bit cells, all zero at first. Loads acquire and stores release.
///
/// `@unchecked Sendable`: cells are atomic, chunks are published as in `Column`.
@safe public final class AtomicColumn32: @unchecked Sendable {
    @usableFromInline let directory: ChunkDirectory
    public let width: Int

    public init(width: Int = 1, baseShift: Int = 8) {
        precondition(width > 0)
        self.width = width
        directory = ChunkDirectory(rowBytes: width * 4, baseShift: baseShift)
    }

    /// Writer only: makes `row` usable.
    public func reserve(row: Int) { directory.reserve(row: row) }

    /// Writer only: makes rows usable; false when there is no memory for them.
    public func tryReserve(rows: Range<Int>) -> Bool { directory.tryReserve(rows: rows) }

    @inlinable public func load(_ row: Int, _ cell: Int = 0) -> UInt32 {
        precondition(cell >= 0 && cell < width)
        return unsafe cells(row)[cell].load(ordering: .acquiring)
    }

    @inlinable public func store(_ value: UInt32, _ row: Int, _ cell: Int = 0) {
        precondition(cell >= 0 && cell < width)
        unsafe cells(row)[cell].store(value, ordering: .releasing)
    }

    /// The `width` cells of a row.
    @unsafe @inlinable public func cells(_ row: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        unsafe directory.address(row).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    public func residentBytes(rowCount: Int) -> Int { directory.reservedBytes(rowCount: rowCount) }
}

/// Rows of one 64-bit cell, zero at first. Loads acquire and stores release.
///
/// `@unchecked Sendable`: cells are atomic, chunks are published as in `Column`.
@safe public final class AtomicColumn64: @unchecked Sendable {
    @usableFromInline let directory: ChunkDirectory

    public init(baseShift: Int = 8) {
        directory = ChunkDirectory(rowBytes: 8, baseShift: baseShift)
    }

    /// Writer only: makes `row` usable.
    public func reserve(row: Int) { directory.reserve(row: row) }

    /// Writer only: makes rows usable; false when there is no memory for them.
    public func tryReserve(rows: Range<Int>) -> Bool { directory.tryReserve(rows: rows) }

    @inlinable public func load(_ row: Int) -> UInt64 {
        unsafe cell(row).pointee.load(ordering: .acquiring)
    }

    @inlinable public func store(_ value: UInt64, _ row: Int) {
        unsafe cell(row).pointee.store(value, ordering: .releasing)
    }

    /// The cell of a row; those of the rest of its chunk follow.
    @unsafe @inlinable public func cell(_ row: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe directory.address(row).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// How many cells from `row` on lie side by side.
    @inlinable public func contiguousRows(from row: Int) -> Int {
        directory.contiguousRows(from: row)
    }

    public func residentBytes(rowCount: Int) -> Int { directory.reservedBytes(rowCount: rowCount) }
}
