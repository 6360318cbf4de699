// Writes bytes for somebody else to read; the counterpart of ByteReader.

/// Appends to one buffer. Give the size up front where it is known: nothing grows then.
public struct ByteWriter {
    @usableFromInline var storage: [UInt8]

    public init(capacity: Int = 0) {
        storage = []
        storage.reserveCapacity(capacity)
    }

    @inlinable public var bytes: [UInt8] { storage }
    @inlinable public var count: Int { storage.count }

    @inlinable public mutating func writeByte(_ value: UInt8) { append(value) }

    @inlinable public mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    @inlinable public mutating func writeFixed16(_ value: UInt16) {
        for shift in stride(from: UInt16(0), to: 16, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    @inlinable public mutating func writeFixed32(_ value: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    @inlinable public mutating func writeFixed64(_ value: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    @inlinable public mutating func writeBytes(_ value: [UInt8]) {
        storage.append(contentsOf: value)
    }

    @inlinable public mutating func writeUTF8(_ value: String) {
        storage.append(contentsOf: value.utf8)
    }

    @inlinable public mutating func writeZeros(count: Int) {
        storage.append(contentsOf: repeatElement(0, count: count))
    }

    /// Overwrites four bytes written before, for lengths and checksums that are known late.
    @inlinable public mutating func patchFixed32(_ value: UInt32, at offset: Int) {
        for i in 0..<4 {
            storage[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(i)))
        }
    }

    @inlinable mutating func append(_ byte: UInt8) { storage.append(byte) }
}

/// Bytes that `value` takes as a varint: 1 to 10.
@inlinable public func varintByteCount(_ value: UInt64) -> Int {
    let bits = 64 - (value | 1).leadingZeroBitCount
    return (bits + 6) / 7
}
