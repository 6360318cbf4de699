// Gives the engine's processes their turns on the test's own thread.
import KyroPlatform

/// Runs processes in the order in which they were started, when told to. One thread.
///
/// `@unchecked Sendable`: the test that owns it has one thread.
final class TurnScheduler: Scheduler, @unchecked Sendable {
    private final class Process: ScheduledProcess, @unchecked Sendable {
        let turn: @Sendable (Bool) -> Turn
        var isFinished = false
        /// Until the process has finished: who joins it may hold nothing else of the engine.
        var scheduler: TurnScheduler?

        init(_ turn: @escaping @Sendable (Bool) -> Turn) { self.turn = turn }

        func join() {
            while !isFinished { scheduler?.round() }
        }
    }

    private var processes: [Process] = []

    func start(
        name: String, priority: ThreadPriority,
        turn: @escaping @Sendable (_ mayWait: Bool) -> Turn
    ) -> any ScheduledProcess {
        let process = Process(turn)
        process.scheduler = self
        processes.append(process)
        return process
    }

    /// One turn for each; false when all were idle.
    @discardableResult
    func round() -> Bool {
        var isBusy = false
        for process in processes where !process.isFinished {
            switch process.turn(false) {
            case .again: isBusy = true
            case .idle: break
            case .finished:
                process.isFinished = true
                process.scheduler = nil
            }
        }
        return isBusy
    }

    /// Turns until nobody has anything to do.
    func settle() {
        while round() {}
    }

    /// Turns until `isDone`. Traps when nobody has anything to do and it is not.
    func run(until isDone: () -> Bool) {
        var idleRounds = 0
        while !isDone() {
            precondition(idleRounds < 100, "every process is idle")
            idleRounds = round() ? 0 : idleRounds + 1
        }
    }
}
