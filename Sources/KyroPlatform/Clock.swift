// Time as a parameter: the system's, or one that a test turns by hand.
import CLinux

public protocol Clock: AnyObject, Sendable {
    /// Nanoseconds since some fixed moment; never goes back.
    func monotonicNanos() -> UInt64
    /// The same, and goes on while the machine sleeps.
    func bootNanos() -> UInt64
    /// Unix milliseconds.
    func wallMillis() -> Int64
}

public final class SystemClock: Clock {
    public init() {}

    public func monotonicNanos() -> UInt64 {
        let now = Self.read(CLOCK_MONOTONIC)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    public func bootNanos() -> UInt64 {
        let now = Self.read(CLOCK_BOOTTIME)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    public func wallMillis() -> Int64 {
        let now = Self.read(CLOCK_REALTIME)
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var now = timespec()
        let status = unsafe clock_gettime(clock, &now)
        precondition(status == 0, "clock_gettime(\(clock)) returned \(status)")
        return now
    }
}

/// Stands still until told otherwise.
public final class ManualClock: Clock {
    private struct State {
        var nanos: UInt64
        var millis: Int64
    }

    private let state: Locked<State>

    public init(nanos: UInt64 = 0, wallMillis: Int64 = 0) {
        state = Locked(State(nanos: nanos, millis: wallMillis))
    }

    public func monotonicNanos() -> UInt64 { state.withLock { $0.nanos } }
    public func bootNanos() -> UInt64 { state.withLock { $0.nanos } }
    public func wallMillis() -> Int64 { state.withLock { $0.millis } }

    /// Moves both clocks on.
    public func advance(millis: Int64) {
        precondition(millis >= 0, "a clock does not go back: \(millis)")
        state.withLock {
            $0.nanos += UInt64(millis) * 1_000_000
            $0.millis += millis
        }
    }

    /// Sets the wall clock, which may jump in both directions.
    public func setWall(millis: Int64) { state.withLock { $0.millis = millis } }
}
