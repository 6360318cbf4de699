// Rows for people: columns aligned by display width, and cut to what the terminal shows.

/// Columns of a terminal that `character` takes: 0, 1 or 2 (Unicode Standard Annex 11, wide and
/// fullwidth; emoji as terminals draw them).
public func displayWidth(_ character: Character) -> Int {
    guard let first = character.unicodeScalars.first else { return 0 }
    if first.value < 0x300 { return first.value < 0x20 ? 0 : 1 }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    if character.unicodeScalars.contains("\u{FE0F}") { return 2 }
    switch first.value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
        0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
        0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
        0x1F900...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x3FFFD:
        return 2
    default:
        return first.properties.isEmojiPresentation ? 2 : 1
    }
}

public func displayWidth(_ text: String) -> Int {
    text.reduce(0) { $0 + displayWidth($1) }
}

/// At most `width` columns of `text`; what is cut is marked by `…`.
public func truncated(_ text: String, toWidth width: Int) -> String {
    guard displayWidth(text) > width else { return text }
    guard width > 0 else { return "" }
    var result = ""
    var used = 0
    for character in text {
        let next = displayWidth(character)
        if used + next > width - 1 { break }
        result.append(character)
        used += next
    }
    return result + "…"
}

/// One line without control characters: what a cell can show of any text, and nothing that a
/// terminal would obey.
public func singleLine(_ text: String) -> String {
    var result = ""
    var isAfterSpace = true
    for scalar in text.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator:
            if !isAfterSpace { result += " " }
            isAfterSpace = true
        default:
            result.unicodeScalars.append(scalar)
            isAfterSpace = false
        }
    }
    if result.hasSuffix(" ") { result.removeLast() }
    return result
}

public struct Table: Sendable {
    public struct Column: Sendable {
        public var title: String
        public var isRightAligned: Bool
        /// May be cut when the table is wider than the terminal, down to this width.
        public var widthMin: Int?

        public init(_ title: String, isRightAligned: Bool = false, widthMin: Int? = nil) {
            self.title = title
            self.isRightAligned = isRightAligned
            self.widthMin = widthMin
        }
    }

    public var columns: [Column]
    public private(set) var rows: [[String]] = []

    private static let gap = "  "

    public init(_ columns: [Column]) { self.columns = columns }

    /// - Precondition: one cell for each column.
    public mutating func append(_ row: [String]) {
        precondition(
            row.count == columns.count, "\(row.count) cells for \(columns.count) columns")
        rows.append(row.map(singleLine))
    }

    /// Title line and rows, each ended by a newline. Without `width` nothing is cut.
    public func text(width: Int? = nil) -> String {
        var widths = columns.indices.map { index in
            rows.reduce(displayWidth(columns[index].title)) { max($0, displayWidth($1[index])) }
        }
        if let width { shrink(&widths, to: width - Self.gap.count * (columns.count - 1)) }
        var text = line(columns.map(\.title), widths: widths)
        for row in rows { text += line(row, widths: widths) }
        return text
    }

    /// Takes columns from the widest that may be cut, until the table fits or nothing may be cut.
    private func shrink(_ widths: inout [Int], to total: Int) {
        var excess = widths.reduce(0, +) - total
        while excess > 0 {
            let cuttable = columns.indices.filter { index in
                guard let least = columns[index].widthMin else { return false }
                return widths[index] > least
            }
            guard let widest = cuttable.max(by: { widths[$0] < widths[$1] }) else { return }
            widths[widest] -= 1
            excess -= 1
        }
    }

    private func line(_ cells: [String], widths: [Int]) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let shown = truncated(cell, toWidth: widths[index])
            let padding = String(repeating: " ", count: widths[index] - displayWidth(shown))
            if index > 0 { line += Self.gap }
            if columns[index].isRightAligned {
                line += padding + shown
            } else {
                line += index == cells.count - 1 ? shown : shown + padding
            }
        }
        while line.hasSuffix(" ") { line.removeLast() }
        return line + "\n"
    }
}

/// `1536` as `1.5 KiB`.
public func byteText(_ count: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(count)
    var unit = 0
    while value >= 1_024, unit < units.count - 1 {
        value /= 1_024
        unit += 1
    }
    return unit == 0 ? "\(count) B" : "\(decimal(value, places: value < 10 ? 1 : 0)) \(units[unit])"
}

/// `1234567` as `1,234,567`.
public func countText(_ count: UInt64) -> String {
    var groups: [String] = []
    var rest = count
    while rest >= 1_000 {
        let group = String(rest % 1_000)
        groups.append(String(repeating: "0", count: 3 - group.utf8.count) + group)
        rest /= 1_000
    }
    return ([String(rest)] + groups.reversed()).joined(separator: ",")
}
