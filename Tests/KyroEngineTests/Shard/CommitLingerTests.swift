// How many writes share a sync, counted in a world of its own: a queue, callers, a disk and a clock
// that exist as numbers alone.
import KyroEngine
import Testing

/// Callers that write again as soon as they are answered, a disk that takes `syncMicros`, and the
/// writer's rule.
private struct CommitWorld {
    var linger: CommitLinger
    let callerCount: Int
    let syncMicros: UInt64
    /// From an answer to the next write's arrival: grows with the place in the group, since one
    /// processor answers all.
    let thinkMicros: (_ place: Int) -> UInt64

    struct Tally {
        var syncs = 0
        var commands = 0
        var micros: UInt64 = 0
        var waitedMicros: UInt64 = 0
    }

    mutating func run(groups: Int) -> Tally {
        var tally = Tally()
        /// When each caller's next command arrives.
        var arrivals = (0..<callerCount).map { thinkMicros($0) }
        var now: UInt64 = 0
        for _ in 0..<groups {
            now = max(now, arrivals.min() ?? 0)
            var count = arrivals.count { $0 <= now }
            let missing = linger.missing(after: count)
            if missing > 0 {
                let deadline = now + linger.waitNanos / 1_000
                let wanted = arrivals.sorted()[min(arrivals.count, count + missing) - 1]
                tally.waitedMicros += min(wanted, deadline) - now
                now = min(wanted, deadline)
                count = arrivals.count { $0 <= now }
            }
            let taken = arrivals.indices.filter { arrivals[$0] <= now }
            now += syncMicros
            let waiting = arrivals.count { $0 <= now } - taken.count
            linger.groupEnds(
                commandCount: count, waiting: waiting, syncNanos: syncMicros * 1_000)
            for (place, caller) in taken.enumerated() {
                arrivals[caller] = now + thinkMicros(place)
            }
            tally.syncs += 1
            tally.commands += count
        }
        tally.micros = now
        return tally
    }
}

@Suite struct CommitLingerTests {
    @Test func aLoneWriterNeverWaits() {
        var world = CommitWorld(
            linger: CommitLinger(nanosMax: 1_000_000), callerCount: 1, syncMicros: 500,
            thinkMicros: { _ in 80 })
        let tally = world.run(groups: 1_000)
        #expect(tally.waitedMicros == 0)
        #expect(tally.commands == 1_000)
    }

    @Test(arguments: [2, 4, 16, 64])
    func callersThatComeAgainShareASync(callerCount: Int) {
        func tally(lingerMicros: UInt64) -> CommitWorld.Tally {
            var world = CommitWorld(
                linger: CommitLinger(nanosMax: lingerMicros * 1_000), callerCount: callerCount,
                syncMicros: 500, thinkMicros: { 30 + UInt64($0) * 3 })
            return world.run(groups: 1_000)
        }
        let without = tally(lingerMicros: 0)
        let with = tally(lingerMicros: 200)
        print(
            "RESULT linger: \(callerCount) callers, records per sync \(perSync(without)) without, "
                + "\(perSync(with)) with; per second \(rate(without)) and \(rate(with))")
        // The first groups only find out how many callers there are.
        #expect(perSync(with) >= 0.74 * Double(callerCount))
        #expect(perSync(without) <= 0.6 * Double(callerCount))
        #expect(rate(with) > rate(without))
        // The bound holds for every group.
        #expect(with.waitedMicros <= 1_000 * 200)
    }

    @Test func whoStaysAwayIsWaitedForOnce() {
        var linger = CommitLinger(nanosMax: 1_000)
        linger.groupEnds(commandCount: 16, waiting: 0, syncNanos: 100)
        #expect(linger.waitNanos == 50)
        #expect(linger.missing(after: 1) == 11)
        #expect(linger.missing(after: 12) == 0)
        // The others did not come.
        linger.groupEnds(commandCount: 1, waiting: 0, syncNanos: nil)
        #expect(linger.missing(after: 1) == 0)
        var off = CommitLinger(nanosMax: 0)
        off.groupEnds(commandCount: 16, waiting: 16, syncNanos: 1_000_000)
        #expect(off.missing(after: 1) == 0)
    }

    private func perSync(_ tally: CommitWorld.Tally) -> Double {
        Double(tally.commands) / Double(tally.syncs)
    }

    private func rate(_ tally: CommitWorld.Tally) -> Double {
        (Double(tally.commands) / Double(tally.micros) * 1e6).rounded()
    }
}
