// The scrub keeps its rate, goes round and round, finds what rots and heals it from memory.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore
import TestSupport
import Testing

/// Threads for all processes but the scrub, which takes its turns when the test says so.
final class ScrubByHand: Scheduler {
    private let turn = Locked<(@Sendable (Bool) -> Turn)?>(nil)

    func start(
        name: String, priority: ThreadPriority,
        turn: @escaping @Sendable (_ mayWait: Bool) -> Turn
    ) -> any ScheduledProcess {
        guard name == "kyro-scrub" else {
            return EvenScheduler().start(name: name, priority: priority, turn: turn)
        }
        self.turn.withLock { $0 = turn }
        return Ended()
    }

    private final class Ended: ScheduledProcess {
        func join() {}
    }

    func callAsFunction() -> Turn { turn.withLock { $0 }?(false) ?? .finished }
}

@Suite struct ScrubTests {
    private struct Bed {
        let disk: MemoryFileSystem
        let clock = ManualClock(nanos: 1, wallMillis: 1_000_000)
        let scrub = ScrubByHand()
        var test: TestEngine
        let damaged: DamagedBed

        init(rate: Int = 1 << 20, seed: UInt64, snapshots: Int = 2) throws {
            damaged = try DamagedBed(seed: seed, shardCount: 1, snapshots: snapshots, batches: 20)
            disk = damaged.disk
            var settings = damaged.settings
            settings.clock = clock
            settings.scheduler = scrub
            settings.scrubBytesPerSecond = rate
            test = try TestEngine(disk, settings)
        }

        var status: ShardStatus { test.engine.status().shards[0] }

        /// One round, and the pause behind it.
        func round() {
            let rounds = status.scrubRounds
            var turns = 0
            while status.scrubRounds == rounds, turns < 100_000 {
                if case .idle = scrub() { clock.advance(millis: 50) }
                turns += 1
            }
        }

        /// Turns until nothing is left to heal.
        func heal() {
            _ = eventually {
                _ = scrub()
                // Snapshots are taken by a thread of their own.
                clock.advance(millis: 1_000)
                return status.damages.allSatisfy(\.isHealed)
            }
        }
    }

    @Test("it reads all that is closed at the rate that was set, and again after a pause")
    func rate() throws {
        let bed = try Bed(rate: 10_000, seed: 31)
        defer { bed.test.close() }
        let started = bed.clock.monotonicNanos()
        bed.round()
        let seconds = Double(bed.clock.monotonicNanos() - started) / 1e9
        let bytes = Double(bed.status.scrubRoundBytes)
        var due = 0
        let paths = try bed.damaged.paths().filter { $0.contains("/shard-") }
        for path in paths where path.contains("/snapshot-") { due += try bed.disk.size(path) }
        #expect(bytes >= Double(due) * 0.95, "both snapshots: \(bytes) of \(due)")
        // The last step is paid for after the round.
        #expect(bytes / seconds <= 10_000 * 1.5, "\(bytes) bytes in \(seconds) s")
        #expect(bytes / seconds >= 10_000 * 0.5, "\(bytes) bytes in \(seconds) s")
        #expect(bed.status.scrubEndMillis > 1_000_000)
        #expect(bed.status.damages == [])

        for _ in 0..<10 { #expect(bed.scrub() == .idle, "it pauses") }
        bed.clock.advance(millis: 600_000 + 20_000)
        bed.round()
        #expect(bed.status.scrubRounds == 2)
    }

    @Test(
        "damage in a snapshot or in a closed log segment is found, told, and healed",
        arguments: [0, 1, 2])
    func heals(place: Int) throws {
        let bed = try Bed(seed: 32)
        defer { bed.test.close() }
        let paths = try bed.damaged.paths()
        let snapshots = paths.filter { $0.contains("/snapshot-") }
        let logs = paths.filter { $0.contains("/log-") }
        #expect(snapshots.count == 2 && logs.count >= 2)
        let path = place < 2 ? snapshots[place] : logs[0]
        try bed.disk.flipBit(path, byte: 400, bit: 5)
        bed.round()
        let found = try #require(bed.status.damages.first)
        #expect(found.path == path)
        #expect(found.offset <= 400)
        bed.heal()
        #expect(bed.status.damages.map(\.isHealed) == [true])
        #expect(bed.test.notices.withLock { $0 }.contains { $0.contains("is damaged at offset") })
        #expect(bed.test.notices.withLock { $0 }.contains { $0.contains("healed") })
        bed.round()
        #expect(bed.status.damages.count == 1, "nothing new")

        let after = bed.disk.copy()
        try bed.damaged.expectAll(
            bed.test, "the server went on", nowMillis: bed.clock.wallMillis())
        let names = try after.list("\(TestEngine.path)/shard-0000")
        #expect(!names.contains { path.hasSuffix($0) })
        let reopened = try TestEngine(
            after.afterPowerCut(SeededRandomSource(seed: 1)), bed.damaged.settings)
        defer { reopened.close() }
        try bed.damaged.expectAll(reopened, "after a power cut")
    }
}

extension Turn {
    static func == (a: Turn, b: Turn) -> Bool {
        switch (a, b) {
        case (.again, .again), (.idle, .idle), (.finished, .finished): true
        default: false
        }
    }
}
