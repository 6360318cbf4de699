// Where rare, slow things happen one after the other: catalog changes and snapshots.
import KyroPlatform

/// One thread with a queue of jobs. Nothing that a reader waits for runs here.
final class ControlThread: Sendable {
    private let queue = BlockingQueue<@Sendable () -> Void>(weightMax: 65_536)
    private let thread: KyroThread

    init(name: String, priority: ThreadPriority = .normal) {
        let queue = queue
        thread = KyroThread(name: name) {
            priority.apply()
            while !queue.isDrained {
                for job in queue.popAll() { job() }
            }
        }
    }

    /// False when there are too many jobs, or the thread is stopping.
    func run(_ job: @escaping @Sendable () -> Void) -> Bool {
        if case .accepted = queue.push(job) { return true }
        return false
    }

    /// Finishes what is queued.
    func stop() {
        queue.close()
        thread.join()
    }
}
