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
        guard !isStopping, count < jobs.count else { return false }
        jobs[(head + count) % jobs.count] = job
        count += 1
        if idleThreads > 0 { unsafe pthread_cond_signal(condition) }
        return true
    }

    /// Jobs that wait for a thread.
    public var depth: Int {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return count
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
