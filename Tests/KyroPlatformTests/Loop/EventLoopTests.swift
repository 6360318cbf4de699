// The loop: jobs from other threads, timers, descriptors, and its end.
import KyroPlatform
import Synchronization
import Testing

/// Lets a test wait for what a loop's thread does: each event is a byte in a pipe of its own.
final class Latch: Sendable {
    private let ends: (Int32, Int32)
    private let expected: Int

    init(_ count: Int = 1) throws {
        ends = try Socket.pair()
        expected = count
        Socket.setReadTimeout(ends.0, millis: 120_000)
    }

    deinit {
        Socket.close(ends.0)
        Socket.close(ends.1)
    }

    func count() { _ = Socket.write(ends.1, [1], from: 0) }

    /// False after two minutes: something that had to happen did not.
    func wait() -> Bool {
        var left = expected
        while left > 0 {
            var buffer = [UInt8](repeating: 0, count: left)
            guard case .bytes(let count) = Socket.read(ends.0, into: &buffer) else { return false }
            left -= count
        }
        return true
    }
}

@Suite struct EventLoopTests {
    @Test func jobsOfManyThreadsRunOnceAndInTheOrderOfEach() throws {
        let loop = try EventLoop(name: "test")
        loop.start()
        let pool = WorkerPool(name: "jobs", threadCount: 4, jobsMax: 4)
        let seen = Mutex<[Int: [Int]]>([:])
        let latch = try Latch(4 * 1000)
        for thread in 0..<4 {
            let accepted = pool.submit {
                for i in 0..<1000 {
                    loop.execute {
                        seen.withLock { $0[thread, default: []].append(i) }
                        latch.count()
                    }
                }
            }
            #expect(accepted)
        }
        #expect(latch.wait())
        for thread in 0..<4 { #expect(seen.withLock { $0[thread] } == Array(0..<1000)) }
        pool.stop()
        loop.stop()
        loop.join()
    }

    @Test func jobHandedInByAJobRuns() throws {
        let loop = try EventLoop(name: "test")
        loop.start()
        let latch = try Latch()
        loop.execute { loop.execute { latch.count() } }
        #expect(latch.wait())
        loop.stop()
        loop.join()
    }

    @Test func stoppedLoopRunsWhatItHadAndTakesNoMore() throws {
        let loop = try EventLoop(name: "test")
        let latch = try Latch(3)
        for _ in 0..<3 { loop.execute { latch.count() } }
        loop.stop()
        #expect(!loop.execute { latch.count() })
        loop.start()
        loop.join()
        #expect(latch.wait())
    }

    @Test func timersFireInTheOrderOfTheirDeadlines() throws {
        let loop = try EventLoop(name: "test")
        let order = Mutex<[Int]>([])
        let latch = try Latch(4)
        loop.execute {
            let base = EventLoop.monotonicNanos()
            for delay in [7, 3, 5, 1] {
                loop.schedule(atNanos: base + UInt64(delay) * 1_000_000) {
                    order.withLock { $0.append(delay) }
                    latch.count()
                }
            }
            let cancelled = loop.schedule(atNanos: base + 2_000_000) {
                order.withLock { $0.append(2) }
            }
            loop.cancel(cancelled)
        }
        loop.start()
        #expect(latch.wait())
        #expect(order.withLock { $0 } == [1, 3, 5, 7])
        loop.stop()
        loop.join()
    }

    @Test func timerNeverFiresBeforeItsTime() throws {
        let loop = try EventLoop(name: "test")
        let early = Mutex(0)
        let latch = try Latch(50)
        loop.execute {
            for i in 0..<50 {
                let deadline = EventLoop.monotonicNanos() + UInt64(i) * 137_000
                loop.schedule(atNanos: deadline) {
                    if EventLoop.monotonicNanos() < deadline { early.withLock { $0 += 1 } }
                    latch.count()
                }
            }
        }
        loop.start()
        #expect(latch.wait())
        #expect(early.withLock { $0 } == 0)
        loop.stop()
        loop.join()
    }

    @Test func manyCancelledTimersDoNotHideTheOthers() throws {
        let loop = try EventLoop(name: "test")
        let latch = try Latch(10)
        let wrong = Mutex(0)
        loop.execute {
            for i in 0..<5000 {
                let timer = loop.schedule(afterNanos: UInt64(i % 97) * 10_000) {
                    if i % 500 == 0 { latch.count() } else { wrong.withLock { $0 += 1 } }
                }
                if i % 500 != 0 { loop.cancel(timer) }
            }
        }
        loop.start()
        #expect(latch.wait())
        #expect(wrong.withLock { $0 } == 0)
        loop.stop()
        loop.join()
    }

    /// Echoes one byte, then leaves the loop.
    final class Echo: LoopChannel, @unchecked Sendable {
        let fd: Int32
        let loop: EventLoop
        let latch: Latch
        var registration: LoopRegistration?
        init(_ fd: Int32, _ loop: EventLoop, _ latch: Latch) {
            self.fd = fd
            self.loop = loop
            self.latch = latch
        }
        func ready(_ readiness: LoopReadiness) {
            var buffer = [UInt8](repeating: 0, count: 16)
            guard readiness.contains(.readable), case .bytes = Socket.read(fd, into: &buffer)
            else { return }
            _ = Socket.write(fd, [buffer[0]], from: 0)
            if let registration { loop.unregister(registration) }
            latch.count()
        }
    }

    @Test func readyDescriptorReachesItsChannelUntilItIsUnregistered() throws {
        let loop = try EventLoop(name: "test")
        loop.start()
        let pair = try Socket.pair()
        let latch = try Latch()
        let echo = Echo(pair.0, loop, latch)
        let registered = try Latch()
        loop.execute {
            echo.registration = try? loop.register(fd: echo.fd, channel: echo)
            registered.count()
        }
        #expect(registered.wait())
        #expect(Socket.write(pair.1, [42], from: 0) == .bytes(1))
        #expect(latch.wait())
        var answer: [UInt8] = [0]
        #expect(Socket.read(pair.1, into: &answer) == .bytes(1))
        #expect(answer == [42])
        loop.stop()
        loop.join()
        Socket.close(pair.0)
        Socket.close(pair.1)
    }

    @Test func endOfTurnComesAfterJobsAndBeforeTheNextTurn() throws {
        let loop = try EventLoop(name: "test")
        let order = Mutex<[String]>([])
        let latch = try Latch(3)
        loop.execute {
            loop.atTurnEnd {
                order.withLock { $0.append("end") }
                latch.count()
            }
            loop.execute {
                order.withLock { $0.append("next") }
                latch.count()
            }
        }
        loop.execute {
            order.withLock { $0.append("job") }
            latch.count()
        }
        loop.start()
        #expect(latch.wait())
        #expect(order.withLock { $0 } == ["job", "end", "next"])
        loop.stop()
        loop.join()
    }
}

@Suite struct HistogramTests {
    @Test func quantilesAreWithinOneBucket() {
        var histogram = Histogram()
        for value in 1...100_000 { histogram.record(UInt64(value)) }
        for fraction in [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let exact = max(1, (fraction * 100_000).rounded(.up))
            let got = Double(histogram.quantile(fraction))
            #expect(got >= exact && got <= exact * 1.032 + 1, "\(fraction): \(got) for \(exact)")
        }
        #expect(histogram.count == 100_000)
        #expect(histogram.minimum == 1 && histogram.maximum == 100_000)
    }

    @Test func everyMagnitudeHasItsBucket() {
        var histogram = Histogram()
        for bit in 0..<64 { histogram.record(1 << UInt64(bit)) }
        histogram.record(.max)
        histogram.record(0)
        #expect(histogram.count == 66)
        #expect(histogram.quantile(1) == .max)
        #expect(histogram.quantile(0) == 0)
    }

    @Test func mergeIsTheSum() {
        var a = Histogram()
        var b = Histogram()
        for value in stride(from: 0, to: 1000, by: 2) { a.record(UInt64(value)) }
        for value in stride(from: 1, to: 1000, by: 2) { b.record(UInt64(value)) }
        a.merge(b)
        var all = Histogram()
        for value in 0..<1000 { all.record(UInt64(value)) }
        #expect(a.quantile(0.5) == all.quantile(0.5) && a.sum == all.sum)
    }
}
