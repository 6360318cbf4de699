// Bulk reads of little-endian numbers, copied rather than looped over.

extension ByteReader {
    /// Appends `count` little-endian floats to `values`.
    public mutating func readFloats(count: Int, into values: inout [Float]) throws(ByteError) {
        guard count >= 0, count <= remaining / 4 else { throw .truncated }
        let start = values.count
        values.append(contentsOf: repeatElement(0, count: count))
        let from = cursor
        cursor += count * 4
        unsafe values.withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { source in
                let tail = unsafe UnsafeMutableRawBufferPointer(rebasing: target[(start * 4)...])
                unsafe tail.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[from..<(from + count * 4)]))
            }
        }
        #if _endian(big)
            for i in start..<values.count {
                values[i] = Float(bitPattern: values[i].bitPattern.byteSwapped)
            }
        #endif
    }
}
