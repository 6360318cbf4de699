// Quotas on a clock that the test turns.
import KyroAccess
import KyroModel
import Testing

@Suite struct MeterTests {
    private func quota(
        requests: Int64 = 0, bytes: Int64 = 0, calls: Int64 = 0, burst: Int64 = 1
    ) -> Quota {
        var quota = Quota()
        quota.requestsPerSecond = requests
        quota.bytesPerSecond = bytes
        quota.concurrentCalls = calls
        quota.burstSeconds = burst
        return quota
    }

    private func takes(_ meter: Meter, _ count: Int, bytes: Int = 0, at nanos: UInt64) -> Int64? {
        do {
            try meter.take(requests: count, bytes: bytes, nowNanos: nanos)
            return nil
        } catch {
            #expect(error.code == .resourceExhausted && error.reason == "QUOTA_EXCEEDED")
            return error.retryAfterMillis
        }
    }

    @Test("A burst passes, then the rate, and a refusal says when to come again")
    func rate() {
        let meter = Meter(quota(requests: 10, burst: 2), owner: "p")
        let start: UInt64 = 5_000_000_000
        for i in 0..<20 { #expect(takes(meter, 1, at: start) == nil, "\(i)") }
        let wait = takes(meter, 1, at: start)
        #expect(wait == 1, "\(wait ?? -1)")
        #expect(takes(meter, 1, at: start + 1_000_000) == nil)
        #expect(takes(meter, 1, at: start + 1_000_000) == 100)
        // Ten seconds at the rate: as many as the rate says.
        var passed = 0
        for millis in stride(from: UInt64(2), through: 10_001, by: 1) {
            if takes(meter, 1, at: start + millis * 1_000_000) == nil { passed += 1 }
        }
        #expect((99...101).contains(passed), "\(passed)")
    }

    @Test("A message larger than the bucket passes once, and its debt is waited for")
    func debt() {
        let meter = Meter(quota(bytes: 1_000), owner: "p")
        #expect(takes(meter, 1, bytes: 5_000, at: 1_000_000_000) == nil)
        #expect(takes(meter, 1, bytes: 1, at: 1_000_000_000) == 4_001)
        #expect(takes(meter, 1, bytes: 1, at: 5_000_000_000) == 1)
        #expect(takes(meter, 1, bytes: 1, at: 5_001_000_001) == nil)
        #expect(takes(meter, 1, bytes: .max, at: 9_000_000_000) == nil)
        #expect(takes(meter, 1, bytes: 1, at: 9_000_000_000) ?? 0 <= 3_600_001)
    }

    @Test("Calls at a time are counted until they end")
    func calls() throws {
        let meter = Meter(quota(calls: 2), owner: "p")
        try meter.beginCall()
        try meter.beginCall()
        #expect(throws: KyroError.self) { try meter.beginCall() }
        meter.endCall()
        try meter.beginCall()
        #expect(throws: KyroError.self) { try meter.beginCall() }
    }

    @Test("Names share no meter; * is for each of the others; a new file keeps debts")
    func book() {
        let one = quota(requests: 1)
        let book = MeterBook(
            [("a", one), ("*", quota(requests: 2))], kind: "tenant", following: nil)
        func drain(_ book: MeterBook, _ name: String) -> Int {
            var count = 0
            while count < 10, let meter = book.meter(of: name, nowNanos: 0),
                takes(meter, 1, at: 0) == nil
            {
                count += 1
            }
            return count
        }
        #expect([drain(book, "a"), drain(book, "b"), drain(book, "c")] == [1, 2, 2])
        let next = MeterBook(
            [("a", one), ("*", quota(requests: 2))], kind: "tenant", following: book)
        #expect([drain(next, "a"), drain(next, "b"), drain(next, "d")] == [0, 0, 2])
        let other = MeterBook([("a", quota(requests: 3))], kind: "tenant", following: next)
        #expect(drain(other, "a") == 3)
        #expect(other.meter(of: "b", nowNanos: 0) == nil)
    }

    @Test("Those who come when the book is full share one meter; who owes nothing is forgotten")
    func crowd() {
        let book = MeterBook([("*", quota(requests: 1))], kind: "tenant", following: nil)
        for i in 0..<MeterBook.othersMax {
            if let meter = book.meter(of: "t\(i)", nowNanos: 0) { _ = takes(meter, 1, at: 0) }
        }
        let first = book.meter(of: "late-1", nowNanos: 0)
        #expect(first === book.meter(of: "late-2", nowNanos: 0))
        let own = book.meter(of: "late-1", nowNanos: 5_000_000_000)
        #expect(own !== book.meter(of: "late-2", nowNanos: 5_000_000_000))
    }
}
