// Times of commits, against a list of all of them.
import KyroEngine
import KyroModel
import Testing

@Suite struct CommitTimesTests {
    /// By definition: the last sequence up to which everything was committed at the time.
    private static func expected(
        _ commits: [(millis: Int64, first: UInt64)], at millis: Int64
    ) -> CommitTimes.Answer {
        guard let first = commits.filter({ $0.millis > millis }).map(\.first).min() else {
            return .latest
        }
        return .at(Sequence(first == 0 ? 0 : first - 1))
    }

    @Test("Random commits of several shards", arguments: [1, 2, 3] as [UInt64])
    func randomCommits(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        var times = CommitTimes()
        var commits: [(millis: Int64, first: UInt64)] = []
        var millis: Int64 = 1_000
        var seq: UInt64 = 1
        for _ in 0..<2_000 {
            millis += Int64(dice.below(3))
            seq += UInt64(dice.below(20))
            // A shard that took its sequences before another's, and commits after it.
            let first = seq - min(seq, UInt64(dice.below(30)))
            times.note(millis, first: Sequence(first))
            commits.append((millis, first))
        }
        for millis in 990...(millis + 5) {
            let expected = Self.expected(commits, at: millis)
            #expect(times.last(at: millis) == expected, "seed \(seed) at \(millis)")
        }
        #expect(try CommitTimes(decoding: times.encoded()) == times)
        var merged = CommitTimes(sinceMillis: 5)
        merged.merge(times)
        #expect(merged.marks == times.marks && merged.sinceMillis == 5)
        #expect(merged.last(at: 4) == .unknown)
    }

    @Test("Where there are too many, a time shows what was committed by it and never more")
    func merged() {
        var times = CommitTimes()
        let count = 3 * UInt64(CommitTimes.marksMax)
        for number in 1...count { times.note(Int64(number), first: Sequence(10 * number)) }
        #expect(times.marks.count <= CommitTimes.marksMax)
        for number in stride(from: 1, to: count, by: 997) {
            guard case .at(let seq) = times.last(at: Int64(number)) else {
                Issue.record("nothing at \(number)")
                continue
            }
            let exact = 10 * (number + 1) - 1
            #expect(seq.raw <= exact)
            #expect(exact - seq.raw <= 10 * (count / 16_384), "at \(number)")
        }
        #expect(times.last(at: Int64(count)) == .latest)
    }

    @Test("What is kept lies within the retention, or is not known to be older")
    func floors() {
        var times = CommitTimes(sinceMillis: 100)
        times.note(150, first: Sequence(7))
        times.note(250, first: Sequence(9))
        #expect(times.floor(retentionMillis: 0, nowMillis: 300) == nil)
        #expect(times.floor(retentionMillis: 250, nowMillis: 300) == .zero)
        #expect(times.floor(retentionMillis: 200, nowMillis: 300) == Sequence(6))
        #expect(times.floor(retentionMillis: 100, nowMillis: 300) == Sequence(8))
        #expect(times.floor(retentionMillis: 40, nowMillis: 300) == nil)
    }
}
