// Bulk writes of little-endian numbers, copied rather than looped over.

extension ByteWriter {
    /// Four bytes a value.
    public mutating func writeFloats(_ values: [Float]) {
        #if _endian(big)
            for value in values { writeFixed32(value.bitPattern) }
        #else
            unsafe values.withUnsafeBytes { source in
                unsafe storage.append(contentsOf: source)
            }
        #endif
    }
}
