// Rows, the queries that a calibration may learn from, and others that it is measured on.
import KyroCommands

struct RecallCollection {
    let name: String
    var rows: [[Float]]
    /// Asked before, over and over.
    let live: [[Float]]
    let measured: [[Float]]

    init(_ name: String, _ options: RecallOptions) throws {
        self.name = name
        var chance = Chance(options.seed)
        let folder = options.dataFolder + "/"
        switch name {
        case "wordnet":
            rows = try Self.rows(folder + "wordnet/corpus.npy", options, &chance)
            (live, measured) = try Self.halves(folder + "wordnet/queries.npy", options, &chance)
        case "scifact":
            rows = try Self.rows(folder + "scifact/corpus.npy", options, &chance)
            live = try Self.all(folder + "scifact/train_queries.npy")
            let test = try Self.all(folder + "scifact/queries.npy")
            measured = Array(test.prefix(options.queryCount))
        case "strangers":
            rows = try Self.rows(folder + "wordnet/corpus.npy", options, &chance)
            (live, measured) = try Self.halves(
                folder + "commits-dev/corpus.npy", options, &chance)
        default:
            let source = LatentClusters(dimension: 256, seed: options.seed)
            let rowCount = min(100_000, options.rowsMax)
            let all = (0..<(rowCount + 1_000 + options.queryCount)).map { number in
                var row = [Float](repeating: 0, count: 256)
                row.withUnsafeMutableBufferPointer { row in
                    if let base = row.baseAddress { source.write(number, to: base) }
                }
                return row
            }
            rows = Array(all[..<rowCount])
            live = Array(all[rowCount..<(rowCount + 1_000)])
            measured = Array(all[(rowCount + 1_000)...])
        }
    }

    private static func all(_ path: String) throws -> [[Float]] {
        let file = try NPYFile(path: path)
        return try (0..<file.header.rowCount).map { try file.row($0) }
    }

    private static func shuffled(_ path: String, _ chance: inout Chance) throws -> [[Float]] {
        var rows = try all(path)
        for i in stride(from: rows.count - 1, to: 0, by: -1) { rows.swapAt(i, chance.below(i + 1)) }
        return rows
    }

    private static func rows(
        _ path: String, _ options: RecallOptions, _ chance: inout Chance
    ) throws -> [[Float]] {
        Array(try shuffled(path, &chance).prefix(options.rowsMax))
    }

    /// Half of them at most are measured, and the others live.
    private static func halves(
        _ path: String, _ options: RecallOptions, _ chance: inout Chance
    ) throws -> (live: [[Float]], measured: [[Float]]) {
        let all = try shuffled(path, &chance)
        let count = min(options.queryCount, all.count / 2)
        return (Array(all[count...]), Array(all[..<count]))
    }
}
