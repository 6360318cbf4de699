// Threads for work that would hold up a loop, behind bounded queues that take turns.
import CLinux
import Glibc

/// Jobs wait in lanes, which the threads serve in turn: whoever fills a lane waits behind himself, and
/// a job in another waits for at most one of his for each thread and turn.
///
/// `@unchecked Sendable`: all state is touched under `mutex` only.
@safe public final class WorkerPool: @unchecked Sendable {
    public typealias Job = @Sendable () -> Void

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private let jobsMax: Int
    /// Those with jobs.
    private var lanes: [UInt64: JobRing<Job>] = [:]
    /// Their turns.
    private var turns = JobRing<UInt64>()
    private var count = 0
    /// Of parts of a search that idle threads take over.
    private static let sharedLane = UInt64.max
    private var idleThreads = 0
    private var isStopping = false
    private var threads: [KyroThread] = []

    /// - Parameters:
    ///   - jobsMax: jobs that may wait in one lane; those that run do not count. With several lanes
    ///     full, twice as many in all.
    public init(name: String, threadCount: Int, jobsMax: Int) {
        precondition(threadCount > 0 && jobsMax > 0, "\(threadCount) threads, \(jobsMax) jobs")
        self.jobsMax = jobsMax
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

    /// A lane may take what all of them leave free, so that one that is full leaves room for others,
    /// and each of several less (dynamic thresholds: Choudhury & Hahne 1998, with α = 1).
    /// - Parameter lane: whose turn the job takes.
    /// - Returns: false when the lane is full, or the pool stopped: the job never runs.
    public func submit(lane: UInt64 = 0, _ job: @escaping Job) -> Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return append(job, to: lane)
    }

    /// Under the lock.
    private func append(_ job: @escaping Job, to lane: UInt64) -> Bool {
        guard !isStopping, lanes[lane]?.count ?? 0 < 2 * jobsMax - count else { return false }
        if lanes[lane, default: JobRing()].append(job) == 1 { turns.append(lane) }
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
            guard append({ work.takePart() }, to: Self.sharedLane) else { return }
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
        guard let lane = turns.popFirst() else { return nil }
        let job = lanes[lane]?.popFirst()
        if lanes[lane]?.isEmpty ?? true {
            lanes[lane] = nil
        } else {
            turns.append(lane)
        }
        count -= 1
        return job
    }
}

/// A first-in first-out queue whose room grows with what waits in it.
private struct JobRing<Element> {
    private var elements: [Element?] = []
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// - Returns: how many there are now.
    @discardableResult
    mutating func append(_ element: Element) -> Int {
        if count == elements.count {
            var grown: [Element?] = []
            grown.reserveCapacity(max(8, 2 * count))
            for i in 0..<count { grown.append(elements[(head + i) % elements.count].take()) }
            grown.append(contentsOf: repeatElement(nil, count: max(8, count)))
            elements = grown
            head = 0
        }
        elements[(head + count) % elements.count] = element
        count += 1
        return count
    }

    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = elements[head].take()
        head = (head + 1) % elements.count
        count -= 1
        return element
    }
}
