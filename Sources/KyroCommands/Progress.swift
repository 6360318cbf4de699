// One line on a terminal that tells how far a long command is.

/// Draws at most ten times a second, over itself; draws nothing where there is no terminal.
public struct Progress {
    /// What is counted.
    public enum Unit: Sendable {
        case documents
        case rows
        case queries
        case bytes
    }

    private let isShown: Bool
    private let unit: Unit
    private let width: Int
    private let startNanos: Int64
    private var drawnNanos: Int64 = 0
    private var isDrawn = false
    private static let intervalNanos: Int64 = 100_000_000

    public init(isShown: Bool, width: Int?, nowNanos: Int64, unit: Unit = .documents) {
        self.isShown = isShown
        self.unit = unit
        self.width = width ?? 80
        startNanos = nowNanos
    }

    /// `fraction` is nil where the end is not known.
    public mutating func update(
        count: UInt64, fraction: Double?, nowNanos: Int64, isFinal: Bool = false
    ) {
        guard isShown, isFinal || nowNanos - drawnNanos >= Self.intervalNanos else { return }
        drawnNanos = nowNanos
        isDrawn = true
        let line = Self.line(
            count: count, fraction: fraction, elapsedNanos: nowNanos - startNanos, width: width - 1,
            unit: unit)
        Terminal.writeError("\r\u{1B}[K" + line)
    }

    /// Removes the line, so that a message can take its place.
    public mutating func clear() {
        guard isDrawn else { return }
        isDrawn = false
        drawnNanos = 0
        Terminal.writeError("\r\u{1B}[K")
    }

    /// `[####----]  42%  12,345 documents  4,100/s  3 s left`, cut to `width` columns.
    public static func line(
        count: UInt64, fraction: Double?, elapsedNanos: Int64, width: Int,
        unit: Unit = .documents
    ) -> String {
        let seconds = Double(max(1, elapsedNanos)) / 1e9
        var parts: [String] = []
        if let fraction {
            let done = min(1, max(0, fraction))
            let cells = 24
            let full = Int(done * Double(cells))
            let bar = String(repeating: "#", count: full)
            let rest = String(repeating: "-", count: cells - full)
            let percent = String(Int(done * 100))
            let padding = String(repeating: " ", count: 3 - percent.utf8.count)
            parts.append("[\(bar)\(rest)] \(padding)\(percent)%")
        }
        let rate = UInt64(Double(count) / seconds)
        switch unit {
        case .documents:
            parts.append("\(countText(count)) documents")
            parts.append("\(countText(rate))/s")
        case .rows:
            parts.append("\(countText(count)) rows")
            parts.append("\(countText(rate))/s")
        case .queries:
            parts.append("\(countText(count)) queries")
            parts.append("\(countText(rate))/s")
        case .bytes:
            parts.append(byteText(count))
            parts.append("\(byteText(rate))/s")
        }
        if let fraction, fraction > 0, fraction < 1, seconds >= 1 {
            let left = seconds / fraction - seconds
            parts.append("\(TimeSpan.text(micros: Int64(left * 1e6))) left")
        }
        return truncated(parts.joined(separator: "  "), toWidth: width)
    }
}
