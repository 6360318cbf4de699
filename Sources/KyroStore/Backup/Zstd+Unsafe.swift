// zstd over Swift's arrays, one frame a call.
import CZstd

enum Zstd {
    /// The library's default: about 400 MB/s a core on records, and half their size.
    private static let level: Int32 = 3

    static func compress(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let bound = ZSTD_compressBound(bytes.count)
        return unsafe [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            count = unsafe bytes.withUnsafeBytes { source in
                unsafe ZSTD_compress(
                    target.baseAddress, bound, source.baseAddress, source.count, level)
            }
            precondition(ZSTD_isError(count) == 0, "zstd refused \(bytes.count) bytes")
        }
    }

    /// - Returns: nil when `range` is no frame that holds exactly `byteCount` bytes.
    static func decompress(_ bytes: [UInt8], _ range: Range<Int>, byteCount: Int) -> [UInt8]? {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        var isWhole = false
        let plain = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { target, count in
            let written = unsafe bytes[range].withUnsafeBytes { source in
                unsafe ZSTD_decompress(
                    target.baseAddress, byteCount, source.baseAddress, source.count)
            }
            isWhole = ZSTD_isError(written) == 0 && written == byteCount
            count = isWhole ? written : 0
        }
        return isWhole ? plain : nil
    }
}
