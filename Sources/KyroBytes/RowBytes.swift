// Rows of columns as the little-endian bytes of a file, block by block. Hosts are little-endian.

extension Column {
    /// Bytes of a row without the padding behind it.
    public var plainRowBytes: Int { width * MemoryLayout<Element>.stride }

    /// Appends the rows to `writer`, without padding. Any thread that has learnt of them.
    public func append(rows: Range<Int>, to writer: inout ByteWriter) {
        unsafe directory.forEachPiece(of: rows, plainBytes: plainRowBytes) { memory, byteCount in
            unsafe writer.append(UnsafeRawBufferPointer(start: memory, count: byteCount))
        }
    }

    /// Makes the rows and takes their bytes from `bytes[offset...]`. Writer only.
    /// - Precondition: the bytes are there.
    public func fill(rows: Range<Int>, from bytes: [UInt8], at offset: Int) {
        directory.fill(rows: rows, plainBytes: plainRowBytes, from: bytes, at: offset)
    }

    /// Makes the rows and lets `body` write them, piece after piece. Writer only.
    public func fill<Failure: Error>(
        rows: Range<Int>, _ body: (inout MutableRawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        directory.reserve(rows: rows)
        try unsafe directory.forEachPiece(of: rows, plainBytes: plainRowBytes) {
            (memory, byteCount) throws(Failure) in
            var span = unsafe MutableRawSpan(_unsafeStart: memory, byteCount: byteCount)
            try body(&span)
        }
    }
}

extension AtomicColumn64 {
    /// As of `Column`. - Precondition: no reader has learnt of the rows.
    public func fill(rows: Range<Int>, from bytes: [UInt8], at offset: Int) {
        directory.fill(rows: rows, plainBytes: 8, from: bytes, at: offset)
    }
}

extension AtomicColumn32 {
    /// As of `Column`. - Precondition: no reader has learnt of the rows.
    public func fill<Failure: Error>(
        rows: Range<Int>, _ body: (inout MutableRawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        directory.reserve(rows: rows)
        try unsafe directory.forEachPiece(of: rows, plainBytes: width * 4) {
            (memory, byteCount) throws(Failure) in
            var span = unsafe MutableRawSpan(_unsafeStart: memory, byteCount: byteCount)
            try body(&span)
        }
    }

    /// The highest cell of the rows.
    public func maximum(rows: Range<Int>) -> UInt32 {
        var highest: UInt32 = 0
        unsafe directory.forEachPiece(of: rows, plainBytes: width * 4) { memory, byteCount in
            let cells = unsafe memory.assumingMemoryBound(to: UInt32.self)
            var piece: UInt32 = 0
            for i in 0..<(byteCount / 4) { piece = unsafe max(piece, cells[i]) }
            highest = max(highest, piece)
        }
        return highest
    }
}

extension ByteArena {
    /// Appends the string at `offset` to `writer`.
    public func append(at offset: Int, count: Int, to writer: inout ByteWriter) {
        guard count > 0 else { return }
        precondition(count <= directory.contiguousRows(from: offset))
        unsafe writer.append(
            UnsafeRawBufferPointer(start: directory.address(offset), count: count))
    }
}

extension ByteWriter {
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        unsafe storage.append(contentsOf: bytes)
    }

    /// Four bytes a value.
    public mutating func writeFixed32s(_ values: [UInt32]) {
        unsafe values.withUnsafeBytes { unsafe append($0) }
    }

    /// Eight bytes a value.
    public mutating func writeFixed64s(_ values: [UInt64]) {
        unsafe values.withUnsafeBytes { unsafe append($0) }
    }
}

extension MutableRawSpan {
    /// Overwrites `[start, start + range.count)` with `bytes[range]`.
    @safe public mutating func copy(_ bytes: [UInt8], range: Range<Int>, to start: Int) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        precondition(start >= 0 && start + range.count <= byteCount)
        unsafe withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { source in
                guard let to = target.baseAddress, let from = source.baseAddress else { return }
                unsafe (to + start).copyMemory(
                    from: from + range.lowerBound, byteCount: range.count)
            }
        }
    }
}

extension ChunkDirectory {
    /// Makes the chunks of the rows exist. Writer only.
    func reserve(rows: Range<Int>) {
        var row = rows.lowerBound
        while row < rows.upperBound {
            reserve(row: row)
            row += contiguousRows(from: row)
        }
    }

    /// The rows' bytes in order, as long pieces as there are: a row each where rows are padded.
    func forEachPiece<Failure: Error>(
        of rows: Range<Int>, plainBytes: Int,
        _ body: (UnsafeMutableRawPointer, Int) throws(Failure) -> Void
    ) throws(Failure) {
        var row = rows.lowerBound
        while row < rows.upperBound {
            let side =
                plainBytes == rowBytes
                ? min(contiguousRows(from: row), rows.upperBound - row) : 1
            try unsafe body(address(row), side * plainBytes)
            row += side
        }
    }

    func fill(rows: Range<Int>, plainBytes: Int, from bytes: [UInt8], at offset: Int) {
        precondition(
            offset >= 0 && offset + rows.count * plainBytes <= bytes.count,
            "\(rows.count) rows of \(plainBytes) bytes at \(offset) of \(bytes.count)")
        reserve(rows: rows)
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            var from = unsafe base + offset
            unsafe forEachPiece(of: rows, plainBytes: plainBytes) { memory, byteCount in
                unsafe memory.copyMemory(from: from, byteCount: byteCount)
                unsafe from += byteCount
            }
        }
    }
}
