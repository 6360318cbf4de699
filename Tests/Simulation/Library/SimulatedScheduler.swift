// Gives the engine's processes their turns on one thread, in an order that the seed draws.
import KyroPlatform

/// `@unchecked Sendable`: the simulator is one thread.
final class SimulatedScheduler: Scheduler, @unchecked Sendable {
    final class Process: ScheduledProcess, @unchecked Sendable {
        let name: String
        fileprivate var turn: (@Sendable (_ mayWait: Bool) -> Turn)?
        fileprivate var isIdle = false
        private unowned let scheduler: SimulatedScheduler

        fileprivate init(
            name: String, scheduler: SimulatedScheduler,
            turn: @escaping @Sendable (_ mayWait: Bool) -> Turn
        ) {
            self.name = name
            self.scheduler = scheduler
            self.turn = turn
        }

        var isFinished: Bool { turn == nil }

        func join() { scheduler.finish(self) }
    }

    /// Turns after which a process that never rests counts as hung.
    private static let turnsMax = 200_000

    private var processes: [Process] = []
    private var dice: Dice
    /// Called before each turn with the process's name.
    var onTurn: ((String) -> Void)?
    private(set) var isHung = false

    init(dice: Dice) { self.dice = dice }

    func start(
        name: String, priority: ThreadPriority,
        turn: @escaping @Sendable (_ mayWait: Bool) -> Turn
    ) -> any ScheduledProcess {
        let process = Process(name: name, scheduler: self, turn: turn)
        processes.append(process)
        return process
    }

    /// One turn of any process.
    func step() {
        guard !processes.isEmpty else { return }
        give(processes[dice.below(processes.count)])
    }

    /// Turns until no process has anything to do.
    ///
    /// - Parameter isOver: asked after each turn; ends the run early.
    func runUntilQuiet(isOver: () -> Bool = { false }) {
        var idle = 0
        var turns = 0
        var position = processes.isEmpty ? 0 : dice.below(processes.count)
        while idle < processes.count, !isOver() {
            position = (position + 1) % processes.count
            idle = give(processes[position]) ? 0 : idle + 1
            turns += 1
            if turns > Self.turnsMax {
                isHung = true
                return
            }
        }
    }

    /// Turns of all processes, until this one has finished.
    private func finish(_ process: Process) {
        var turns = 0
        while !process.isFinished {
            turns += 1
            if turns > Self.turnsMax {
                isHung = true
                return
            }
            if turns % 4 == 0 { give(process) } else { step() }
        }
    }

    /// Whether there is more to do.
    @discardableResult
    private func give(_ process: Process) -> Bool {
        guard let turn = process.turn else { return false }
        onTurn?(process.name)
        switch turn(false) {
        case .again: return true
        case .idle: return false
        case .finished:
            process.turn = nil
            return false
        }
    }

    /// The process of the operating system is gone, and all of these with it.
    func abandon() {
        for process in processes { process.turn = nil }
        processes.removeAll()
    }
}
