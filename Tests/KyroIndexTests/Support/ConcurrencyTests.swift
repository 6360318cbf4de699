// One writer and two readers at once, as in a shard.
import Foundation
import KyroIndex
import KyroModel
import KyroPlatform
import Synchronization
import Testing

/// Documents derive from their slot, so that a reader knows what every index must answer for the
/// rows it sees.
private final class SharedShard: Sendable {
    static let classes = 50
    let text = TextIndex(field: TextField())
    let sparse = SparseIndex()
    let metadata = MetadataIndex()
    let rows = Rows()
    let isDone = Atomic<Bool>(false)
    let searches = Atomic<Int>(0)
    let problems = Locked<[String]>([])

    static func text(_ slot: Int) -> String {
        "zq\(slot % classes) common zr\(slot) " + String(repeating: "pad ", count: slot % 5)
    }

    static func sparse(_ slot: Int) -> SparseVector {
        SparseVector(indices: [UInt32(slot % classes), UInt32(1_000 + slot)], values: [1, 2])
    }

    static func metadata(_ slot: Int) -> FieldMap<MetadataValue> {
        var metadata: FieldMap<MetadataValue> = [
            "class": .int64(Int64(slot % classes)), "name": .string("c\(slot % classes)/\(slot)"),
        ]
        // Fields that appear while readers read.
        if slot % 5_000 < 100 { metadata["late\(slot / 5_000)"] = .bools([true, false]) }
        return metadata
    }

    func write(seconds: Double) {
        let end = ContinuousClock.now + .seconds(seconds)
        var slot = 0
        while ContinuousClock.now < end, slot < 120_000 {
            for _ in 0..<10 {
                let row = rows.append()
                text.append(Self.text(slot), slot: row)
                sparse.append(Self.sparse(slot), slot: row)
                metadata.append(
                    metadata: Self.metadata(slot), eventTimeMillis: Int64(slot), slot: row)
                let victim = slot - 500
                if victim >= 0, victim % 3 == 0 {
                    rows.kill(victim)
                    text.remove(Self.text(victim), slot: Slot(index: victim))
                }
                slot += 1
            }
            rows.publish()
        }
        isDone.store(true, ordering: .releasing)
    }

    func read(seed: UInt64) {
        var generator = SeededGenerator(seed)
        var scratch = ScoreScratch()
        var counters = SearchCounters()
        do {
            while !isDone.load(ordering: .acquiring) {
                try readOnce(&generator, &scratch, &counters)
                searches.add(1, ordering: .relaxed)
            }
        } catch {
            problems.withLock { $0.append("\(error)") }
        }
    }

    private func readOnce(
        _ generator: inout SeededGenerator, _ scratch: inout ScoreScratch,
        _ counters: inout SearchCounters
    ) throws {
        let visibility = rows.visibility()
        let wanted = Int.random(in: 0..<Self.classes, using: &generator)
        let expected = (0..<visibility.slotCount).filter {
            $0 % Self.classes == wanted && visibility.isVisible($0)
        }
        let terms = text.analyze("zq\(wanted)")
        let byText = try text.search(
            terms: terms, statistics: text.statistics(of: terms), k: 10_000,
            visibility: visibility, mask: nil, order: SlotsAreIDs(), scratch: &scratch,
            counters: &counters, cancellation: Cancellation())
        check(byText.map(\.slot).sorted(), expected, "text \(wanted)")
        for (phrase, isExpected) in [
            ("zq\(wanted) common", { $0 % Self.classes == wanted }),
            ("pad pad pad", { $0 % 5 >= 3 }),
        ] as [(String, (Int) -> Bool)] {
            var planner = TextPlanner(
                fields: [TextPlanner.Field(name: "t", model: text, shards: [text])],
                cancellation: Cancellation())
            let byPhrase = try StructuredTextSearch.run(
                planner.plan(TextNode(.phrase(phrase, slop: 0))), indexes: [text], k: 120_000,
                visibility: visibility, mask: nil, order: SlotsAreIDs(), counters: &counters,
                cancellation: Cancellation())
            check(
                byPhrase.map(\.slot).sorted(),
                (0..<visibility.slotCount).filter { isExpected($0) && visibility.isVisible($0) },
                "phrase \(phrase)")
        }
        let bySparse = try sparse.search(
            query: SparseVector(indices: [UInt32(wanted)], values: [1]), k: 10_000,
            visibility: visibility, mask: nil, order: SlotsAreIDs(), scratch: &scratch,
            counters: &counters, cancellation: Cancellation())
        check(bySparse.map(\.slot).sorted(), expected, "sparse \(wanted)")
        let filter = Filter.any([
            .equals(field: "class", .int64(Int64(wanted))), .prefix(field: "name", "c\(wanted)/"),
            .all([.exists(field: "late0"), .not(.exists(field: "late0"))]),
        ])
        let range = TimeRange(fromMillis: 0)
        let mask = try metadata.evaluate(
            filter: filter, timeRange: range, visibility: visibility, cancellation: Cancellation())
        check(members(mask), expected, "filter \(wanted)")
        if text.residentBytes + sparse.residentBytes + metadata.residentBytes
            < visibility.slotCount * 40
        {
            problems.withLock { $0.append("resident bytes are too few to be true") }
        }
        if Int.random(in: 0..<20, using: &generator) == 0 {
            let stream = MemoryStream()
            try metadata.write(to: stream, slotCount: visibility.slotCount)
            try text.write(to: stream, slotCount: visibility.slotCount)
            try sparse.write(to: stream, slotCount: visibility.slotCount)
            let restored = try MetadataIndex(from: stream, slotCount: visibility.slotCount)
            _ = try TextIndex(from: stream, field: TextField(), visibility: visibility)
            _ = try SparseIndex(from: stream, slotCount: visibility.slotCount)
            let again = try restored.evaluate(
                filter: filter, timeRange: range, visibility: visibility,
                cancellation: Cancellation())
            check(members(again), expected, "filter of a snapshot \(wanted)")
        }
    }

    private func members(_ mask: SlotMask?) -> [Int] {
        var slots: [Int] = []
        mask?.forEach {
            slots.append($0)
            return true
        }
        return slots
    }

    private func check(_ got: [Int], _ expected: [Int], _ what: String) {
        guard got != expected else { return }
        problems.withLock {
            if $0.count < 5 { $0.append("\(what): \(got.count) of \(expected.count) slots") }
        }
    }
}

@Suite struct ConcurrencyTests {
    @Test func readersSeeExactlyWhatWasPublishedWhileTheWriterGoesOn() {
        let environment = ProcessInfo.processInfo.environment
        let seconds = Double(environment["KYRODB_STRESS_SECONDS"] ?? "") ?? 2
        let shard = SharedShard()
        let finished = DispatchSemaphore(value: 0)
        for reader in 0..<2 {
            Thread.detachNewThread {
                shard.read(seed: UInt64(71 + reader))
                finished.signal()
            }
        }
        Thread.detachNewThread {
            shard.write(seconds: seconds)
            finished.signal()
        }
        for _ in 0..<3 { finished.wait() }
        let problems = shard.problems.withLock { $0 }
        #expect(problems == [], "seeds 71 and 72")
        let terms = ["common"]
        let visibility = shard.rows.visibility()
        let alive = (0..<visibility.slotCount).count { visibility.isVisible($0) }
        #expect(shard.text.statistics(of: terms).documentFrequency == [alive])
        #expect(shard.text.statistics(of: terms).documentCount == alive)
        print(
            "stress: \(visibility.slotCount) documents written, "
                + "\(shard.searches.load(ordering: .relaxed)) rounds of reads")
    }
}
