// The passages of a stored text in which a query's terms stand.
import KyroModel

/// Cuts the best fragments out of texts and marks the words found. The text is analysed again, so
/// that what is marked are its own words, whatever their terms look like.
public struct TextHighlighter: Sendable {
    /// Bytes of the text that are marked.
    private struct Mark {
        var start: Int
        var end: Int
        /// Which of the terms.
        var term: Int
        /// Characters before `start` and before `end`.
        var startCharacter = 0
        var endCharacter = 0
    }

    private let index: TextIndex
    private let terms: [[UInt8]: Int]
    private let fragmentsMax: Int
    private let fragmentSize: Int
    private let before: [UInt8]
    private let after: [UInt8]

    /// - Parameters:
    ///   - field: of the plan.
    ///   - index: whose analyser made the terms.
    public init(_ plan: TextPlan, field: String, index: TextIndex, _ query: HighlightQuery) {
        let number = plan.fields.firstIndex { $0.name.utf8.elementsEqual(field.utf8) }
        let found = number.map { plan.terms(field: $0) } ?? []
        var terms: [[UInt8]: Int] = [:]
        for term in found { terms[term] = terms.count }
        self.terms = terms
        self.index = index
        fragmentsMax = query.fragments == 0 ? Limits.fragmentsDefault : Int(query.fragments)
        fragmentSize =
            query.fragmentSize == 0 ? Limits.fragmentSizeDefault : Int(query.fragmentSize)
        let isPlain = query.before.isEmpty && query.after.isEmpty
        before = Array((isPlain ? "<em>" : query.before).utf8)
        after = Array((isPlain ? "</em>" : query.after).utf8)
    }

    /// The best fragments, best first: with the most different terms, of those with the most words
    /// found, of those the first. They do not overlap; none where nothing is found.
    public func fragments(of text: String) -> [String] {
        if terms.isEmpty { return [] }
        let bytes = Array(text.utf8)
        var marks = marks(in: text)
        if marks.isEmpty { return [] }
        measure(&marks, bytes)
        var windows: [Range<Int>] = []
        var isTaken = [Bool](repeating: false, count: marks.count)
        while windows.count < fragmentsMax, let window = best(marks, isTaken) {
            for mark in window { isTaken[mark] = true }
            windows.append(window)
        }
        // Each may reach as far as the words of its neighbours.
        let ordered = windows.sorted { $0.lowerBound < $1.lowerBound }
        var bounds: [Int: Range<Int>] = [:]
        var floor = 0
        for (position, window) in ordered.enumerated() {
            let isLast = position + 1 == ordered.count
            let ceiling =
                isLast ? bytes.count : marks[ordered[position + 1].lowerBound].start
            let reach = reach(marks, window, bytes, floor: floor, ceiling: ceiling)
            bounds[window.lowerBound] = reach
            floor = reach.upperBound
        }
        return windows.map { render(bytes, bounds[$0.lowerBound] ?? 0..<0, marks) }
    }

    private func marks(in text: String) -> [Mark] {
        var analyzer = Analyzer(index.field, stopWords: index.stopWords)
        var marks: [Mark] = []
        analyzer.forEachToken(text) { term, token in
            guard let number = terms[term] else { return }
            // Parts of a word of code lie within it, and come behind it.
            if let last = marks.last, token.start < last.end { return }
            marks.append(Mark(start: token.start, end: token.end, term: number))
        }
        return marks
    }

    /// Counts characters, and cuts marks that are longer than a fragment.
    private func measure(_ marks: inout [Mark], _ bytes: [UInt8]) {
        var position = 0
        var characters = 0
        func advance(to end: Int) {
            while position < end {
                if bytes[position] & 0xC0 != 0x80 { characters += 1 }
                position += 1
            }
        }
        for i in marks.indices {
            advance(to: marks[i].start)
            marks[i].startCharacter = characters
            advance(to: marks[i].end)
            marks[i].endCharacter = characters
            if characters - marks[i].startCharacter > fragmentSize {
                marks[i].endCharacter = marks[i].startCharacter + fragmentSize
                marks[i].end = Self.move(bytes, from: marks[i].start, by: fragmentSize)
            }
        }
    }

    /// Where so many characters further the next one begins.
    private static func move(_ bytes: [UInt8], from start: Int, by characters: Int) -> Int {
        var position = start
        for _ in 0..<characters where position < bytes.count {
            position += 1
            while position < bytes.count, bytes[position] & 0xC0 == 0x80 { position += 1 }
        }
        return position
    }

    /// The best run of marks that fits into a fragment and is not taken.
    private func best(_ marks: [Mark], _ isTaken: [Bool]) -> Range<Int>? {
        var counts = [Int](repeating: 0, count: terms.count)
        var distinct = 0
        var best: Range<Int>?
        var bestScore = (0, 0)
        var start = 0
        for end in marks.indices {
            if isTaken[end] {
                for mark in start..<end { counts[marks[mark].term] = 0 }
                distinct = 0
                start = end + 1
                continue
            }
            counts[marks[end].term] += 1
            if counts[marks[end].term] == 1 { distinct += 1 }
            while marks[end].endCharacter - marks[start].startCharacter > fragmentSize {
                counts[marks[start].term] -= 1
                if counts[marks[start].term] == 0 { distinct -= 1 }
                start += 1
            }
            if bestScore < (distinct, end + 1 - start) {
                bestScore = (distinct, end + 1 - start)
                best = start..<(end + 1)
            }
        }
        return best
    }

    /// The fragment around some marks: as much on either side as there is room for, cut between words.
    private func reach(
        _ marks: [Mark], _ window: Range<Int>, _ bytes: [UInt8], floor: Int, ceiling: Int
    ) -> Range<Int> {
        let (first, last) = (marks[window.lowerBound], marks[window.upperBound - 1])
        var room = max(0, fragmentSize - (last.endCharacter - first.startCharacter))
        var low = first.start
        var left = room / 2
        while low > floor, left > 0 {
            low -= 1
            if bytes[low] & 0xC0 != 0x80 { left -= 1 }
        }
        if low > floor {
            while low < first.start, !Self.isSpace(bytes[low]) { low += 1 }
        }
        while low < first.start, Self.isSpace(bytes[low]) { low += 1 }
        var used = 0
        for position in low..<first.start where bytes[position] & 0xC0 != 0x80 { used += 1 }
        room -= used
        var high = last.end
        while high < ceiling, room > 0 {
            high = Self.move(bytes, from: high, by: 1)
            room -= 1
        }
        high = min(high, ceiling)
        if high < ceiling, !Self.isSpace(bytes[high]) {
            while high > last.end, !Self.isSpace(bytes[high - 1]) { high -= 1 }
        }
        while high > last.end, Self.isSpace(bytes[high - 1]) { high -= 1 }
        return low..<high
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte)
    }

    private func render(_ bytes: [UInt8], _ bounds: Range<Int>, _ marks: [Mark]) -> String {
        var shown: [UInt8] = []
        var position = bounds.lowerBound
        for mark in marks where mark.start >= bounds.lowerBound && mark.end <= bounds.upperBound {
            shown += bytes[position..<mark.start]
            shown += before
            shown += bytes[mark.start..<mark.end]
            shown += after
            position = mark.end
        }
        shown += bytes[position..<bounds.upperBound]
        return String(decoding: shown, as: UTF8.self)
    }
}
