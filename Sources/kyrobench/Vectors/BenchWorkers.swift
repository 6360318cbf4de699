// The threads of a benchmark, and the processor time that they take.
import Glibc
import KyroIndex
import KyroPlatform
import Synchronization

/// So many threads at once, the calling one among them.
struct BenchWorkers: BulkWorkers {
    let count: Int
    /// Of the calling thread.
    var meter: WorkMeter?

    func run(_ body: @escaping @Sendable (Int) -> Void) {
        meter?.enter()
        let threads = (1..<max(1, count)).map { number in
            KyroThread(name: "worker-\(number)") { body(number) }
        }
        body(0)
        for thread in threads { thread.join() }
        meter?.leave()
    }
}

/// Processor time from its making on: of all threads, and of the calling one outside of what it does
/// together with others, which no further core makes shorter. On a machine that others use, too, both
/// say more than the time that passed.
final class WorkMeter: Sendable {
    private let process = WorkMeter.seconds(CLOCK_PROCESS_CPUTIME_ID)
    private let thread = WorkMeter.seconds(CLOCK_THREAD_CPUTIME_ID)
    private let entered = Locked<Double>(0)
    private let shared = Locked<Double>(0)

    fileprivate func enter() {
        let now = Self.seconds(CLOCK_THREAD_CPUTIME_ID)
        entered.withLock { $0 = now }
    }

    fileprivate func leave() {
        let taken = Self.seconds(CLOCK_THREAD_CPUTIME_ID) - entered.withLock { $0 }
        shared.withLock { $0 += taken }
    }

    var processorSeconds: Double { Self.seconds(CLOCK_PROCESS_CPUTIME_ID) - process }

    /// The thread that made it only.
    var aloneSeconds: Double {
        Self.seconds(CLOCK_THREAD_CPUTIME_ID) - thread - shared.withLock { $0 }
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Lets threads go on when all of them are there.
final class StartGate: Sendable {
    private let waiting: Atomic<Int>

    init(count: Int) { waiting = Atomic(count) }

    func pass() {
        waiting.subtract(1, ordering: .acquiringAndReleasing)
        while waiting.load(ordering: .acquiring) > 0 { sched_yield() }
    }

    /// For all, since one will not come.
    func open() { waiting.store(0, ordering: .releasing) }
}
