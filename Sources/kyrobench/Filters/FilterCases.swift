// Filters of each selectivity and kind for every query, with the exact answers under them.
import CKernels
import KyroIndex
import KyroPlatform

enum FilterKind: String, CaseIterable, Sendable {
    case independent
    case correlated
    case antiCorrelated = "anti-correlated"
}

/// One kind of filter at one selectivity, for all queries.
struct FilterCase: Sendable {
    static let shares = [0.5, 0.1, 0.05, 0.02, 0.01, 0.001]

    let kind: FilterKind
    let share: Double
    var masks: [SlotMask] = []
    /// Rows that an exact answer may hold, ties with the tenth among them, by query.
    var truth: [Set<Int32>] = []

    /// How many of the ten nearest matching rows an answer has.
    func found(_ answer: [ScoredSlot], query: Int) -> Int {
        min(
            ExactTruth.depth,
            answer.prefix(ExactTruth.depth).count { hit in
                truth[query].contains(Int32(hit.slot))
            })
    }
}

/// Works through the queries, one at a time by each thread.
struct FilterCases: Sendable {
    static let clusterCount = 64
    /// A correlated filter surrounds one of so many rows nearest to the query.
    static let pivotRank = 100

    let corpus: VectorFile
    let queries: VectorFile
    let seed: UInt64
    /// The rows that stand for clusters, and each row's nearest of them.
    private let centres: [Int]
    private let clusterOf: [UInt8]

    init(corpus: VectorFile, queries: VectorFile, threads: Int, seed: UInt64) {
        self.corpus = corpus
        self.queries = queries
        self.seed = seed
        var chance = Chance(seed ^ 0xC1)
        let centres = (0..<Self.clusterCount).map { _ in chance.below(corpus.rowCount) }
        self.centres = centres
        let parts = Locked<[Int: [UInt8]]>([:])
        BenchWorkers(count: threads).run { number in
            let count = corpus.rowCount
            let range = (number * count / threads)..<((number + 1) * count / threads)
            let clusters = range.map { row in
                UInt8(
                    centres.indices.max {
                        kyro_dot_f32(corpus.row(centres[$0]), corpus.row(row), corpus.dimension)
                            < kyro_dot_f32(
                                corpus.row(centres[$1]), corpus.row(row), corpus.dimension)
                    } ?? 0)
            }
            parts.withLock { $0[number] = clusters }
        }
        clusterOf = parts.withLock { $0.sorted { $0.key < $1.key }.flatMap(\.value) }
    }

    func make(threads: Int) -> [FilterCase] {
        let made = Locked<[[(mask: SlotMask, truth: Set<Int32>)]]>(
            Array(repeating: [], count: queries.rowCount))
        BenchWorkers(count: threads).run { number in
            for query in stride(from: number, to: queries.rowCount, by: threads) {
                let filters = filters(query)
                made.withLock { $0[query] = filters }
            }
        }
        let byQuery = made.withLock { $0 }
        var cases: [FilterCase] = []
        for kind in FilterKind.allCases {
            for share in FilterCase.shares {
                let position = cases.count
                cases.append(
                    FilterCase(
                        kind: kind, share: share, masks: byQuery.map { $0[position].mask },
                        truth: byQuery.map { $0[position].truth }))
            }
        }
        return cases
    }

    /// In the order of kinds, and of shares within a kind.
    private func filters(_ query: Int) -> [(mask: SlotMask, truth: Set<Int32>)] {
        var chance = Chance(seed ^ UInt64(query + 1) &* 0x9E6C_63D0_876A_9A47)
        let scores = self.scores(queries.row(query))
        let best = Self.best(Self.pivotRank, of: scores)
        let toPivot = self.scores(corpus.row(best[chance.below(best.count)]))
        var result: [(SlotMask, Set<Int32>)] = []
        for kind in FilterKind.allCases {
            let order: [Int32] =
                switch kind {
                case .independent: shuffled(&chance)
                case .correlated:
                    (0..<Int32(corpus.rowCount)).sorted {
                        toPivot[Int($0)] > toPivot[Int($1)]
                    }
                case .antiCorrelated: farthest(query)
                }
            for share in FilterCase.shares {
                let count = max(1, Int(Double(corpus.rowCount) * share))
                var mask = SlotMask(slotCount: corpus.rowCount)
                for row in order.prefix(count) { mask.insert(Int(row)) }
                result.append((mask, Self.truth(order.prefix(count), scores)))
            }
        }
        return result
    }

    private func scores(_ query: UnsafePointer<Float>) -> [Double] {
        let dimension = corpus.dimension
        return [Double](unsafeUninitializedCapacity: corpus.rowCount) { scores, count in
            count = corpus.rowCount
            guard let first = scores.baseAddress, count > 0 else { return }
            kyro_dot_f32_rows(query, corpus.row(0), dimension * 4, count, dimension, first)
        }
    }

    private func shuffled(_ chance: inout Chance) -> [Int32] {
        var order = Array(0..<Int32(corpus.rowCount))
        for i in stride(from: order.count - 1, to: 0, by: -1) {
            order.swapAt(i, chance.below(i + 1))
        }
        return order
    }

    /// Whole clusters, the one whose centre is farthest first; rows of a cluster by number.
    private func farthest(_ query: Int) -> [Int32] {
        let toCentres = centres.map { centre in
            kyro_dot_f32(queries.row(query), corpus.row(centre), corpus.dimension)
        }
        let ranks = centres.indices.sorted { toCentres[$0] < toCentres[$1] }
        var byCluster = [[Int32]](repeating: [], count: centres.count)
        for (row, cluster) in clusterOf.enumerated() { byCluster[Int(cluster)].append(Int32(row)) }
        return ranks.flatMap { byCluster[$0] }
    }

    private static func best(_ count: Int, of scores: [Double]) -> [Int] {
        var kept: [Int] = []
        for row in scores.indices {
            if kept.count == count, scores[row] <= scores[kept[count - 1]] { continue }
            if kept.count == count { kept.removeLast() }
            var place = kept.count
            while place > 0, scores[kept[place - 1]] < scores[row] { place -= 1 }
            kept.insert(row, at: place)
        }
        return kept
    }

    private static func truth(_ rows: ArraySlice<Int32>, _ scores: [Double]) -> Set<Int32> {
        let matching = rows.map { scores[Int($0)] }
        let tenth = best(ExactTruth.depth, of: matching).last.map { matching[$0] } ?? 0
        return Set(rows.filter { scores[Int($0)] >= tenth - ExactTruth.tie })
    }
}
