// One stable hash for placement, one seeded hash for tables, both XXH3.
import CXXHash

/// XXH3, 64 bits. With the same seed it is the same on every machine and in every version.
public func xxh3(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 {
    unsafe bytes.withUnsafeBytes { all in
        unsafe XXH3_64bits_withSeed(all.baseAddress, all.count, seed)
    }
}

/// A bijection on 64-bit words whose every output bit depends on every input bit (the finaliser of
/// SplitMix64, Steele, Lea & Flood 2014).
@inlinable public func mix64(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
}

extension ByteArena {
    /// XXH3 of the string at `offset`.
    public func xxh3(at offset: Int, count: Int, seed: UInt64) -> UInt64 {
        guard count > 0 else { return XXH3_64bits_withSeed(nil, 0, seed) }
        precondition(count <= directory.contiguousRows(from: offset))
        return unsafe XXH3_64bits_withSeed(directory.address(offset), count, seed)
    }

    /// Whether the strings at two places are the same.
    public func areEqual(_ a: Int, _ b: Int, count: Int) -> Bool {
        guard count > 0, a != b else { return true }
        precondition(count <= directory.contiguousRows(from: a))
        precondition(count <= directory.contiguousRows(from: b))
        return unsafe UnsafeRawBufferPointer(start: directory.address(a), count: count)
            .elementsEqual(UnsafeRawBufferPointer(start: directory.address(b), count: count))
    }
}
