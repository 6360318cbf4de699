// Relevance of several collections, against what it has to be.
import KyroCommands
import KyroModel
import KyroPlatform

struct RelevanceBenchmark {
    let options: RelevanceOptions

    /// Of the same measure on the same texts and vectors, elsewhere.
    private static let leastText = ["scifact": 0.6807, "wordnet": 0.230]
    private static let leastHybrid = ["scifact": 0.706]
    private static let dense = 0.002
    /// What tuned weights may lie below the best leg.
    private static let noise = 0.005

    func run() throws -> Int32 {
        print(
            "\(Machine.cpu), \(ProcessMemory.coreCount) cores, Linux \(Machine.kernel), "
                + "seed \(options.seed), load average \(Machine.loadAverage) at the start")
        let results = try options.names.map { name in
            try RelevanceRun(name, folder: folder(name), options, Self.exchange(name)).measure()
        }
        print(Self.table(results).text())
        let figures = results.flatMap { Self.figures($0) } + Self.meanFigure(results)
        let report = FigureReport()
        for figure in figures { report.add(figure) }
        let missed = figures.count { !$0.passes }
        let status = try report.end(
            [JSON.Member("seed", .int(Int64(options.seed)))] + results.map(Self.json),
            path: options.jsonPath, isStrict: options.isStrict)
        print(missed == 0 ? "PASS" : "FAIL: \(missed) of \(figures.count) figures")
        return options.isStrict ? status : 0
    }

    private func folder(_ name: String) -> String {
        options.isTiny
            ? options.dataFolder
            : options.dataFolder + (name == "wordnet" ? "/wordnet" : "/scifact")
    }

    private static func exchange(_ name: String) -> Exchange {
        switch name {
        case "no-text": Exchange(texts: true)
        case "no-vectors": Exchange(vectors: true)
        case "random": Exchange(judgements: true)
        default: Exchange()
        }
    }

    private static func figures(_ result: RelevanceResult) -> [Figure] {
        var figures: [Figure] = []
        func add(_ figure: Figure) { figures.append(figure) }
        let name = result.name
        if let least = leastText[name] {
            add(.atLeast(least, "\(name): BM25", result.text))
        }
        if let least = leastHybrid[name] {
            add(.atLeast(least, "\(name): hybrid by default", result.hybrid))
            // Where a graph is walked the table tells; `kyrobench recall` is about it.
            if let exact = result.exactVector {
                let exact = (exact * 10_000).rounded() / 10_000
                add(.near(exact, within: dense, "\(name): vectors", result.vector))
            }
        }
        add(
            .atLeast(
                -noise, "\(name): tuned, less the best leg", result.tuned - result.bestLeg))
        return figures
    }

    /// Over the collections whose legs and judgements are as they are.
    private static func meanFigure(_ results: [RelevanceResult]) -> [Figure] {
        let real = results.filter { leastText[$0.name] != nil }
        guard real.count > 1 else { return [] }
        let gain = real.reduce(0) { $0 + $1.tuned - $1.bestLeg } / Double(real.count)
        return [.atLeast(0, "mean: tuned, less the best leg", gain)]
    }

    private static func table(_ results: [RelevanceResult]) -> Table {
        var table = Table(
            [Table.Column("nDCG@10")]
                + ["text", "vector", "exact", "hybrid", "rrf", "tuned", "- best leg"].map {
                    Table.Column($0, isRightAligned: true)
                }
                + [
                    Table.Column("measured on", isRightAligned: true),
                    Table.Column("tuned on", isRightAligned: true),
                    Table.Column("s", isRightAligned: true), Table.Column("chosen, vector:text"),
                ])
        for result in results {
            table.append([
                result.name, fixed(result.text, 4), fixed(result.vector, 4),
                result.exactVector.map { fixed($0, 4) } ?? "", fixed(result.hybrid, 4),
                fixed(result.rrf, 4), fixed(result.tuned, 4),
                fixed(result.tuned - result.bestLeg, 4), "\(result.measuredOn)",
                "\(result.trainedOn)", fixed(result.tuneSeconds, 1),
                result.choices.joined(separator: "; "),
            ])
        }
        return table
    }

    private static func json(_ result: RelevanceResult) -> JSON.Member {
        JSON.Member(
            result.name,
            .object([
                .init("text", .double(result.text)), .init("vector", .double(result.vector)),
                .init("vector_exact", result.exactVector.map { .double($0) } ?? .null),
                .init("hybrid", .double(result.hybrid)), .init("rrf", .double(result.rrf)),
                .init("tuned", .double(result.tuned)),
                .init("queries", .int(Int64(result.measuredOn))),
                .init("trained_on", .int(Int64(result.trainedOn))),
                .init("choices", .array(result.choices.map { .string($0) })),
            ]))
    }
}
