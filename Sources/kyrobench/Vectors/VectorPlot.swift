// Latency over recall as an SVG picture: time grows upwards by decades, recall to the right by how
// few neighbours are missed, so that 0.9, 0.99 and 0.999 are equally far apart.
import Glibc

struct VectorPlot {
    let title: String
    let systems: [SystemResult]

    private static let width = 960.0
    private static let height = 560.0
    private static let left = 70.0
    private static let right = 250.0
    private static let top = 50.0
    private static let bottom = 60.0
    private static let recalls = [0.8, 0.9, 0.95, 0.97, 0.99, 0.995, 0.999]
    private static let recallLeast = 0.7
    private static let recallGreatest = 0.9995
    private static let colours = [
        "#d62728", "#ff7f0e", "#8c1515", "#1f77b4", "#2ca02c", "#98df8a", "#9467bd", "#17becf",
        "#7f7f7f", "#bcbd22",
    ]

    private var shown: [(system: SystemResult, points: [CurvePoint])] {
        systems.map { system in
            (system, system.points.filter { $0.recall >= Self.recallLeast })
        }
    }

    /// Decades of microseconds that all points lie between.
    private var decades: (low: Double, high: Double) {
        let times = shown.flatMap { $0.points.map(\.micros.p50) }.filter { $0 > 0 }
        let low = floor(log10(times.min() ?? 10))
        return (low, max(low + 1, ceil(log10(times.max() ?? 1_000))))
    }

    private func x(_ recall: Double) -> Double {
        func place(_ recall: Double) -> Double { -log10(1 - min(recall, Self.recallGreatest)) }
        let share =
            (place(recall) - place(Self.recallLeast))
            / (place(Self.recallGreatest) - place(Self.recallLeast))
        return Self.left + share * (Self.width - Self.left - Self.right)
    }

    private func y(_ micros: Double, _ decades: (low: Double, high: Double)) -> Double {
        let share = (log10(micros) - decades.low) / (decades.high - decades.low)
        return Self.height - Self.bottom - share * (Self.height - Self.top - Self.bottom)
    }

    var svg: String {
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \
            \(Int(Self.height))" font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            <text x="\(Self.left)" y="26" font-size="15">\(Self.escaped(title))</text>

            """
        text += axes
        for (number, entry) in shown.enumerated() {
            text += curve(entry.points, entry.system, number)
        }
        return text + "</svg>\n"
    }

    private var axes: String {
        let decades = decades
        let (right, low) = (Self.width - Self.right, Self.height - Self.bottom)
        var text = ""
        for recall in Self.recalls {
            let x = fixed(x(recall), 1)
            text += Self.line(x, fixed(Self.top, 1), x, fixed(low, 1), "#dddddd")
            text += Self.label(x, fixed(low + 18, 1), "middle", "\(recall)")
        }
        for decade in Int(decades.low)...Int(decades.high) {
            for step in [1.0, 2, 5] {
                let micros = step * pow(10, Double(decade))
                guard log10(micros) <= decades.high + 1e-9 else { continue }
                let y = fixed(y(micros, decades), 1)
                let colour = step == 1 ? "#bbbbbb" : "#eeeeee"
                text += Self.line(fixed(Self.left, 1), y, fixed(right, 1), y, colour)
                text += Self.label(
                    fixed(Self.left - 6, 1), y, "end", fixed(micros, micros < 1 ? 1 : 0))
            }
        }
        text += Self.label(
            fixed((Self.left + right) / 2, 1), fixed(low + 42, 1), "middle", "recall@10")
        text += Self.label(
            fixed(Self.left, 1), fixed(Self.top - 8, 1), "middle", "p50, µs, one thread")
        return text
    }

    private func curve(_ points: [CurvePoint], _ system: SystemResult, _ number: Int) -> String {
        let decades = decades
        let colour = Self.colours[number % Self.colours.count]
        let places = points.filter { $0.micros.p50 > 0 }.map { point in
            (fixed(x(point.recall), 1), fixed(y(point.micros.p50, decades), 1))
        }
        let width = system.isPeer ? "1.5" : "2.5"
        let path = places.map { "\($0.0),\($0.1)" }.joined(separator: " ")
        var text =
            "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" "
            + "stroke-width=\"\(width)\"/>\n"
        for place in places {
            text += "<circle cx=\"\(place.0)\" cy=\"\(place.1)\" r=\"3\" fill=\"\(colour)\"/>\n"
        }
        let legendX = Self.width - Self.right + 20
        let legendY = Self.top + 10 + Double(number) * 20
        text +=
            "<line x1=\"\(legendX)\" y1=\"\(legendY)\" x2=\"\(legendX + 24)\" y2=\"\(legendY)\" "
            + "stroke=\"\(colour)\" stroke-width=\"\(width)\"/>\n"
        return text
            + Self.label(
                fixed(legendX + 30, 1), fixed(legendY + 4, 1), "start", Self.escaped(system.system))
    }

    private static func line(
        _ x1: String, _ y1: String, _ x2: String, _ y2: String, _ colour: String
    ) -> String {
        "<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" stroke=\"\(colour)\"/>\n"
    }

    private static func label(
        _ x: String, _ y: String, _ anchor: String, _ text: String
    ) -> String {
        "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\">\(text)</text>\n"
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
    }
}
