// Recall, distances and latency of an index as it is now.
import KyroIndex
import KyroModel

struct ChurnPoint: Sendable {
    var efSearch: Int
    var recall: Double
    var distances: Double
    var p50: Double
    var p95: Double
}

struct ChurnCurve: Sendable {
    var name: String
    var points: [ChurnPoint] = []
    var residentBytes: Int
    var livingCount: Int
    var remark: String

    static let efs = [30, 40, 56, 96, 128, 192, 256]

    /// - Parameter passes: over the queries at each point.
    init(
        _ name: String, of collection: ChurnCollection, queries: [[Float]], passes: Int,
        remark: String = ""
    ) throws {
        self.name = name
        self.remark = remark
        residentBytes = collection.index.residentBytes
        livingCount = collection.livingCount
        var scratch = VectorScratch()
        var counters = SearchCounters()
        let least = try queries.map { query in
            let hits = try collection.search(
                query, efSearch: 0, exact: true, scratch: &scratch, counters: &counters)
            return (hits.last?.score ?? -.infinity) - Float(ExactTruth.tie)
        }
        for ef in Self.efs {
            counters = SearchCounters()
            var nanos: [UInt64] = []
            var found = 0
            for _ in 0..<passes {
                for (query, least) in zip(queries, least) {
                    let start = ThreadClock.nanos
                    let hits = try collection.search(
                        query, efSearch: ef, exact: false, scratch: &scratch, counters: &counters)
                    nanos.append(ThreadClock.nanos - start)
                    found += hits.count { $0.score >= least }
                }
            }
            nanos.sort()
            points.append(
                ChurnPoint(
                    efSearch: ef,
                    recall: Double(found) / Double(nanos.count * ExactTruth.depth),
                    distances: Double(counters.rowsScored) / Double(nanos.count),
                    p50: Double(nanos[nanos.count / 2]) / 1e3,
                    p95: Double(nanos[nanos.count * 95 / 100]) / 1e3))
        }
        let text = points.map { "\(fixed($0.recall, 4)) at \(fixed($0.distances, 0))" }
        note("\(name): \(text.joined(separator: ", "))")
    }

    /// On the straight line between the two neighbouring points.
    func recall(atDistances distances: Double) -> Double? {
        guard let first = points.first, distances >= first.distances else { return nil }
        for (a, b) in zip(points, points.dropFirst()) where distances <= b.distances {
            let share = (distances - a.distances) / max(b.distances - a.distances, 1e-9)
            return a.recall + share * (b.recall - a.recall)
        }
        return points.last?.recall
    }

    /// How far recall lies below another's at equal distances, at the worst point of either where
    /// both have something to say; where there is none, between the ends next to each other.
    func recallGap(below other: ChurnCurve) -> Double {
        let theirs = other.points.compactMap { point in
            recall(atDistances: point.distances).map { point.recall - $0 }
        }
        let own = points.compactMap { point in
            other.recall(atDistances: point.distances).map { $0 - point.recall }
        }
        if let worst = (theirs + own).max() { return worst }
        return (other.points.last?.recall ?? 0) - (points.first?.recall ?? 0)
    }
}
