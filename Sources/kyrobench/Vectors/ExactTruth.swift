// The exact nearest rows of every query, by comparing all.
import CKernels
import KyroIndex
import KyroPlatform

struct ExactTruth: Sendable {
    static let depth = 10
    /// Rows kept of each query, so that there is room for those equal to the tenth.
    static let width = 32
    /// Scores of unit vectors this close count as equal: more than sums of floats in any order
    /// differ by.
    static let tie = 1e-6
    private static let blockRows = 64

    /// Of each query: the best ten, then those as good as the tenth.
    let rows: [[Int32]]

    /// The best of one part of the rows, `width` a query, best first.
    private struct Best: Sendable {
        var scores: [Double]
        var rows: [Int32]

        init(queryCount: Int) {
            scores = Array(repeating: -.infinity, count: queryCount * ExactTruth.width)
            rows = Array(repeating: -1, count: queryCount * ExactTruth.width)
        }

        mutating func insert(_ score: Double, _ row: Int32, query: Int) {
            let first = query * ExactTruth.width
            var place = first + ExactTruth.width - 1
            guard score > scores[place] else { return }
            while place > first, scores[place - 1] < score {
                scores[place] = scores[place - 1]
                rows[place] = rows[place - 1]
                place -= 1
            }
            scores[place] = score
            rows[place] = row
        }
    }

    /// - Parameters:
    ///   - corpus: unit vectors; of at least `depth` rows.
    ///   - queries: unit vectors.
    init(corpus: VectorFile, queries: VectorFile, threads: Int) {
        let parts = Locked<[Best]>([])
        let blocks = (corpus.rowCount + Self.blockRows - 1) / Self.blockRows
        BenchWorkers(count: threads).run { number in
            let range = (number * blocks / threads)..<((number + 1) * blocks / threads)
            let best = Self.scan(range, corpus, queries)
            parts.withLock { $0.append(best) }
        }
        var all = Best(queryCount: queries.rowCount)
        for part in parts.withLock({ $0 }) {
            for place in part.rows.indices where part.rows[place] >= 0 {
                all.insert(part.scores[place], part.rows[place], query: place / Self.width)
            }
        }
        rows = (0..<queries.rowCount).map { query in
            let first = query * Self.width
            let least = all.scores[first + Self.depth - 1] - Self.tie
            return (first..<(first + Self.width)).filter {
                all.rows[$0] >= 0 && all.scores[$0] >= least
            }.map { all.rows[$0] }
        }
    }

    /// Block by block, all queries over each, so that a row is read from memory once.
    private static func scan(
        _ blocks: Range<Int>, _ corpus: VectorFile, _ queries: VectorFile
    ) -> Best {
        var best = Best(queryCount: queries.rowCount)
        var scores = [Double](repeating: 0, count: blockRows)
        let dimension = corpus.dimension
        for block in blocks {
            let first = block * blockRows
            let count = min(blockRows, corpus.rowCount - first)
            for query in 0..<queries.rowCount {
                kyro_dot_f32_rows(
                    queries.row(query), corpus.row(first), dimension * 4, count, dimension, &scores)
                let least = best.scores[(query + 1) * width - 1]
                for i in 0..<count where scores[i] > least {
                    best.insert(scores[i], Int32(first + i), query: query)
                }
            }
        }
        return best
    }

    /// How many of the ten nearest an answer has.
    func found(_ answer: some Collection<Int>, query: Int) -> Int {
        min(Self.depth, answer.prefix(Self.depth).count { rows[query].contains(Int32($0)) })
    }

    /// For the peers: `width` row numbers a query, behind the last one −1.
    var npyBytes: [UInt8] {
        var bytes = VectorFile.header(type: "<i4", rows: rows.count, columns: Self.width)
        bytes.reserveCapacity(bytes.count + rows.count * Self.width * 4)
        for accepted in rows {
            for i in 0..<Self.width {
                let bits = UInt32(bitPattern: i < accepted.count ? accepted[i] : -1)
                for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * byte))) }
            }
        }
        return bytes
    }
}
