// Memory that grows and never moves: what lets readers run beside the writer without locks.
//
// Chunk k holds base << k rows, so that 32 chunks cover every row number and the directory itself
// never grows. Row r lies in chunk k = log2(r + base) − log2(base) at r + base − (base << k).
// Chunks are zero-filled and committed by the kernel page by page.

#if canImport(Glibc)
    import Glibc
#endif

/// One writer makes chunks; a reader may touch a row only after it has learnt of it through an
/// acquiring load of something the writer stored, releasing, after the row was written.
@safe @usableFromInline final class ChunkDirectory {
    @usableFromInline static let chunksMax = 32
    /// Above this a chunk is mapped by itself and asks for huge pages.
    static let mappedBytesMin = 1 << 18

    @usableFromInline let chunks: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    @usableFromInline let rowBytes: Int
    @usableFromInline let baseShift: Int

    /// - Parameters:
    ///   - rowBytes: stride of a row.
    ///   - baseShift: log2 of the rows in the first chunk.
    init(rowBytes: Int, baseShift: Int) {
        precondition(rowBytes > 0 && baseShift >= 0 && baseShift < 32)
        self.rowBytes = rowBytes
        self.baseShift = baseShift
        unsafe chunks = .allocate(capacity: Self.chunksMax)
        unsafe chunks.initialize(repeating: nil, count: Self.chunksMax)
    }

    deinit {
        for chunk in 0..<Self.chunksMax {
            guard let memory = unsafe chunks[chunk] else { continue }
            let byteCount = byteCount(ofChunk: chunk)
            if byteCount >= Self.mappedBytesMin {
                unsafe munmap(memory, byteCount)
            } else {
                unsafe free(memory)
            }
        }
        unsafe chunks.deallocate()
    }

    @usableFromInline func byteCount(ofChunk chunk: Int) -> Int {
        (rowBytes << (baseShift + chunk) + 63) & ~63
    }

    /// Rows that fit into the chunk of `row` from `row` on.
    @inlinable func contiguousRows(from row: Int) -> Int {
        let biased = row + (1 << baseShift)
        let top = Int.bitWidth - 1 - biased.leadingZeroBitCount
        return (2 << top) - biased
    }

    /// Makes the chunk of `row` exist. Writer only.
    ///
    /// - Returns: false when there is no memory for it.
    @usableFromInline func tryReserve(row: Int) -> Bool {
        let top = Int.bitWidth - 1 - (row + (1 << baseShift)).leadingZeroBitCount
        let chunk = top - baseShift
        precondition(chunk < Self.chunksMax, "row \(row) is beyond the last chunk")
        if unsafe chunks[chunk] != nil { return true }
        return make(chunk)
    }

    /// Makes the chunks of these rows exist. Writer only.
    func tryReserve(rows: Range<Int>) -> Bool {
        var row = rows.lowerBound
        while row < rows.upperBound {
            guard tryReserve(row: row) else { return false }
            row += contiguousRows(from: row)
        }
        return true
    }

    /// Makes room for any number of runs that take `count` rows together, laid down from `row` on,
    /// where a run that does not fit into the rest of a chunk begins the next. Writer only.
    func tryReserve(from row: Int, packing count: Int) -> Bool {
        var row = row
        while true {
            guard tryReserve(row: row) else { return false }
            let room = contiguousRows(from: row)
            if room >= count { return true }
            row += room
        }
    }

    /// Makes the chunk of `row` exist. Writer only.
    ///
    /// Ask `tryReserve` first for what was not yet promised to anybody: without memory this ends
    /// the process; the log has what was acknowledged.
    @usableFromInline func reserve(row: Int) {
        if tryReserve(row: row) { return }
        if EmergencyMemory.release(), tryReserve(row: row) { return }
        preconditionFailure("out of memory for rows of \(rowBytes) bytes from \(row)")
    }

    private func make(_ chunk: Int) -> Bool {
        guard AllocationLimit.take() else { return false }
        let byteCount = byteCount(ofChunk: chunk)
        if byteCount >= Self.mappedBytesMin {
            let memory = unsafe mmap(
                nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { return false }
            if byteCount >= 1 << 22 { unsafe madvise(memory, byteCount, 14 /* MADV_HUGEPAGE */) }
            unsafe chunks[chunk] = memory
        } else {
            guard let memory = unsafe aligned_alloc(64, byteCount) else { return false }
            unsafe memset(memory, 0, byteCount)
            unsafe chunks[chunk] = memory
        }
        return true
    }

    /// The first byte of `row`.
    /// - Precondition: the writer has reserved `row`.
    @inlinable @inline(__always) func address(_ row: Int) -> UnsafeMutableRawPointer {
        precondition(row >= 0)
        let biased = row + (1 << baseShift)
        let top = Int.bitWidth - 1 - biased.leadingZeroBitCount
        let chunk = top - baseShift
        precondition(chunk < Self.chunksMax)
        guard let memory = unsafe chunks[chunk] else {
            preconditionFailure("row \(row) was never written")
        }
        return unsafe memory + (biased - (1 << top)) * rowBytes
    }

    /// Resident bytes of the chunks that `rowCount` rows need: mapped ones become resident as they
    /// are written. Any thread, since it looks at no chunk.
    @usableFromInline func reservedBytes(rowCount: Int) -> Int {
        var total = 0
        var first = 0
        var chunk = 0
        while first < rowCount {
            let whole = byteCount(ofChunk: chunk)
            let isMapped = whole >= Self.mappedBytesMin
            total += isMapped ? min(whole, rowBytes * (rowCount - first)) : whole
            first += 1 << (baseShift + chunk)
            chunk += 1
        }
        return total
    }
}
