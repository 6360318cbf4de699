// Append-only columns of plain values, read by many threads while one writes.

/// Rows of `width` elements each, 64-byte aligned when the row is 64 bytes or longer. One thread
/// writes; others read rows of which they have learnt through an acquiring load.
///
/// `@unchecked Sendable`: rows are written before they are published and never after.
@safe public final class Column<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
    @usableFromInline let directory: ChunkDirectory
    public let width: Int

    /// - Parameter width: elements in a row.
    public init(width: Int = 1, baseShift: Int = 8) {
        precondition(width > 0)
        self.width = width
        let plain = width * MemoryLayout<Element>.stride
        let rowBytes = plain >= 64 ? (plain + 63) & ~63 : plain
        directory = ChunkDirectory(rowBytes: rowBytes, baseShift: baseShift)
    }

    /// Writer only: makes `row` writable.
    @inlinable public func reserve(row: Int) { directory.reserve(row: row) }

    /// Writer only: makes rows writable; false when there is no memory for them.
    public func tryReserve(rows: Range<Int>) -> Bool { directory.tryReserve(rows: rows) }

    /// Writer only: makes room for runs of rows that take `count` together, from `row` on, where a
    /// run that does not fit into the rest of a chunk begins the next.
    public func tryReserve(from row: Int, packing count: Int) -> Bool {
        directory.tryReserve(from: row, packing: count)
    }

    /// The first element of a row, `width` elements long. Padding behind them is zero.
    @unsafe @inlinable @inline(__always)
    public func pointer(_ row: Int) -> UnsafeMutablePointer<Element> {
        unsafe directory.address(row).assumingMemoryBound(to: Element.self)
    }

    /// Bytes from one row to the next within a chunk.
    public var rowBytes: Int { directory.rowBytes }

    /// How many rows from `row` on lie side by side, `rowBytes` apart.
    @inlinable public func contiguousRows(from row: Int) -> Int {
        directory.contiguousRows(from: row)
    }

    /// The first element of a row: the value itself where the width is one.
    @inlinable public subscript(row: Int) -> Element {
        get { unsafe pointer(row).pointee }
        set { unsafe pointer(row).pointee = newValue }
    }

    /// Writer only.
    @inlinable public func append(_ value: Element, at row: Int) {
        directory.reserve(row: row)
        unsafe pointer(row).pointee = value
    }

    /// Writer only. - Precondition: `values.count == width`.
    public func append(_ values: [Element], at row: Int) {
        precondition(values.count == width)
        directory.reserve(row: row)
        unsafe values.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return }
            unsafe pointer(row).update(from: base, count: width)
        }
    }

    public func row(_ row: Int) -> [Element] {
        let start = unsafe pointer(row)
        return unsafe Array(UnsafeBufferPointer(start: start, count: width))
    }

    public func residentBytes(rowCount: Int) -> Int { directory.reservedBytes(rowCount: rowCount) }
}
