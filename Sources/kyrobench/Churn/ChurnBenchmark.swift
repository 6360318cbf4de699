// Everything of an index replaced, and a quarter of it deleted.
import KyroCommands
import KyroIndex
import KyroModel

struct ChurnBenchmark {
    let options: ChurnOptions

    /// The default of a search that does not say.
    private static let usualEf = 96

    func run() throws -> Int32 {
        let loadAverage = Machine.loadAverage
        let vectors = options.vectors
        let folder = try ServerProcess.makeFolder(in: vectors.folder)
        defer { removeTree(folder) }
        let data = try VectorData(vectors, folder: folder)
        let clusters = ChurnOrder(data.corpus, seed: vectors.seed)
        var report = ChurnReport()
        for order in options.orders {
            try replace(data, order, clusters, &report)
            try delete(data, order, clusters, &report)
        }
        print(
            "\(data.name): \(data.corpus.rowCount / 2) rows of \(data.corpus.dimension) replaced by "
                + "as many, \(data.queries.rowCount) queries × \(vectors.passes), seed "
                + "\(vectors.seed), \(options.repairs ? "graph repaired" : "no repair"); "
                + "\(Machine.cpu), load average \(loadAverage) at the start\n")
        print(report.curveTable)
        print(figureTable(report.figures).text())
        return exitStatus(report.figures, isStrict: vectors.isStrict)
    }

    private func queries(_ data: VectorData) -> [[Float]] {
        (0..<data.queries.rowCount).map { data.queries.floats($0) }
    }

    /// The halves of the corpus, each in the order.
    private func halves(
        _ data: VectorData, _ order: ChurnOptions.Order, _ clusters: ChurnOrder
    ) -> (old: [Int], new: [Int]) {
        let middle = data.corpus.rowCount / 2
        let (old, new) = (Array(0..<middle), Array(middle..<(2 * middle)))
        switch order {
        case .random: return (old, new)
        case .clustered: return (clusters.sorted(old), clusters.sorted(new))
        }
    }

    private func replace(
        _ data: VectorData, _ order: ChurnOptions.Order, _ clusters: ChurnOrder,
        _ report: inout ChurnReport
    ) throws {
        let (old, new) = halves(data, order, clusters)
        let threads = options.vectors.threads
        note("\(order): 100 % replaced")
        let single = try ChurnCollection(data.corpus, rows: new.sorted())
        let fresh = try curve(
            "\(order): fresh, row by row", single, data,
            remark: "\(fixed(single.foldSeconds * 1e6 / Double(new.count), 1)) µs to link a row")
        let bulk = try curve(
            "\(order): fresh, at once",
            ChurnCollection(data.corpus, rows: new.sorted(), bulkThreads: threads), data)
        report.append(fresh)
        report.append(bulk)
        // Rows come in random order in the beginning.
        let first = try ChurnCollection(data.corpus, rows: old.sorted(), bulkThreads: threads)
        report.append(try curve("\(order): before", first, data))
        for rebuilds in [true, false] {
            let start =
                rebuilds
                ? first
                : try ChurnCollection(data.corpus, rows: old.sorted(), bulkThreads: threads)
            let collection = try replaced(start, old, new, rebuilds: rebuilds)
            let micros = [collection.foldSeconds, collection.repairSeconds].map {
                fixed($0 * 1e6 / Double(old.count), 1)
            }
            let name = rebuilds ? "100 % replaced" : "never rebuilt"
            var churned = try curve(
                "\(order): \(name)", collection, data,
                remark: "\(micros[0]) µs to link a row, \(micros[1]) to take one out; "
                    + "\(collection.rebuildCount) rebuilds; "
                    + "\(collection.index.strayEdges()) stray edges, "
                    + "\(collection.index.unreachable(collection.visibility)) not reached")
            let gaps = [fresh, bulk].map { churned.recallGap(below: $0) }
            if rebuilds {
                report.figures += [
                    .atMost(0.01, "\(order): recall below a fresh graph's, \(name)", gaps[0]),
                    .atMost(0.01, "\(order): recall below a bulk graph's, \(name)", gaps[1]),
                ]
            } else {
                // What rebuilds are good for: no engine lets it come to this.
                churned.remark += "; recall below a fresh graph's \(fixed(gaps[0], 4)), "
                churned.remark += "a bulk graph's \(fixed(gaps[1], 4))"
            }
            report.append(churned)
        }
    }

    /// One half by the other, with what an engine does meanwhile.
    private func replaced(
        _ first: ChurnCollection, _ old: [Int], _ new: [Int], rebuilds: Bool
    ) throws -> ChurnCollection {
        var collection = first
        for step in 0..<options.steps {
            let range =
                (step * old.count / options.steps)..<((step + 1) * old.count / options.steps)
            for i in range {
                collection.insert(new[i])
                collection.remove(old[i])
            }
            collection.maintain(repairs: options.repairs)
            if rebuilds, collection.isWorthRebuilding {
                collection = try collection.rebuilt(bulkThreads: options.vectors.threads)
            }
        }
        return collection
    }

    private func curve(
        _ name: String, _ collection: ChurnCollection, _ data: VectorData, remark: String = ""
    ) throws -> ChurnCurve {
        try ChurnCurve(
            name, of: collection, queries: queries(data), passes: options.vectors.passes,
            remark: remark)
    }

    private func delete(
        _ data: VectorData, _ order: ChurnOptions.Order, _ clusters: ChurnOrder,
        _ report: inout ChurnReport
    ) throws {
        let (old, _) = halves(data, order, clusters)
        let asked = queries(data)
        let passes = options.vectors.passes
        note("\(order): 25 % deleted")
        let collection = try ChurnCollection(data.corpus, rows: old.sorted())
        let before = try ChurnCurve(
            "\(order): before deletes", of: collection, queries: asked, passes: passes)
        for row in old.prefix(old.count / 4) { collection.remove(row) }
        let dead = try ChurnCurve(
            "\(order): 25 % dead", of: collection, queries: asked, passes: passes)
        collection.maintain(repairs: options.repairs)
        let micros = collection.repairSeconds * 1e6 / Double(old.count / 4)
        let after = try ChurnCurve(
            "\(order): 25 % gone", of: collection, queries: asked, passes: passes,
            remark: "\(fixed(micros, 1)) µs to take a row out; "
                + "\(collection.index.strayEdges()) stray edges, "
                + "\(collection.index.unreachable(collection.visibility)) not reached")
        let fresh = try ChurnCurve(
            "\(order): fresh, 75 %",
            of: try ChurnCollection(data.corpus, rows: old.dropFirst(old.count / 4).sorted()),
            queries: asked, passes: passes)
        for curve in [before, dead, after, fresh] { report.append(curve) }
        func usual(_ curve: ChurnCurve) -> ChurnPoint? {
            curve.points.first { $0.efSearch == Self.usualEf }
        }
        guard let first = usual(before) else { return }
        for (name, curve) in [("dead", dead), ("gone", after)] {
            guard let last = usual(curve) else { continue }
            report.figures += [
                .atMost(
                    1.3, "\(order): 25 % \(name), distances over before",
                    last.distances / first.distances),
                .atMost(
                    1.3, "\(order): 25 % \(name), p95 over before", last.p95 / first.p95,
                    isCount: false),
            ]
        }
        report.figures.append(
            .atMost(
                0.01, "\(order): 25 % gone, recall below a fresh graph's",
                after.recallGap(below: fresh)))
    }
}

/// Rows sorted so that what lies near each other comes one after the other.
struct ChurnOrder {
    private static let pivotCount = 64
    /// The nearest of some rows, by row.
    private let pivots: [Int]

    init(_ corpus: VectorFile, seed: UInt64) {
        var chance = Chance(seed ^ 0xC1A5)
        let middles = (0..<Self.pivotCount).map { _ in
            corpus.floats(chance.below(corpus.rowCount))
        }
        pivots = (0..<corpus.rowCount).map { row in
            let values = corpus.row(row)
            var best = 0
            var bestScore = -Float.infinity
            for (number, middle) in middles.enumerated() {
                var score: Float = 0
                for i in 0..<corpus.dimension { score += values[i] * middle[i] }
                if score > bestScore { (best, bestScore) = (number, score) }
            }
            return best
        }
    }

    func sorted(_ rows: [Int]) -> [Int] {
        rows.sorted { (pivots[$0], $0) < (pivots[$1], $1) }
    }
}
