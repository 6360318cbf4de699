// How abandoned work learns that nobody waits for it.
import Synchronization

/// Set once, from any thread, when a caller cancels, disconnects or runs out of time. Long loops
/// poll it every few hundred steps, so that abandoned work stops within 10 ms.
public final class Cancellation: Sendable {
    private let flag = Atomic<UInt8>(0)

    public init() {}

    public enum Cause: UInt8, Sendable {
        case cancelled = 1
        case deadlineExceeded = 2
    }

    /// The first cause stays.
    public func cancel(_ cause: Cause = .cancelled) {
        _ = flag.compareExchange(
            expected: 0, desired: cause.rawValue, ordering: .releasing)
    }

    public var isCancelled: Bool { flag.load(ordering: .relaxed) != 0 }

    public var cause: Cause? { Cause(rawValue: flag.load(ordering: .acquiring)) }

    /// Throws what the caller would be told, were it still there.
    public func check() throws(KyroError) {
        switch cause {
        case nil: return
        case .cancelled: throw KyroError(.cancelled, "the call was cancelled")
        case .deadlineExceeded: throw KyroError(.deadlineExceeded, "the deadline has passed")
        }
    }
}
