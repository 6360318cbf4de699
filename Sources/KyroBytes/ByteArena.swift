// Byte strings that are written once, found by their offset, and never moved.
import Glibc
import Synchronization

/// Append-only bytes: one writer, many readers, under the rules of `Column`.
///
/// `@unchecked Sendable`: strings are written before their offset is published.
@safe public final class ByteArena: @unchecked Sendable {
    let directory: ChunkDirectory
    private let end = Atomic<Int>(0)

    /// - Parameter baseShift: log2 of the first chunk's bytes.
    public init(baseShift: Int = 12) {
        directory = ChunkDirectory(rowBytes: 1, baseShift: baseShift)
    }

    /// Bytes given out, gaps at the ends of chunks included. Any thread.
    public var count: Int { end.load(ordering: .relaxed) }

    /// Makes room for any number of strings of `byteCount` bytes together; false when there is no
    /// memory for them. Writer only.
    public func tryReserve(byteCount: Int) -> Bool {
        directory.tryReserve(from: count, packing: byteCount)
    }

    /// Copies `bytes` in and returns where they are. A string lies in one chunk; what does not fit
    /// into the rest of a chunk begins the next. Writer only.
    public func append(_ bytes: [UInt8]) -> Int { append(bytes, range: 0..<bytes.count) }

    /// The same with a part of `bytes`.
    public func append(_ bytes: [UInt8], range: Range<Int>) -> Int {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        var offset = count
        guard !range.isEmpty else { return offset }
        while directory.contiguousRows(from: offset) < range.count {
            offset += directory.contiguousRows(from: offset)
        }
        directory.reserve(row: offset)
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            unsafe directory.address(offset).copyMemory(
                from: base + range.lowerBound, byteCount: range.count)
        }
        end.store(offset + range.count, ordering: .relaxed)
        return offset
    }

    public func bytes(at offset: Int, count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        precondition(count <= directory.contiguousRows(from: offset))
        let start = unsafe directory.address(offset)
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Whether the string at `offset` is `bytes`.
    public func equals(_ bytes: [UInt8], at offset: Int, count: Int) -> Bool {
        guard count == bytes.count else { return false }
        guard count > 0 else { return true }
        precondition(count <= directory.contiguousRows(from: offset))
        let start = unsafe UnsafeRawBufferPointer(start: directory.address(offset), count: count)
        return unsafe start.elementsEqual(bytes)
    }

    /// Whether the string at `a` comes before the one at `b`, byte by byte.
    public func precedes(_ a: Int, count countA: Int, _ b: Int, count countB: Int) -> Bool {
        let shared = min(countA, countB)
        if shared > 0 {
            precondition(shared <= directory.contiguousRows(from: a))
            precondition(shared <= directory.contiguousRows(from: b))
            let order = unsafe memcmp(directory.address(a), directory.address(b), shared)
            if order != 0 { return order < 0 }
        }
        return countA < countB
    }

    public var residentBytes: Int { directory.reservedBytes(rowCount: count) }
}

extension ByteArena {
    /// Calls `body` with the bytes from `offset` to the end of its chunk, of which those may be read
    /// that were written.
    @inline(__always)
    public func withBytes<Result>(
        from offset: Int, _ body: (Span<UInt8>) -> Result
    ) -> Result {
        let count = directory.contiguousRows(from: offset)
        let start = unsafe directory.address(offset).assumingMemoryBound(to: UInt8.self)
        return body(unsafe Span(_unsafeStart: start, count: count))
    }
}
