// Writer, maintenance, readers, deletes and snapshots at once; meant for the thread sanitizer.
import Foundation
import KyroBytes
import KyroIndex
import KyroModel
import Synchronization
import Testing

/// What the threads share: the columns as the engine publishes them.
private final class SharedRows: Sendable {
    let index: VectorIndex
    let born = Column<UInt64>()
    let died = AtomicColumn64()
    let expiresAt = Column<Int64>()
    let slotCount = Atomic<Int>(0)
    let seq = Atomic<UInt64>(0)
    let isOver = Atomic<Bool>(false)
    let failures = Mutex<[String]>([])
    let searches = Atomic<Int>(0)
    let snapshots = Atomic<Int>(0)
    let rowsMax = 60_000

    /// Codes may be trained on other rows of the same kind.
    init(
        metric: Metric, codes: VectorCodes = .automatic, storage: VectorStorage = .memory,
        kind: VectorIndexKind = .automatic
    ) {
        let parameters = GraphParameters(efConstruction: 40, flatRowsMax: 500)
        let indexing = VectorIndexing(kind: kind, codes: codes, storage: storage)
        let field = VectorField(dimension: 24, metric: metric, indexing: indexing)
        guard codes != .automatic else {
            index = VectorIndex(field: field, parameters: parameters)
            return
        }
        var others = VectorFixture(field: field)
        for slot in 0..<10_000 { others.insert(vector(of: slot)) }
        index = VectorIndex(field: field, parameters: parameters, codesOf: others.index)
    }

    var visibility: Visibility {
        let seq = seq.load(ordering: .acquiring)
        return Visibility(
            born: born, died: died, expiresAt: expiresAt, seq: seq,
            slotCount: slotCount.load(ordering: .acquiring), nowMillis: 0)
    }

    func fail(_ message: String) { failures.withLock { $0.append(message) } }
}

/// The vector of a slot follows from its number, so that every thread knows it.
private func vector(of slot: Int) -> [Float] {
    var numbers = SeededNumbers(seed: UInt64(slot / 7))
    let centre = (0..<24).map { _ in numbers.normal() }
    numbers = SeededNumbers(seed: UInt64(slot) &+ 1 << 40)
    return centre.map { $0 + numbers.normal() * 0.3 }
}

@Suite(.serialized) struct VectorStressTests {
    static let seconds =
        ProcessInfo.processInfo.environment["KYRODB_STRESS_SECONDS"]
        .flatMap(Double.init) ?? 2

    @Test(arguments: VectorIndexTests.metrics, VectorStorage.allCases)
    func readersSeeWhatIsPublishedWhileEverythingElseRuns(
        metric: Metric, storage: VectorStorage
    ) {
        run(SharedRows(metric: metric, storage: storage), name: "\(metric), \(storage)")
    }

    @Test(arguments: CodeKindTests.kinds)
    func everyKindOfCodesIsReadWhileEverythingElseRuns(codes: VectorCodes) {
        let shared = SharedRows(metric: .l2, codes: codes)
        #expect(shared.index.codes == codes)
        run(shared, name: "l2, \(codes)")
    }

    @Test(arguments: VectorIndexTests.metrics)
    func invertedListsAreTrainedAnewWhileEverythingElseRuns(metric: Metric) {
        let shared = SharedRows(metric: metric, kind: .ivf)
        run(shared, name: "\(metric), lists")
        #expect(shared.index.indexedCount > 0)
    }

    private func run(_ shared: SharedRows, name: String) {
        let threads = [
            start { Self.write(shared) }, start { Self.fold(shared) },
            start { Self.read(shared, seed: 31) }, start { Self.read(shared, seed: 32) },
            start { Self.snapshot(shared) },
        ]
        for thread in threads { thread.wait() }
        let failures = shared.failures.withLock { $0 }
        #expect(failures.isEmpty, "\(failures.prefix(5))")
        print(
            "stress \(name): \(shared.slotCount.load(ordering: .relaxed)) rows,",
            "\(shared.index.indexedCount) folded, \(shared.index.goneCount) gone,",
            "\(shared.searches.load(ordering: .relaxed))",
            "searches, \(shared.snapshots.load(ordering: .relaxed)) snapshots")
    }

    private func start(_ body: @escaping @Sendable () -> Void) -> DispatchSemaphore {
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            body()
            done.signal()
        }
        return done
    }

    private static func write(_ shared: SharedRows) {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds / 3)
        var numbers = SeededNumbers(seed: 30)
        var seq: UInt64 = 0
        var slot = 0
        while clock.now < end {
            let isBehind = shared.index.tailCount > 1_500 || slot == shared.rowsMax
            if isBehind, numbers.below(20) > 0 {
                sched_yield()
                continue
            }
            seq += 1
            if slot > 1_000, isBehind || numbers.below(4) == 0 {
                // The last thousand stay, so that readers know some that live.
                let victim = numbers.below(slot - 1_000)
                if shared.died.load(victim) == 0 { shared.died.store(seq, victim) }
            } else {
                shared.born.append(seq, at: slot)
                shared.died.reserve(row: slot)
                shared.expiresAt.append(.max, at: slot)
                if slot % 11 != 10 {
                    shared.index.append(vector(of: slot), slot: Slot(index: slot))
                }
                slot += 1
                shared.slotCount.store(slot, ordering: .releasing)
            }
            shared.seq.store(seq, ordering: .releasing)
        }
        shared.isOver.store(true, ordering: .releasing)
    }

    private static func fold(_ shared: SharedRows) {
        var turn = 0
        while !shared.isOver.load(ordering: .acquiring) {
            let visibility = shared.visibility
            // At times right behind the readers, at times under their feet.
            turn += 1
            let deadUpTo =
                turn % 3 == 0 ? visibility.seq : visibility.seq - min(visibility.seq, 200)
            _ = shared.index.foldStep(
                rowsMax: 32, visibility: visibility, deadUpTo: deadUpTo,
                cancellation: Cancellation())
            // Every turn finds another number of dead.
            _ = shared.index.repairStep(
                rowsMax: 16, deadUpTo: deadUpTo, deadCount: turn, visibility: visibility,
                cancellation: Cancellation())
        }
    }

    private static func read(_ shared: SharedRows, seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        var scratch = VectorScratch()
        var counters = SearchCounters()
        while !shared.isOver.load(ordering: .acquiring) {
            let visibility = shared.visibility
            let known = max(0, visibility.slotCount - 900)
            guard known < visibility.slotCount else { continue }
            let target = known + numbers.below(visibility.slotCount - known)
            guard visibility.isVisible(target) else { continue }
            let query = vector(of: target)
            var mask: SlotMask?
            if numbers.below(3) == 0 {
                var some = SlotMask(slotCount: visibility.slotCount)
                let step = 1 + numbers.below(8)
                for slot in stride(from: 0, to: visibility.slotCount, by: step) {
                    some.insert(slot)
                }
                some.insert(target)
                mask = some
            }
            let request = VectorIndex.Request(
                vector: query, k: 10, exact: numbers.below(20) == 0)
            let plan = shared.index.plan(
                request, visibility: visibility, mask: mask, maskCount: mask?.count() ?? 0)
            do {
                let hits = try shared.index.search(
                    request, plan: plan, visibility: visibility, mask: mask, order: BySlot(),
                    scratch: &scratch, counters: &counters, cancellation: Cancellation())
                for hit in hits
                where hit.slot >= visibility.slotCount
                    || !(mask?.contains(hit.slot) ?? true)
                {
                    shared.fail("slot \(hit.slot) of \(visibility.slotCount) is out of sight")
                }
                let isFound = hits.contains { $0.slot == target }
                // One bit a dimension may miss even the row that asks.
                let isSure =
                    shared.index.field.metric != .innerProduct && shared.index.codes != .bq
                if target % 11 != 10, !isFound, isSure {
                    shared.fail("slot \(target) of \(visibility.slotCount) not found: \(plan)")
                }
                shared.searches.add(1, ordering: .relaxed)
            } catch {
                shared.fail("\(error)")
            }
        }
    }

    private static func snapshot(_ shared: SharedRows) {
        while !shared.isOver.load(ordering: .acquiring) {
            let visibility = shared.visibility
            let stream = MemorySnapshot()
            do {
                var codes: RestoredCodes?
                if shared.index.needsCodesSection {
                    let own = MemorySnapshot()
                    try shared.index.writeCodes(to: own, slotCount: visibility.slotCount)
                    codes = try RestoredCodes(
                        from: own, field: shared.index.field, slotCount: visibility.slotCount)
                }
                try shared.index.writeRows(to: stream, slotCount: visibility.slotCount)
                try shared.index.adoptRows(in: SnapshotFile(stream.bytes))
                try shared.index.writeGraph(to: stream, slotCount: visibility.slotCount)
                let rows = try RestoredVectors(
                    from: stream, field: shared.index.field, slotCount: visibility.slotCount,
                    codes: codes)
                let restored = try VectorIndex(rows, graphFrom: stream)
                let expected = visibility.slotCount - visibility.slotCount / 11
                if restored.rowCount != expected {
                    shared.fail("\(restored.rowCount) rows restored, not \(expected)")
                }
                shared.snapshots.add(1, ordering: .relaxed)
            } catch {
                shared.fail("\(error)")
            }
        }
    }
}
