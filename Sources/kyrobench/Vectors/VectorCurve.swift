// What one system gave: its build, and latency over recall as its search parameter grows.
import KyroCommands

/// Microseconds of single searches.
struct SearchTimes: Sendable {
    var count = 0
    var mean = 0.0
    var least = 0.0
    var p50 = 0.0
    var p90 = 0.0
    var p99 = 0.0
    var greatest = 0.0

    init() {}

    init(nanos: [UInt64]) {
        let sorted = nanos.sorted()
        guard let first = sorted.first, let last = sorted.last else { return }
        func quantile(_ fraction: Double) -> Double {
            let rank = (fraction * Double(sorted.count)).rounded(.up)
            return Double(sorted[max(1, Int(rank)) - 1]) / 1e3
        }
        count = sorted.count
        mean = Double(sorted.reduce(0, +)) / Double(count) / 1e3
        (least, greatest) = (Double(first) / 1e3, Double(last) / 1e3)
        (p50, p90, p99) = (quantile(0.5), quantile(0.9), quantile(0.99))
    }
}

struct CurvePoint: Sendable {
    /// efSearch, ef or nprobe; 0 for the system's default.
    var parameter: Int
    var recall: Double
    /// Distances a query; nil where the system does not tell.
    var distances: Double?
    var micros: SearchTimes
    /// Queries a second of one thread and of all.
    var perSecondOfOne: Double?
    var perSecondOfAll: Double?
}

struct BuildResult: Sendable {
    var threads: Int
    var seconds: Double
    /// Of those, until all rows were there, where rows come first and the graph after.
    var rowSeconds: Double?
    /// Processor time of all threads, and of one while no other had anything to do.
    var processorSeconds: Double?
    var aloneSeconds: Double?
    var rowCount: Int
    /// Anonymous memory after the build less that before.
    var residentBytes: UInt64
    /// What the system itself says that it takes.
    var countedBytes: UInt64?
    var remark = ""

    var perSecond: Double { Double(rowCount) / seconds }
}

struct SystemResult: Sendable {
    var system: String
    /// With its version or kernel.
    var library: String
    var parameterName: String
    var isPeer: Bool
    var build: BuildResult?
    var points: [CurvePoint] = []
    /// What a call takes on an index of ten rows, where another language makes it.
    var callMicros: Double?

    /// On the straight line between the two neighbouring points whose recall encloses it; the first
    /// point's where that is above; nil where none reaches it.
    func value(atRecall recall: Double, _ value: (CurvePoint) -> Double?) -> Double? {
        guard let first = points.first else { return nil }
        if first.recall >= recall { return value(first) }
        for (a, b) in zip(points, points.dropFirst()) where a.recall < recall && b.recall >= recall
        {
            guard let low = value(a), let high = value(b) else { return nil }
            return low + (high - low) * (recall - a.recall) / (b.recall - a.recall)
        }
        return nil
    }

    /// Whether a recall lies below the curve, so that values there are the first point's.
    func begins(above recall: Double) -> Bool { (points.first?.recall ?? 0) > recall }

    func p50(_ recall: Double) -> Double? { value(atRecall: recall) { $0.micros.p50 } }
    func p99(_ recall: Double) -> Double? { value(atRecall: recall) { $0.micros.p99 } }
    /// Less the call alone.
    func netP50(_ recall: Double) -> Double? { p50(recall).map { $0 - (callMicros ?? 0) } }

    /// Recall for so many distances a query; nil outside of what was measured.
    func recall(atDistances wanted: Double) -> Double? {
        for (a, b) in zip(points, points.dropFirst()) {
            guard let low = a.distances, let high = b.distances, low < high else { continue }
            if low <= wanted, wanted <= high {
                return a.recall + (b.recall - a.recall) * (wanted - low) / (high - low)
            }
        }
        return nil
    }
}

/// The values of the search parameter, ascending, that a curve is measured at.
enum Sweep {
    static let efs = [
        10, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 448, 640, 896, 1_280,
    ]
    /// Fewer candidates than these KyroDB never keeps for ten hits.
    static let ownEfs = efs.filter { $0 >= 32 }
    static let probes = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]
    /// A curve ends behind its first point that reaches this…
    static let recallMax = 0.995
    /// … or where so many points have gained nothing: codes that are not reranked end there.
    static let flatPointsMax = 3

    static func ends(_ points: [CurvePoint]) -> Bool {
        guard let last = points.last else { return false }
        if last.recall >= recallMax { return true }
        guard points.count > flatPointsMax else { return false }
        return last.recall <= points[points.count - 1 - flatPointsMax].recall
    }
}

// MARK: JSON lines

extension SearchTimes {
    var members: [JSON.Member] {
        [
            .init("samples", .int(Int64(count))), .init("mean_micros", .double(mean)),
            .init("min_micros", .double(least)), .init("p50_micros", .double(p50)),
            .init("p90_micros", .double(p90)), .init("p99_micros", .double(p99)),
            .init("max_micros", .double(greatest)),
        ]
    }

    init(_ json: JSON) throws {
        count = Int(try json.number("samples"))
        mean = try json.number("mean_micros")
        least = try json.number("min_micros")
        p50 = try json.number("p50_micros")
        p90 = try json.number("p90_micros")
        p99 = try json.number("p99_micros")
        greatest = try json.number("max_micros")
    }
}

extension SystemResult {
    var jsonLines: [JSON] {
        var lines: [JSON] = [
            .object([
                .init("kind", .string("system")), .init("system", .string(system)),
                .init("library", .string(library)), .init("parameter", .string(parameterName)),
                .init("is_peer", .bool(isPeer)), .init("call_micros", .optional(callMicros)),
            ])
        ]
        if let build {
            lines.append(
                .object([
                    .init("kind", .string("build")), .init("system", .string(system)),
                    .init("threads", .int(Int64(build.threads))),
                    .init("rows", .int(Int64(build.rowCount))),
                    .init("seconds", .double(build.seconds)),
                    .init("vectors_per_second", .double(build.perSecond)),
                    .init("row_seconds", .optional(build.rowSeconds)),
                    .init("processor_seconds", .optional(build.processorSeconds)),
                    .init("alone_seconds", .optional(build.aloneSeconds)),
                    .init("resident_bytes", .int(Int64(build.residentBytes))),
                    .init("counted_bytes", .optional(build.countedBytes.map { Double($0) })),
                    .init("remark", .string(build.remark)),
                ]))
        }
        for point in points {
            lines.append(
                .object(
                    [
                        .init("kind", .string("point")), .init("system", .string(system)),
                        .init("value", .int(Int64(point.parameter))),
                        .init("recall", .double(point.recall)),
                        .init("distances", .optional(point.distances)),
                    ] + point.micros.members + [
                        .init("per_second_of_one", .optional(point.perSecondOfOne)),
                        .init("per_second_of_all", .optional(point.perSecondOfAll)),
                    ]))
        }
        return lines
    }

    /// From the lines of a peer, which have the names of `jsonLines`.
    init(peerLines lines: [JSON]) throws {
        guard let head = lines.first(where: { $0["kind"]?.plainText == "system" }) else {
            throw BenchError("a peer told nothing of itself")
        }
        system = head["system"]?.plainText ?? "?"
        library = head["library"]?.plainText ?? "?"
        parameterName = head["parameter"]?.plainText ?? "?"
        isPeer = true
        callMicros = head.optionalNumber("call_micros")
        for line in lines {
            switch line["kind"]?.plainText {
            case "build"?:
                build = BuildResult(
                    threads: Int(try line.number("threads")), seconds: try line.number("seconds"),
                    rowSeconds: nil, rowCount: Int(try line.number("rows")),
                    residentBytes: UInt64(max(0, try line.number("resident_bytes"))),
                    countedBytes: line.optionalNumber("counted_bytes").map { UInt64(max(0, $0)) },
                    remark: line["remark"]?.plainText ?? "")
            case "point"?:
                points.append(
                    CurvePoint(
                        parameter: Int(try line.number("value")),
                        recall: try line.number("recall"),
                        distances: line.optionalNumber("distances"),
                        micros: try SearchTimes(line),
                        perSecondOfOne: line.optionalNumber("per_second_of_one"),
                        perSecondOfAll: line.optionalNumber("per_second_of_all")))
            default: break
            }
        }
    }
}

extension JSON {
    static func optional(_ value: Double?) -> JSON { value.map { .double($0) } ?? .null }

    func optionalNumber(_ name: String) -> Double? {
        switch self[name] {
        case .int(let value)?: Double(value)
        case .double(let value)?: value
        default: nil
        }
    }

    func number(_ name: String) throws -> Double {
        guard let value = optionalNumber(name) else {
            throw BenchError("a peer's line has no number \(name): \(text)")
        }
        return value
    }
}
