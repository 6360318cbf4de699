// Figures of one run, held against their targets, and what else is worth a line.
import KyroCommands
import KyroPlatform

func figureTable(_ figures: [Figure]) -> Table {
    var table = Table([
        .init("figure"), .init("measured", isRightAligned: true), .init("target"),
        .init("kind"), .init(""),
    ])
    for figure in figures {
        table.append([
            figure.name,
            fixed(figure.value, abs(figure.value) < 0.1 ? 4 : 3)
                + (figure.unit.isEmpty ? "" : " " + figure.unit),
            figure.targetText, figure.isCount ? "count" : "time", figure.passes ? "PASS" : "MISS",
        ])
    }
    return table
}

/// 1 when a count misses its target, where it is strict also when a time does; else 0.
func exitStatus(_ figures: [Figure], isStrict: Bool) -> Int32 {
    figures.contains { !$0.passes && ($0.isCount || isStrict) } ? 1 : 0
}

/// Figures as they are found, and what else is worth a line.
final class FigureReport {
    private(set) var figures: [Figure] = []
    private(set) var facts: [(name: String, value: Double, unit: String)] = []

    func fact(_ name: String, _ value: Double, _ unit: String = "") {
        facts.append((name, value, unit))
        note("\(name): \(fixed(value, 3)) \(unit)")
    }

    func add(_ figure: Figure) {
        figures.append(figure)
        let outcome = figure.passes ? "PASS" : "MISS"
        note("\(figure.name): \(fixed(figure.value, 3)) \(figure.unit), \(outcome)")
    }

    private var text: String {
        var table = figureTable(figures)
        for fact in facts {
            table.append([fact.name, fixed(fact.value, 3) + " " + fact.unit, "", "", ""])
        }
        return table.text()
    }

    /// Prints the table, writes everything down where there is a path, and answers the exit status.
    ///
    /// - Parameters:
    ///   - settings: of the run, such as its seed.
    ///   - isStrict: times must meet their targets, too.
    func end(_ settings: [JSON.Member], path: String?, isStrict: Bool) throws -> Int32 {
        print(text)
        if let path { try writeFile(json(settings).text + "\n", to: path) }
        return exitStatus(figures, isStrict: isStrict)
    }

    func end(_ data: VectorData, _ options: VectorOptions, isStrict: Bool) throws -> Int32 {
        let settings = [
            JSON.Member("seed", .int(Int64(options.seed))),
            JSON.Member("rows", .int(Int64(data.corpus.rowCount))),
            JSON.Member("dimension", .int(Int64(data.corpus.dimension))),
        ]
        return try end(settings, path: options.jsonPath, isStrict: isStrict)
    }

    private func json(_ settings: [JSON.Member]) -> JSON {
        let machine = [
            JSON.Member("cpu", .string(Machine.cpu)),
            JSON.Member("cores", .int(Int64(ProcessMemory.coreCount))),
            JSON.Member("kernel", .string(Machine.kernel)),
            JSON.Member("load_average", .double(Machine.loadAverage)),
        ]
        let found = [
            JSON.Member(
                "figures",
                .array(
                    figures.map { figure in
                        .object([
                            .init("name", .string(figure.name)),
                            .init("value", .double(figure.value)),
                            .init("unit", .string(figure.unit)),
                            .init("target", .string(figure.targetText)),
                            .init("passes", .bool(figure.passes)),
                        ])
                    })),
            JSON.Member(
                "facts",
                .array(
                    facts.map { fact in
                        .object([
                            .init("name", .string(fact.name)), .init("value", .double(fact.value)),
                            .init("unit", .string(fact.unit)),
                        ])
                    })),
        ]
        return .object(machine + settings + found)
    }
}
