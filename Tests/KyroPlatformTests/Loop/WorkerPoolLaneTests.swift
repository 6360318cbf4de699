// Lanes of a pool: whoever fills one keeps nobody else out, and nobody else waiting.
import KyroPlatform
import Synchronization
import Testing

@Suite struct WorkerPoolLaneTests {
    /// A pool of one thread that is held up until `open`.
    private final class HeldPool: Sendable {
        let pool: WorkerPool
        private let gate = Gate()

        init(jobsMax: Int) {
            pool = WorkerPool(name: "lanes", threadCount: 1, jobsMax: jobsMax)
            let running = Gate()
            let gate = gate
            #expect(
                pool.submit(lane: .max) {
                    running.open()
                    gate.wait()
                })
            running.wait()
        }

        func open() {
            gate.open()
            pool.stop()
        }
    }

    @Test("Jobs of a lane run in order, and lanes take turns whatever waits in them")
    func turns() {
        let held = HeldPool(jobsMax: 100)
        let order = Mutex<[String]>([])
        func submit(_ lane: UInt64, _ name: String) {
            #expect(held.pool.submit(lane: lane) { order.withLock { $0.append(name) } })
        }
        for i in 0..<5 { submit(1, "a\(i)") }
        for i in 0..<2 { submit(2, "b\(i)") }
        submit(3, "c0")
        held.open()
        #expect(order.withLock { $0 } == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"])
    }

    @Test("A full lane leaves room for others, and each of several less")
    func room() {
        let held = HeldPool(jobsMax: 64)
        let ran = Atomic<Int>(0)
        func fill(_ lane: UInt64) -> Int {
            var count = 0
            while held.pool.submit(lane: lane, { ran.add(1, ordering: .relaxed) }) { count += 1 }
            return count
        }
        let counts = (1...6).map { fill(UInt64($0)) }
        #expect(counts == [64, 32, 16, 8, 4, 2])
        #expect(held.pool.depth == 126)
        held.open()
        #expect(ran.load(ordering: .relaxed) == 126)
    }

    @Test("A lane that emptied begins again behind the others")
    func comesAgain() {
        let pool = WorkerPool(name: "lanes", threadCount: 2, jobsMax: 1_000)
        let ran = Atomic<Int>(0)
        for round in 0..<2_000 {
            while !pool.submit(lane: UInt64(round % 7), { ran.add(1, ordering: .relaxed) }) {}
        }
        pool.stop()
        #expect(ran.load(ordering: .relaxed) == 2_000)
    }
}
