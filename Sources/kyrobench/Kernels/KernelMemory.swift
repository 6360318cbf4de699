// The rows that kernels are measured on.
import Glibc
import KyroBytes
import KyroCommands

/// A block of memory in huge pages, where the system has some, filled so that it can be read as rows
/// of any kind: each half of a float is a bf16 of magnitude 0.5 to 2, so nothing is subnormal.
final class KernelMemory {
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    private var places: UInt64

    init(byteCount: Int, seed: UInt64) throws {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0),
            base != MAP_FAILED
        else { throw BenchError("\(byteCount) bytes: \(errnoText())") }
        madvise(base, byteCount, Int32(MADV_HUGEPAGE))
        self.base = base
        self.byteCount = byteCount
        places = seed
        for offset in stride(from: 0, to: byteCount, by: 8) {
            let random = mix64(seed &+ UInt64(offset))
            let halves = 0x3F00_3F00_3F00_3F00 | (random & 0x80FF_80FF_80FF_80FF)
            base.storeBytes(of: halves, toByteOffset: offset, as: UInt64.self)
        }
    }

    deinit { munmap(base, byteCount) }

    /// `count` rows at cache lines: at random places, with room for `span` bytes behind each, or
    /// one behind the other from the start, over and over, within `cacheBytes`.
    func rows(
        count: Int, rowBytes: Int, span: Int, withinCache cacheBytes: Int?
    ) -> [UnsafeRawPointer?] {
        let stride = (rowBytes + 63) / 64 * 64
        if let cacheBytes {
            let distinct = max(1, min(cacheBytes, byteCount - span) / stride)
            return (0..<count).map { UnsafeRawPointer(base + $0 % distinct * stride) }
        }
        let lines = (byteCount - span) / 64
        precondition(lines > 0, "\(span) bytes in \(byteCount)")
        return (0..<count).map { _ in
            places &+= 1
            return UnsafeRawPointer(base + Int(mix64(places) % UInt64(lines)) * 64)
        }
    }
}
