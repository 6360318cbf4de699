// Clocks that jump: nothing expires by mistake, nothing comes back, and time goes on all the same.
import KyroEngine
import KyroModel
import KyroPlatform
import Testing

private let day: Int64 = 86_400_000
private let year: Int64 = 365 * day
/// 14 November 2023.
private let begin: Int64 = 1_700_000_000_000

@Suite struct ExpiryClockTests {
    private func running(
        _ clock: ManualClock, known: Int64 = 0, accepting: Bool = false,
        _ notices: Locked<[String]> = Locked([])
    ) -> ExpiryClock {
        let expiry = ExpiryClock(clock, logCount: 2, acceptsSystem: accepting) { text in
            notices.withLock { $0.append(text) }
        }
        expiry.learn(known)
        expiry.learn(0)
        return expiry
    }

    private func expectFollowing(_ expiry: ExpiryClock, _ millis: Int64) {
        let reading = expiry.reading()
        #expect(reading.millis == millis && reading.offsetMillis == 0 && !reading.isHeld)
    }

    @Test func itIsTheSystemsClockWhileThatIsRight() {
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        let expiry = running(clock, known: begin - 3 * day)
        #expect(expiry.nowMillis() == begin)
        clock.advance(millis: 12_345)
        #expect(expiry.nowMillis() == begin + 12_345)
        clock.setWall(millis: begin + day)
        expectFollowing(expiry, begin + day)
    }

    @Test func aThreadThatIsAwayBetweenTwoClocksDoesNotCountThatTimeTwice() {
        let clock = WearyClock(ManualClock(nanos: 1, wallMillis: begin))
        let expiry = ExpiryClock(clock, logCount: 1) { _ in }
        expiry.learn(0)
        for isWeary in [false, true, false, true, true, false] {
            clock.isWeary.withLock { $0 = isWeary }
            let before = clock.still.wallMillis()
            let millis = expiry.nowMillis()
            let after = clock.still.wallMillis()
            #expect(before <= millis && millis <= after, "\(before - begin), \(millis - begin)")
        }
    }

    @Test(arguments: [10 * year, -10 * year, 2 * day, -2 * day])
    func aStepOfMoreThanADayIsNotFollowed(step: Int64) {
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        let notices = Locked<[String]>([])
        let expiry = running(clock, notices)
        clock.advance(millis: 1_000)
        clock.setWall(millis: begin + step)
        #expect(expiry.nowMillis() == begin + 1_000)
        for second in 1...5 as ClosedRange<Int64> {
            clock.advance(millis: 1_000)
            let reading = expiry.reading()
            #expect(reading.millis == begin + 1_000 + second * 1_000)
            #expect(reading.isHeld && reading.offsetMillis == step - 1_000)
        }
        #expect(notices.withLock { $0.count } == 1)
        #expect(notices.withLock { $0[0] }.contains(step < 0 ? "days behind" : "days ahead of"))
        // Set right again, it is followed.
        clock.setWall(millis: begin + 7_000)
        expectFollowing(expiry, begin + 7_000)
        #expect(notices.withLock { $0.last } == "the system's clock is followed again")
    }

    private func running(_ clock: ManualClock, _ notices: Locked<[String]>) -> ExpiryClock {
        running(clock, known: 0, accepting: false, notices)
    }

    @Test func aSmallStepBackIsReachedAtHalfSpeed() {
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        let expiry = running(clock)
        clock.setWall(millis: begin - 10_000)
        var last = expiry.nowMillis()
        #expect(last == begin)
        for second in 1...40 as ClosedRange<Int64> {
            clock.advance(millis: 1_000)
            let now = expiry.nowMillis()
            #expect(now >= last)
            #expect(now == max(begin + second * 500, begin - 10_000 + second * 1_000))
            last = now
        }
    }

    @Test func itNeverGoesBackHoweverTheClockJumps() {
        let random = SeededRandomSource(seed: 77)
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        let expiry = running(clock)
        var last = expiry.nowMillis()
        var passed: Int64 = 0
        for turn in 0..<5_000 {
            let step = Int64(random.next() % 10_000)
            passed += step
            clock.advance(millis: step)
            switch random.next() % 10 {
            case 0: clock.setWall(millis: begin + Int64(random.next() % 20) * year - 10 * year)
            case 1: clock.setWall(millis: last - Int64(random.next() % UInt64(day)))
            case 2: clock.setWall(millis: last + Int64(random.next() % 1_000))
            case 3: clock.setWall(millis: random.next() % 2 == 0 ? -(1 << 61) : 1 << 61)
            default: break
            }
            let now = expiry.nowMillis()
            #expect(now >= last, "seed 77, turn \(turn)")
            // Ahead it goes at once, by at most a day; otherwise no faster than time.
            #expect(now - last <= step + day, "seed 77, turn \(turn)")
            last = now
        }
    }

    @Test func aStartIsNeverBeforeTheLog() {
        for behind in [1_000, day, 10 * year] {
            let clock = ManualClock(nanos: 1, wallMillis: begin - behind)
            let reading = running(clock, known: begin).reading()
            #expect(reading.millis == begin)
            #expect(reading.isHeld == (behind > day))
        }
    }

    @Test func aStartLongAfterTheLogIsHeldUntilItIsAccepted() {
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        #expect(running(clock, known: begin - 300 * day).nowMillis() == begin)
        let notices = Locked<[String]>([])
        let held = running(clock, known: begin - 10 * year, accepting: false, notices)
        #expect(held.nowMillis() == begin - 10 * year)
        #expect(notices.withLock { $0[0] }.contains("--accept-clock"))
        clock.advance(millis: 60_000)
        #expect(held.nowMillis() == begin - 10 * year + 60_000)
        for known in [begin - 10 * year, begin + 10 * year] {
            let accepted = running(clock, known: known, accepting: true).reading()
            #expect(accepted.millis == clock.wallMillis() && !accepted.isHeld)
        }
    }
}

@Suite struct ClockJumpTests {
    private static let scope = Scope(namespace: "time")

    private func document(_ id: UInt64, expiresAt: Int64?) -> Document {
        var document = Document(id: .number(id))
        document.expiresAtMillis = expiresAt
        return document
    }

    /// Number 1 has expired, 2 will in a minute, 3 in a month, 4 never.
    private func filled(_ disk: MemoryFileSystem, _ clock: ManualClock) throws -> TurnEngine {
        let bed = try TurnEngine(disk, clock: clock)
        bed.create(Self.scope, nil)
        let ends: [Int64?] = [begin + 1_000, begin + 60_000, begin + 30 * day, nil]
        for (index, end) in ends.enumerated() {
            bed.write(Self.scope, document(UInt64(index + 1), expiresAt: end))
            bed.scheduler.settle()
        }
        bed.pass(millis: 1_000)
        #expect(try living(bed) == [2, 3, 4])
        return bed
    }

    private func living(_ bed: TurnEngine) throws -> [UInt64] {
        let ids = (1...9 as ClosedRange<UInt64>).map { DocumentID.number($0) }
        let request = LookupRequest(scope: Self.scope, ids: ids)
        return try bed.engine.lookup(request, cancellation: Cancellation()).results.compactMap {
            guard $0.document != nil, case .number(let number) = $0.id else { return nil }
            return number
        }
    }

    @Test(arguments: [10 * year, -10 * year])
    func tenYearsWhileRunning(jump: Int64) throws {
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        let bed = try filled(MemoryFileSystem(), clock)
        clock.setWall(millis: begin + jump)
        #expect(try living(bed) == [2, 3, 4])
        let status = bed.engine.status()
        #expect(status.isClockHeld && status.clockOffsetMillis == jump - 1_000)
        #expect(status.clockMillis == begin + 1_000)
        #expect(bed.notices.withLock { $0.count } == 1)
        // A short life ends on time by the time that passes.
        bed.pass(millis: 58_999)
        #expect(try living(bed) == [2, 3, 4])
        bed.pass(millis: 1)
        #expect(try living(bed) == [3, 4])
        // Expired documents cannot be updated back to life either.
        bed.engine.write(
            WriteRequest(
                scope: Self.scope,
                mutations: [.success(.update(PartialUpdate(set: document(2, expiresAt: nil))))]),
            byteCount: 1
        ) { result in
            #expect((try? result.get().outcomes) == [.notFound])
        }
        bed.scheduler.settle()
        // What is written now goes by the clock that the server keeps.
        bed.write(Self.scope, document(5, expiresAt: begin + 120_000))
        bed.scheduler.settle()
        #expect(try living(bed) == [3, 4, 5])
        bed.pass(millis: 60_000)
        #expect(try living(bed) == [3, 4])
        // And when the system's clock is right again nothing has changed.
        clock.setWall(millis: begin + 120_000)
        #expect(try living(bed) == [3, 4])
        #expect(!bed.engine.status().isClockHeld)
        bed.engine.close()
    }

    @Test(arguments: [10 * year, -10 * year], [true, false])
    func tenYearsAcrossARestart(jump: Int64, isClean: Bool) throws {
        let disk = MemoryFileSystem()
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        let bed = try filled(disk, clock)
        // A write marks the time, as the seal of a clean stop does.
        bed.write(Self.scope, document(6, expiresAt: nil))
        bed.scheduler.settle()
        let image = disk.copy()
        bed.engine.close()
        let jumped = ManualClock(nanos: 5, wallMillis: begin + jump)
        let after = try TurnEngine(isClean ? disk : image, clock: jumped)
        #expect(after.engine.status().isClockHeld)
        #expect(try living(after) == [2, 3, 4, 6])
        after.pass(millis: 58_999)
        #expect(try living(after) == [2, 3, 4, 6])
        after.pass(millis: 1)
        #expect(try living(after) == [3, 4, 6])
        after.engine.close()
        // Again and again: the log knows the time by now.
        let third = try TurnEngine(
            isClean ? disk : image, clock: ManualClock(nanos: 5, wallMillis: begin + jump))
        #expect(try living(third) == [3, 4, 6])
        third.engine.close()
    }

    @Test func anAcceptedClockIsAcceptedOnce() throws {
        let disk = MemoryFileSystem()
        try filled(disk, ManualClock(nanos: 1, wallMillis: begin)).engine.close()
        for (now, expected) in [(begin + 10 * year, [4]), (begin, [1, 2, 3, 4])]
            as [(Int64, [UInt64])]
        {
            let held = try TurnEngine(disk, clock: ManualClock(nanos: 1, wallMillis: now))
            #expect(held.engine.status().isClockHeld)
            held.engine.close()
            let accepting = try TurnEngine(
                disk, clock: ManualClock(nanos: 1, wallMillis: now), acceptsClock: true)
            #expect(!accepting.engine.status().isClockHeld)
            #expect(try living(accepting) == expected)
            // Whatever becomes of this one, the next start goes on from there.
            let image = disk.copy()
            accepting.engine.close()
            for left in [image, disk.copy()] {
                let next = try TurnEngine(left, clock: ManualClock(nanos: 1, wallMillis: now + 1))
                #expect(!next.engine.status().isClockHeld)
                #expect(try living(next) == expected)
                next.engine.close()
            }
        }
    }

    /// The newest write wins by its sequence, wherever the clock stands.
    @Test func orderHasNothingToDoWithTheClock() throws {
        let disk = MemoryFileSystem()
        let random = SeededRandomSource(seed: 3)
        let clock = ManualClock(nanos: 1, wallMillis: begin)
        let bed = try TurnEngine(disk, clock: clock)
        bed.create(Self.scope, nil)
        var last: Sequence = .zero
        for turn in 0..<100 as Range<Int64> {
            clock.setWall(millis: begin + Int64(random.next() % 20) * year - 10 * year)
            clock.advance(millis: 10)
            var document = document(1, expiresAt: nil)
            document.metadata["turn"] = .int64(turn)
            bed.write(Self.scope, document)
            bed.scheduler.settle()
            let seq = try bed.last().get().seq
            #expect(seq > last, "seed 3, turn \(turn)")
            last = seq
            for engine in turn % 10 == 9 ? [bed, try TurnEngine(disk.copy())] : [bed] {
                let request = LookupRequest(scope: Self.scope, ids: [.number(1)])
                let found = try engine.engine.lookup(request, cancellation: Cancellation())
                #expect(found.results[0].document?.metadata["turn"] == .int64(turn))
                if engine !== bed { engine.engine.close() }
            }
        }
        bed.engine.close()
    }
}

/// While it is weary, half a second passes behind each look at it.
private final class WearyClock: Clock {
    let still: ManualClock
    let isWeary = Locked(false)

    init(_ still: ManualClock) { self.still = still }

    private func rest() {
        if isWeary.withLock({ $0 }) { still.advance(millis: 500) }
    }

    func monotonicNanos() -> UInt64 { still.monotonicNanos() }

    func bootNanos() -> UInt64 {
        defer { rest() }
        return still.bootNanos()
    }

    func wallMillis() -> Int64 {
        defer { rest() }
        return still.wallMillis()
    }
}
