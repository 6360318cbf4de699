// The rows, queries and exact answers that every system of one comparison gets.
import KyroCommands
import KyroPlatform

struct VectorData: Sendable {
    let name: String
    /// Unit vectors in random order.
    let corpus: VectorFile
    let queries: VectorFile
    let truth: ExactTruth
    let truthPath: String
    /// Share of the exact answers that came with the data set and were found to be exact here.
    let givenTruthAgreement: Double?

    var rawBytes: Int { corpus.rowCount * corpus.dimension * 4 }

    /// - Parameter folder: where the files are written.
    init(_ options: VectorOptions, folder: String) throws {
        let start = clock.monotonicNanos()
        name = options.isSynthetic ? "synthetic" : "wordnet"
        var places: [Int] = []
        if options.isSynthetic {
            (corpus, queries) = try Self.synthetic(options, folder)
        } else {
            (corpus, queries, places) = try Self.real(options, folder)
        }
        note(
            "\(name): \(corpus.rowCount) × \(corpus.dimension) after "
                + "\(fixed(secondsSince(start), 1)) s; now the exact answers")
        truth = ExactTruth(corpus: corpus, queries: queries, threads: options.threads)
        truthPath = folder + "/truth.npy"
        try PosixFileSystem().open(truthPath, .createEmpty).write(truth.npyBytes, at: 0)
        givenTruthAgreement = try Self.agreement(truth, places, options)
        note(
            "exact answers of \(queries.rowCount) queries after \(fixed(secondsSince(start), 1)) s")
    }

    private static func synthetic(
        _ options: VectorOptions, _ folder: String
    ) throws -> (VectorFile, VectorFile) {
        let source = LatentClusters(dimension: options.dimension, seed: options.seed)
        let corpus = try VectorFile(
            creating: folder + "/corpus.npy", rowCount: options.rowsMax,
            dimension: options.dimension)
        let queries = try VectorFile(
            creating: folder + "/queries.npy", rowCount: options.queryCount,
            dimension: options.dimension)
        let threads = options.threads
        BenchWorkers(count: threads).run { number in
            let count = corpus.rowCount
            for row in (number * count / threads)..<((number + 1) * count / threads) {
                source.write(row, to: corpus.row(row))
                corpus.normalise(row)
            }
        }
        for query in 0..<queries.rowCount {
            source.write(corpus.rowCount + query, to: queries.row(query))
            queries.normalise(query)
        }
        return (corpus, queries)
    }

    /// Also where each row of the data set went.
    private static func real(
        _ options: VectorOptions, _ folder: String
    ) throws -> (VectorFile, VectorFile, [Int]) {
        let source = try NPYFile(path: options.dataFolder + "/corpus.npy")
        let asked = try NPYFile(path: options.dataFolder + "/queries.npy")
        let dimension = source.header.dimension
        guard asked.header.dimension == dimension else {
            throw BenchError("\(options.dataFolder): rows and queries differ in dimension")
        }
        let count = source.header.rowCount
        let rowCount = options.rowsMax > 0 ? min(options.rowsMax, count) : count
        var places = Array(0..<rowCount)
        var chance = Chance(options.seed)
        for i in stride(from: rowCount - 1, to: 0, by: -1) {
            places.swapAt(i, chance.below(i + 1))
        }
        let corpus = try VectorFile(
            creating: folder + "/corpus.npy", rowCount: rowCount, dimension: dimension)
        for row in 0..<rowCount { try copy(source.row(row), to: places[row], of: corpus) }
        let queries = try VectorFile(
            creating: folder + "/queries.npy",
            rowCount: min(options.queryCount, asked.header.rowCount), dimension: dimension)
        for query in 0..<queries.rowCount { try copy(asked.row(query), to: query, of: queries) }
        return (corpus, queries, places)
    }

    private static func copy(_ values: [Float], to row: Int, of file: VectorFile) {
        file.row(row).update(from: values, count: values.count)
        file.normalise(row)
    }

    private static func agreement(
        _ truth: ExactTruth, _ places: [Int], _ options: VectorOptions
    ) throws -> Double? {
        guard !options.isSynthetic, options.rowsMax == 0 else { return nil }
        let asked = try NPYFile(path: options.dataFolder + "/queries.npy").header.rowCount
        let path = options.dataFolder + "/gt_queries_ids.npy"
        guard let given = try DataSet.truth(path, queryCount: asked) else { return nil }
        var found = 0
        for query in truth.rows.indices {
            let rows = given[query].prefix(ExactTruth.depth).map { row in
                row < places.count ? places[row] : -1
            }
            found += truth.found(rows, query: query)
        }
        return Double(found) / Double(ExactTruth.depth * truth.rows.count)
    }
}
