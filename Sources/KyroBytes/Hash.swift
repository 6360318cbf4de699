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
