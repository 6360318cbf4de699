// Where rare, slow things happen one after the other: catalog changes and snapshots.
import KyroPlatform

/// One process with a queue of jobs. Nothing that a reader waits for runs here.
final class ControlThread: Sendable {
    private let queue: BlockingQueue<@Sendable () -> Void>
    private let process: any ScheduledProcess

    /// - Parameter weightMax: of the jobs waiting, in the unit of `run`'s weight.
    init(
        name: String, weightMax: Int, priority: ThreadPriority = .normal,
        scheduler: any Scheduler
    ) {
        let queue = BlockingQueue<@Sendable () -> Void>(weightMax: weightMax)
        self.queue = queue
        process = scheduler.start(name: name, priority: priority) { mayWait in
            // The oldest job alone: what it does may decide about the next.
            let jobs = queue.popAll(weightLimit: 0, timeoutMillis: mayWait ? nil : 0)
            for job in jobs { job() }
            if queue.isDrained { return .finished }
            return jobs.isEmpty ? .idle : .again
        }
    }

    /// False when there are too many jobs, or the process is stopping.
    ///
    /// - Parameter ignoresBound: for the second half of a job that was counted before.
    func run(
        weight: Int = 1, ignoresBound: Bool = false, _ job: @escaping @Sendable () -> Void
    ) -> Bool {
        let pushed = queue.push(job, weight: weight, ignoresBound: ignoresBound)
        if case .accepted = pushed { return true }
        return false
    }

    /// Of the jobs waiting.
    var queuedWeight: Int { queue.queuedWeight }

    /// Finishes what is queued.
    func stop() {
        queue.close()
        process.join()
    }
}
