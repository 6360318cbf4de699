// Chance as a parameter: the kernel's, or a seeded one that a test can repeat.
import CLinux
import Glibc
import KyroBytes

public protocol RandomSource: AnyObject, Sendable {
    func next() -> UInt64
}

extension RandomSource {
    /// `count` bytes.
    public func bytes(count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count < count {
            var word = next()
            for _ in 0..<min(8, count - result.count) {
                result.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        return result
    }
}

/// getrandom(2), which cannot fail for up to 256 bytes once the kernel's pool is ready.
public final class SystemRandomSource: RandomSource {
    public init() {}

    public func next() -> UInt64 {
        var word: UInt64 = 0
        var count = -1
        repeat {
            count = unsafe withUnsafeMutableBytes(of: &word) { target in
                unsafe getrandom(target.baseAddress, target.count, 0)
            }
        } while count < 0 && errno == EINTR
        precondition(count == 8, "getrandom gave \(count) bytes of 8")
        return word
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014, figure 17).
public final class SeededRandomSource: RandomSource {
    private let state: Locked<UInt64>

    public init(seed: UInt64) { state = Locked(seed) }

    public func next() -> UInt64 {
        state.withLock { state in
            defer { state &+= 0x9E37_79B9_7F4A_7C15 }
            return mix64(state)
        }
    }
}
