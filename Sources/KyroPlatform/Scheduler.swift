// How long-lived processes run: each on a thread of its own, or turn by turn as a test decides.

/// What a process says at the end of a turn.
public enum Turn: Sendable {
    /// There is more to do.
    case again
    /// Nothing to do now.
    case idle
    /// The process is over; it gets no further turn.
    case finished
}

/// Runs processes. A turn that may wait does so in its own queue or gate; one that may not returns
/// `.idle` instead. No turn waits for another process, so that a single thread can run them all.
public protocol Scheduler: Sendable {
    /// Gives `turn` its turns, one after the other, until one finishes.
    ///
    /// - Parameter name: the kernel shows the first 15 bytes.
    func start(
        name: String, priority: ThreadPriority,
        turn: @escaping @Sendable (_ mayWait: Bool) -> Turn
    ) -> any ScheduledProcess
}

public protocol ScheduledProcess: AnyObject, Sendable {
    /// Returns when the process has finished. One caller, once.
    func join()
}

/// A thread for every process.
public struct ThreadScheduler: Scheduler {
    public init() {}

    public func start(
        name: String, priority: ThreadPriority,
        turn: @escaping @Sendable (_ mayWait: Bool) -> Turn
    ) -> any ScheduledProcess {
        KyroThread(name: name) {
            priority.apply()
            while true {
                if case .finished = turn(true) { return }
            }
        }
    }
}

extension KyroThread: ScheduledProcess {}
