// Work that must not delay anybody who waits.
import Glibc

public enum ThreadPriority: Equatable, Sendable {
    case normal
    /// A thread that wakes takes the core from it at once, yet it gets about a tenth of a core under
    /// full load (nice 10, a thread's own on Linux: sched(7)). Not SCHED_IDLE, under which it could
    /// hold a lock and not run for a long time.
    case background

    /// For the calling thread, at its start.
    public func apply() {
        guard self == .background else { return }
        // Lowering one's own priority is always allowed.
        _ = setpriority(Int32(bitPattern: PRIO_PROCESS.rawValue), 0, 10)
    }
}
