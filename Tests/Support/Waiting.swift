// Waiting for what other threads do, on a machine that may be busy with anything else.
import KyroPlatform

/// Looks every millisecond; false when it does not come about in two minutes.
public func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let clock = SystemClock()
    let end = clock.monotonicNanos() + 120_000_000_000
    let pause = Gate()
    while try !condition() {
        if clock.monotonicNanos() > end { return false }
        _ = pause.wait(timeoutNanos: 1_000_000)
    }
    return true
}
