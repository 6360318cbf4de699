// Jobs of the pool, and work that its idle threads share.
import Glibc
import KyroPlatform
import Testing

@Suite struct WorkerPoolTests {
    @Test func fullQueueRefuses() throws {
        let pool = WorkerPool(name: "pool", threadCount: 1, jobsMax: 2)
        let running = try Latch()
        let gate = try Latch()
        #expect(
            pool.submit {
                running.count()
                _ = gate.wait()
            })
        #expect(running.wait())
        let done = try Latch(2)
        #expect(pool.submit { done.count() })
        #expect(pool.submit { done.count() })
        #expect(!pool.submit { done.count() })
        #expect(pool.depth == 2)
        gate.count()
        #expect(done.wait())
        pool.stop()
        #expect(!pool.submit {})
    }

    @Test func stopRunsWhatWasTaken() {
        let ran = Locked(0)
        let pool = WorkerPool(name: "pool", threadCount: 3, jobsMax: 1000)
        for _ in 0..<1000 { _ = pool.submit { ran.withLock { $0 += 1 } } }
        pool.stop()
        #expect(ran.withLock { $0 } == 1000)
    }

    @Test func everySharedPartIsDoneOnceAndBeforeTheCallerGoesOn() {
        let pool = WorkerPool(name: "share", threadCount: 3, jobsMax: 8)
        defer { pool.stop() }
        for round in 0..<2_000 {
            let parts = round % 9
            let done = Locked<[Int]>(Array(repeating: 0, count: parts))
            pool.share(parts) { part in done.withLock { $0[part] += 1 } }
            let counts = done.withLock { $0.map { $0 } }
            #expect(counts == Array(repeating: 1, count: parts), "round \(round)")
        }
    }

    /// A part waits for the other one to begin: that ends only if two threads have them.
    @Test func idleThreadsTakeTheirShare() {
        let pool = WorkerPool(name: "share", threadCount: 1, jobsMax: 8)
        defer { pool.stop() }
        waitUntilIdle(pool)
        let begun = [Gate(), Gate()]
        pool.share(2) { part in
            begun[part].open()
            begun[1 - part].wait()
        }
    }

    @Test func whereAllThreadsAreBusyTheCallerDoesEverythingInOrder() {
        let pool = WorkerPool(name: "share", threadCount: 1, jobsMax: 8)
        let (began, mayEnd) = (Gate(), Gate())
        #expect(
            pool.submit {
                began.open()
                mayEnd.wait()
            })
        began.wait()
        let order = Locked<[Int]>([])
        pool.share(5) { part in order.withLock { $0.append(part) } }
        #expect(order.withLock { $0.map { $0 } } == [0, 1, 2, 3, 4])
        #expect(pool.depth == 0, "nothing was left behind for the busy thread")
        mayEnd.open()
        pool.stop()
    }

    /// As searches do: the threads that share their work are the pool's own.
    @Test func jobsShareWithTheirPool() {
        let pool = WorkerPool(name: "share", threadCount: 2, jobsMax: 64)
        let total = Locked(0)
        let finished = Gate()
        let open = Locked(50)
        for _ in 0..<50 {
            let wasTaken = pool.submit { [pool] in
                pool.share(7) { part in total.withLock { $0 += part } }
                if open.withLock({
                    $0 -= 1; return $0 == 0
                }) {
                    finished.open()
                }
            }
            #expect(wasTaken)
        }
        finished.wait()
        pool.stop()
        #expect(total.withLock { $0 } == 50 * 21)
    }

    @Test func aStoppedPoolLeavesTheWorkToTheCaller() {
        let pool = WorkerPool(name: "share", threadCount: 2, jobsMax: 8)
        pool.stop()
        let sum = Locked(0)
        pool.share(4) { part in sum.withLock { $0 += part } }
        #expect(sum.withLock { $0 } == 6)
    }

    /// A thread that has just been started, or has just ended a job, does not wait for work yet.
    private func waitUntilIdle(_ pool: WorkerPool) {
        while pool.idleThreadCount == 0 { sched_yield() }
    }
}
