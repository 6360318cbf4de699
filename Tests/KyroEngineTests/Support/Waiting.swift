// Waiting for what other threads do, on a machine that may be busy with anything else.
import KyroPlatform

/// Looks every millisecond; false when it does not come about in two minutes.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let clock = SystemClock()
    let end = clock.monotonicNanos() + 120_000_000_000
    let pause = Gate()
    while try !condition() {
        if clock.monotonicNanos() > end { return false }
        _ = pause.wait(timeoutNanos: 1_000_000)
    }
    return true
}

/// Threads that all have the same claim to the processor: what a test waits for in the background
/// must not starve because something else builds or measures on the same machine.
struct EvenScheduler: Scheduler {
    func start(
        name: String, priority: ThreadPriority,
        turn: @escaping @Sendable (_ mayWait: Bool) -> Turn
    ) -> any ScheduledProcess {
        ThreadScheduler().start(name: name, priority: .normal, turn: turn)
    }
}
