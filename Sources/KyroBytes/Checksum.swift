// CRC-32C over Swift's byte containers.
import CKernels

/// CRC-32C (Castagnoli) of `bytes[range]`, continuing from `crc`; zero starts.
public func crc32c(_ bytes: [UInt8], range: Range<Int>? = nil, from crc: UInt32 = 0) -> UInt32 {
    let range = range ?? 0..<bytes.count
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    return unsafe bytes.withUnsafeBytes { all in
        unsafe kyro_crc32c(crc, all.baseAddress.map { unsafe $0 + range.lowerBound }, range.count)
    }
}

/// CRC-32C of a span, continuing from `crc`; zero starts.
public func crc32c(_ span: RawSpan, from crc: UInt32 = 0) -> UInt32 {
    unsafe span.withUnsafeBytes { all in
        unsafe kyro_crc32c(crc, all.baseAddress, all.count)
    }
}
