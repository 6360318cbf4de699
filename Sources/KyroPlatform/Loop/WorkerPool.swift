// Threads for work that would hold up a loop, behind a bounded queue.
import CLinux
import Glibc

/// `@unchecked Sendable`: all state is touched under `mutex` only.
@safe public final class WorkerPool: @unchecked Sendable {
    public typealias Job = @Sendable () -> Void

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var jobs: [Job?]
    private var head = 0
    private var count = 0
    private var idleThreads = 0
    private var isStopping = false
    private var threads: [KyroThread] = []

    /// - Parameters:
    ///   - jobsMax: jobs that may wait; those that run do not count.
    public init(name: String, threadCount: Int, jobsMax: Int) {
        precondition(threadCount > 0 && jobsMax > 0, "\(threadCount) threads, \(jobsMax) jobs")
        jobs = Array(repeating: nil, count: jobsMax)
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
        for i in 0..<threadCount {
            threads.append(KyroThread(name: "\(name)-\(i)") { [unowned self] in self.run() })
        }
    }

    deinit {
        stop()
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// False when the queue is full, or the pool stopped: the job never runs.
    public func submit(_ job: @escaping Job) -> Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return append(job)
    }

    /// Under the lock.
    private func append(_ job: @escaping Job) -> Bool {
        guard !isStopping, count < jobs.count else { return false }
        jobs[(head + count) % jobs.count] = job
        count += 1
        if idleThreads > 0 { unsafe pthread_cond_signal(condition) }
        return true
    }

    /// Runs `body(0)` to `body(parts - 1)`, each once, and returns when all are done: here, and on
    /// those threads of the pool that have nothing to do now. Nobody waits for a thread: where all
    /// are busy, the caller does everything, in order.
    ///
    /// Blocks, so it is not for event loops.
    public func share(_ parts: Int, _ body: @escaping @Sendable (Int) -> Void) {
        guard parts > 1 else {
            if parts == 1 { body(0) }
            return
        }
        let work = SharedWork(parts, body)
        enlist(parts - 1, for: work)
        work.takePart()
        work.wait()
    }

    /// - Parameter most: threads that there is work for.
    private func enlist(_ most: Int, for work: SharedWork) {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        // Threads that were woken and have not yet taken their job count as idle, too.
        for _ in 0..<min(most, max(0, idleThreads - count)) {
            guard append({ work.takePart() }) else { return }
        }
    }

    /// Jobs that wait for a thread.
    public var depth: Int {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return count
    }

    /// Threads that wait for a job now.
    package var idleThreadCount: Int {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return max(0, idleThreads - count)
    }

    /// Takes no more jobs, runs those it has, and ends its threads. One caller, not a job.
    public func stop() {
        unsafe pthread_mutex_lock(mutex)
        isStopping = true
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
        for thread in threads { thread.join() }
        threads = []
    }

    private func run() {
        while let job = next() { job() }
    }

    private func next() -> Job? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        idleThreads += 1
        while count == 0, !isStopping { unsafe pthread_cond_wait(condition, mutex) }
        idleThreads -= 1
        guard count > 0 else { return nil }
        let job = jobs[head].take()
        head = (head + 1) % jobs.count
        count -= 1
        return job
    }
}
