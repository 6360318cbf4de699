// Threads of an engine under test.
import KyroPlatform

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
