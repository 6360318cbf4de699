// Where rare, slow things happen one after the other: catalog changes and snapshots.
import KyroPlatform

/// One thread with a queue of jobs. Nothing that a reader waits for runs here.
final class ControlThread: Sendable {
    private let queue: BlockingQueue<@Sendable () -> Void>
    private let thread: KyroThread

    /// - Parameter weightMax: of the jobs waiting, in the unit of `run`'s weight.
    init(name: String, weightMax: Int, priority: ThreadPriority = .normal) {
        let queue = BlockingQueue<@Sendable () -> Void>(weightMax: weightMax)
        self.queue = queue
        thread = KyroThread(name: name) {
            priority.apply()
            while !queue.isDrained {
                for job in queue.popAll() { job() }
            }
        }
    }

    /// False when there are too many jobs, or the thread is stopping.
    func run(weight: Int = 1, _ job: @escaping @Sendable () -> Void) -> Bool {
        if case .accepted = queue.push(job, weight: weight) { return true }
        return false
    }

    /// Finishes what is queued.
    func stop() {
        queue.close()
        thread.join()
    }
}
