// An index that a writer, maintenance, snapshots and searches use at once; what each of them does.
import Foundation
import KyroBytes
import KyroIndex
import KyroModel
import KyroPlatform
import Synchronization
import TestSupport

/// The rows of all stress tests: known by their slot to every thread.
enum StressRows {
    static let dimension = 64
    private static let centres = 60
    static let vectors = clusteredVectors(
        count: 12_000, dimension: dimension, centres: centres, seed: 90)

    /// A document in eleven lacks the field.
    static func vector(of slot: Int) -> [Float]? { slot % 11 == 10 ? nil : vectors[slot] }

    /// Has codes trained on all of them; made once for each kind and metric.
    static func trained(_ codes: VectorCodes, _ metric: Metric) -> VectorIndex {
        models.withLock { models in
            let name = "\(codes) \(metric)"
            if let index = models[name] { return index }
            let parameters = GraphParameters(flatRowsMax: 100)
            let plain = VectorIndex(
                field: VectorField(dimension: dimension, metric: metric), parameters: parameters)
            for (slot, vector) in vectors.enumerated() {
                plain.append(vector, slot: Slot(index: slot))
            }
            let field = VectorField(
                dimension: dimension, metric: metric, indexing: VectorIndexing(codes: codes))
            let index = VectorIndex(field: field, parameters: parameters, codesOf: plain)
            models[name] = index
            return index
        }
    }

    private static let models = Locked<[String: VectorIndex]>([:])
}

/// How much of the true best was found.
struct RecallTally: CustomStringConvertible {
    var found = 0
    var wanted = 0

    var recall: Double { wanted == 0 ? 1 : Double(found) / Double(wanted) }
    var description: String { "\(recall) of \(wanted)" }
}

final class ConcurrentIndex: Sendable {
    struct Outcome: CustomStringConvertible {
        var unfiltered = RecallTally()
        var filtered = RecallTally()
        var strategies: Set<VectorStrategy> = []
        var snapshots = 0

        var description: String {
            "recall@10 \(unfiltered), filtered \(filtered), \(snapshots) snapshots"
        }
    }

    let combination: IndexCombination
    let index: VectorIndex
    let failures = Locked<[String]>([])
    let outcome = Locked(Outcome())
    /// Searches begin at so many rows.
    private static let searchedMin = 20
    private static let rowsPerSnapshot = 200
    private let rows = Rows()
    private let rowCount: Int
    private let isOver = Atomic<Bool>(false)
    private let searchCount = Atomic<Int>(0)
    private let snapshotCount = Atomic<Int>(0)

    init(_ combination: IndexCombination, rowCount: Int) {
        self.combination = combination
        self.rowCount = rowCount
        index = combination.index()
    }

    private func fail(_ message: String) {
        failures.withLock { $0.append(message) }
        isOver.store(true, ordering: .releasing)
    }

    private func check(_ holds: Bool, _ message: @autoclosure () -> String) {
        if !holds { fail(message()) }
    }

    // MARK: The writer

    /// Inserts, updates and deletes, no faster than the others follow: each meets every size of
    /// the index, on any machine.
    func write() {
        var numbers = SeededNumbers(seed: combination.seed)
        for slot in 0..<rowCount {
            while !isOver.load(ordering: .acquiring), isAhead(slot) { sched_yield() }
            if isOver.load(ordering: .acquiring) { return }
            let row = rows.append()
            if let vector = StressRows.vector(of: slot) { index.append(vector, slot: row) }
            if slot > 50, numbers.below(4) == 0 {
                let victim = numbers.below(slot)
                if rows.died.load(victim) == 0 { rows.kill(victim) }
            }
            rows.publish()
        }
        // Readers that had no turn since the first row was linked get one now.
        while !isOver.load(ordering: .acquiring), !walks.isSubset(of: walked) { sched_yield() }
        isOver.store(true, ordering: .releasing)
    }

    private var walked: Set<VectorStrategy> { outcome.withLock { $0.strategies } }

    /// How searches that do not scan go about it.
    var walks: Set<VectorStrategy> {
        switch combination.indexing.kind {
        case .automatic, .graph: [.graph, .filteredGraph]
        case .ivf: [.ivf, .filteredIVF]
        case .flat: []
        }
    }

    private func isAhead(_ slot: Int) -> Bool {
        let foldedMin = combination.indexing.kind == .flat ? 0 : slot - rowCount / 5
        return index.indexedCount + slot / 11 + 1 < foldedMin
            || searchCount.load(ordering: .relaxed) < (slot - Self.searchedMin) / 8
            || snapshotCount.load(ordering: .relaxed) < slot / Self.rowsPerSnapshot - 1
    }

    // MARK: Maintenance

    /// Every other graph begins as one that is built at once.
    func maintain() {
        let isBuilt = combination.indexing.kind == .graph && combination.seed % 2 == 1
        var turn = 0
        while !isOver.load(ordering: .acquiring) {
            let visibility = rows.visibility()
            if isBuilt, index.graphCount == 0 {
                build(visibility)
                continue
            }
            turn += 1
            // At times right behind the readers, at times under their feet.
            let deadUpTo =
                turn % 3 == 0 ? visibility.seq : visibility.seq - min(visibility.seq, 200)
            let folded = index.foldStep(
                rowsMax: 32, visibility: visibility, deadUpTo: deadUpTo,
                cancellation: Cancellation())
            // Every turn finds another number of dead.
            let repaired = index.repairStep(
                rowsMax: 16, deadUpTo: deadUpTo, deadCount: turn, visibility: visibility,
                cancellation: Cancellation())
            if folded + repaired == 0 { sched_yield() }
        }
    }

    private func build(_ visibility: Visibility) {
        guard index.unfoldedCount(visibility) > rowCount / 8 else {
            sched_yield()
            return
        }
        let graph = index.bulkGraph(
            visibility: visibility, workers: SingleWorker(), cancellation: Cancellation())
        check(graph.map { index.install($0) } ?? false, "no graph at \(visibility.slotCount)")
    }

    // MARK: Snapshots

    func snapshot() {
        var next = 0
        while !isOver.load(ordering: .acquiring) {
            let visibility = rows.visibility()
            guard visibility.slotCount >= next else {
                sched_yield()
                continue
            }
            next = visibility.slotCount + Self.rowsPerSnapshot / 2
            let stream = MemorySnapshot()
            do {
                var codes: RestoredCodes?
                if index.needsCodesSection {
                    let own = MemorySnapshot()
                    try index.writeCodes(to: own, slotCount: visibility.slotCount)
                    codes = try RestoredCodes(
                        from: own, field: index.field, slotCount: visibility.slotCount)
                }
                try index.writeRows(to: stream, slotCount: visibility.slotCount)
                try index.adoptRows(in: SnapshotFile(stream.bytes))
                try index.writeGraph(to: stream, slotCount: visibility.slotCount)
                let restored = try VectorIndex(
                    RestoredVectors(
                        from: stream, field: index.field, slotCount: visibility.slotCount,
                        codes: codes),
                    graphFrom: stream)
                let expected = visibility.slotCount - visibility.slotCount / 11
                check(
                    restored.rowCount == expected,
                    "\(restored.rowCount) rows restored, not \(expected)")
                outcome.withLock { $0.snapshots += 1 }
            } catch {
                fail("\(error)")
            }
            snapshotCount.add(1, ordering: .relaxed)
        }
    }

    // MARK: Searches

    func search(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        var scratch = VectorScratch()
        while !isOver.load(ordering: .acquiring) {
            do {
                let visibility = rows.visibility()
                guard visibility.slotCount > Self.searchedMin else {
                    sched_yield()
                    continue
                }
                try searchOnce(visibility, &numbers, &scratch)
            } catch {
                fail("\(error)")
            }
            searchCount.add(1, ordering: .relaxed)
        }
    }

    private func searchOnce(
        _ visibility: Visibility, _ numbers: inout SeededNumbers, _ scratch: inout VectorScratch
    ) throws {
        // Any row, or one of those that have just come; itself or something near it.
        let newest = min(200, visibility.slotCount)
        let target =
            numbers.below(2) == 0
            ? numbers.below(visibility.slotCount) : visibility.slotCount - 1 - numbers.below(newest)
        let spread: Float = numbers.below(3) == 0 ? 0 : 0.3
        let query = StressRows.vectors[target].map { $0 + numbers.normal() * spread }
        let mask = numbers.below(2) == 0 ? nil : mask(visibility.slotCount, &numbers)
        let request = VectorIndex.Request(vector: query, k: 10, exact: numbers.below(20) == 0)
        var plan = index.plan(
            request, visibility: visibility, mask: mask, maskCount: mask?.count() ?? 0)
        // Small as it is, the planner would often rather scan.
        if !request.exact, numbers.below(2) == 0, let walk = walk(isFiltered: mask != nil) {
            plan = VectorPlan(strategy: walk, estimatedCost: 1)
        }
        var counters = SearchCounters()
        let hits = try index.search(
            request, plan: plan, visibility: visibility, mask: mask, order: BySlot(),
            scratch: &scratch, counters: &counters, cancellation: Cancellation())
        compare(hits, request, visibility, mask, plan.strategy)
    }

    /// One row in up to 16.
    private func mask(_ slotCount: Int, _ numbers: inout SeededNumbers) -> SlotMask {
        var mask = SlotMask(slotCount: slotCount)
        let step = 1 + numbers.below(16)
        for slot in stride(from: numbers.below(step), to: slotCount, by: step) { mask.insert(slot) }
        return mask
    }

    private func walk(isFiltered: Bool) -> VectorStrategy? {
        guard index.indexedCount > 0 else { return nil }
        return combination.indexing.kind == .ivf
            ? (isFiltered ? .filteredIVF : .ivf) : (isFiltered ? .filteredGraph : .graph)
    }

    private func compare(
        _ hits: [ScoredSlot], _ request: VectorIndex.Request, _ visibility: Visibility,
        _ mask: SlotMask?, _ strategy: VectorStrategy
    ) {
        var scores: [Int: Double] = [:]
        for slot in 0..<visibility.slotCount
        where visibility.isVisible(slot) && mask?.contains(slot) ?? true {
            guard let vector = StressRows.vector(of: slot) else { continue }
            scores[slot] = exactScore(combination.metric, request.vector, vector)
        }
        let best = scores.values.sorted(by: >).prefix(request.k)
        let what = "\(visibility.slotCount) slots at \(visibility.seq), \(strategy)"
        check(hits.count == best.count, "\(hits.count) hits of \(best.count): \(what)")
        check(Set(hits.map(\.slot)).count == hits.count, "the same twice: \(what)")
        var found = 0
        for hit in hits {
            guard let score = scores[hit.slot] else {
                fail("slot \(hit.slot) is out of sight: \(what)")
                continue
            }
            let tolerance = 1e-5 * max(1, abs(score))
            if score >= (best.last ?? 0) - tolerance { found += 1 }
            guard combination.indexing.rerank == .f32 else { continue }
            check(abs(Double(hit.score) - score) <= tolerance, "\(hit) for \(score): \(what)")
        }
        if request.exact, combination.indexing.rerank == .f32 {
            check(found == best.count, "\(found) of \(best.count), exact: \(what)")
        }
        outcome.withLock { outcome in
            outcome.strategies.insert(strategy)
            let tally = mask == nil ? \Outcome.unfiltered : \Outcome.filtered
            outcome[keyPath: tally].found += found
            outcome[keyPath: tally].wanted += best.count
        }
    }
}
