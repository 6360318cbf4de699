// What the churn benchmark found.
import KyroCommands

struct ChurnReport {
    private var curves: [ChurnCurve] = []
    var figures: [Figure] = []

    mutating func append(_ curve: ChurnCurve) { curves.append(curve) }

    var curveTable: String {
        var table = Table([
            .init("index"), .init("rows", isRightAligned: true),
            .init("MiB", isRightAligned: true), .init("efSearch", isRightAligned: true),
            .init("recall@10", isRightAligned: true), .init("distances", isRightAligned: true),
            .init("p50 µs", isRightAligned: true), .init("p95 µs", isRightAligned: true),
            .init("remark"),
        ])
        for curve in curves {
            for (number, point) in curve.points.enumerated() {
                let isFirst = number == 0
                table.append([
                    isFirst ? curve.name : "", isFirst ? String(curve.livingCount) : "",
                    isFirst ? fixed(Double(curve.residentBytes) / 1_048_576, 0) : "",
                    String(point.efSearch), fixed(point.recall, 4), fixed(point.distances, 0),
                    fixed(point.p50, 1), fixed(point.p95, 1), isFirst ? curve.remark : "",
                ])
            }
        }
        return table.text()
    }
}
