// Figures of one run, held against their targets, and what else is worth a line.
import KyroCommands
import KyroPlatform

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

    var text: String {
        var table = Table([
            .init("figure"), .init("measured", isRightAligned: true), .init("target"), .init(""),
        ])
        for figure in figures {
            table.append([
                figure.name, fixed(figure.value, 3) + " " + figure.unit, figure.targetText,
                figure.passes ? "PASS" : "MISS",
            ])
        }
        for fact in facts {
            table.append([fact.name, fixed(fact.value, 3) + " " + fact.unit, "", ""])
        }
        return table.text()
    }

    /// - Parameter settings: of the run, such as its seed.
    func json(_ settings: [JSON.Member]) -> JSON {
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
