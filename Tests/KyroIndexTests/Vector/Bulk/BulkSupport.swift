// Threads for bulk builds, and measurements of what they built.
import Dispatch
import Foundation
import KyroIndex
import KyroModel
import KyroPlatform

struct ThreadedWorkers: BulkWorkers {
    let count: Int

    func run(_ body: @escaping @Sendable (Int) -> Void) {
        let ended = DispatchSemaphore(value: 0)
        for number in 1..<max(count, 1) {
            Thread.detachNewThread {
                body(number)
                ended.signal()
            }
        }
        body(0)
        for _ in 1..<max(count, 1) { ended.wait() }
    }
}

extension VectorFixture {
    func bulkGraph(
        _ parameters: BulkParameters = .default, threads: Int = 2,
        observe: @escaping BulkObserver = { _ in }
    ) -> BulkGraph? {
        index.bulkGraph(
            parameters, visibility: visibility, workers: ThreadedWorkers(count: threads),
            cancellation: Cancellation(), observe: observe)
    }

    /// A graph of the same rows, grown row by row.
    func grown(_ parameters: GraphParameters) -> VectorFixture {
        var copy = VectorFixture(field: index.field, parameters: parameters)
        for vector in vectors { copy.insert(vector) }
        copy.fold()
        return copy
    }
}

/// Recall@10 and distances a query over several `efSearch`.
struct RecallCurve {
    var points: [(ef: Int, recall: Double, distances: Double)] = []

    init(_ fixture: VectorFixture, queries: [[Float]], truth: [[Float]], efs: [Int]) throws {
        var scratch = VectorScratch()
        for ef in efs {
            var counters = SearchCounters()
            var found = 0
            for (query, best) in zip(queries, truth) {
                let request = VectorIndex.Request(vector: query, k: 10, efSearch: ef)
                let hits = try fixture.index.search(
                    request, plan: VectorPlan(strategy: .graph, estimatedCost: 1),
                    visibility: fixture.visibility, mask: nil, order: BySlot(),
                    scratch: &scratch, counters: &counters, cancellation: Cancellation())
                let worst = best.last ?? 0
                found += min(10, hits.count { $0.score >= worst })
            }
            points.append(
                (
                    ef, Double(found) / Double(10 * queries.count),
                    Double(counters.rowsScored) / Double(queries.count)
                ))
        }
    }

    /// Recall at so many distances a query, between the points measured.
    func recall(distances: Double) -> Double {
        guard let first = points.first, let last = points.last else { return 0 }
        if distances <= first.distances { return first.recall }
        for (a, b) in zip(points, points.dropFirst()) where distances <= b.distances {
            let share = (distances - a.distances) / max(b.distances - a.distances, 1e-9)
            return a.recall + share * (b.recall - a.recall)
        }
        return last.recall
    }

    /// Distances a query that this recall takes; nil when it was not reached.
    func distances(recall: Double) -> Double? {
        guard let first = points.first else { return nil }
        if recall <= first.recall { return first.distances }
        for (a, b) in zip(points, points.dropFirst()) where recall <= b.recall {
            let share = (recall - a.recall) / max(b.recall - a.recall, 1e-9)
            return a.distances + share * (b.distances - a.distances)
        }
        return nil
    }
}

/// Exact scores of the best ten.
func truth(_ fixture: VectorFixture, _ queries: [[Float]]) throws -> [[Float]] {
    var scratch = VectorScratch()
    return try queries.map { query in
        var counters = SearchCounters()
        return try fixture.search(
            query, k: 10, exact: true, scratch: &scratch, counters: &counters
        ).hits.map(\.score)
    }
}

/// What each step took: time, and time of all threads on the processor, which says more on a shared
/// machine.
final class StepTimes: Sendable {
    private let marks = Locked<[(BulkStep, ContinuousClock.Instant, Int)]>([])

    func note(_ step: BulkStep) { marks.withLock { $0.append((step, .now, Int(clock()))) } }

    var description: String {
        let marks = marks.withLock { $0 }
        return zip(marks, marks.dropFirst()).map { a, b in
            "\(a.0) \(Int((b.1 - a.1) / .milliseconds(1))) ms"
                + " (\((b.2 - a.2) / 1_000) of processor)"
        }.joined(separator: ", ")
    }

    /// Microseconds on the processor from the first step to the last.
    var processorMicros: Int {
        let marks = marks.withLock { $0 }
        return (marks.last?.2 ?? 0) - (marks.first?.2 ?? 0)
    }
}
