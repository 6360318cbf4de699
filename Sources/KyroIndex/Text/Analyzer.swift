// From a text to its terms.
import KyroModel

/// Cuts a text into terms as the field's schema says. A value with buffers and a stemmer of its
/// own, for one thread; two analyzers of the same field give the same terms.
///
/// - standard: runs of letters, digits, marks and underscores, case-folded; without stop words when
///   the language is English; stemmed. An ideograph is a word by itself.
/// - code: such runs whole, case-folded, and behind each its parts between changes of case, digits
///   and underscores.
/// - raw: the whole text, as it is.
public struct Analyzer: ~Copyable {
    private let kind: AnalyzerKind
    private let dropsStopWords: Bool
    private var stemmer: Stemmer?
    private var word: [UInt8] = []
    /// Classes of the current word's characters and where each ends in `word`; code only.
    private var parts: [(kind: CharacterClass, end: Int)] = []

    init(_ field: TextField) {
        kind = field.analyzer
        dropsStopWords = field.language == "english"
        stemmer = field.analyzer == .standard ? Stemmer(language: field.language) : nil
        word.reserveCapacity(64)
    }

    /// Whether `language` names a stemming algorithm that is there.
    public static func supports(language: String) -> Bool { Stemmer.isKnown(language) }

    /// Calls `body` with every term in the order of the text, repetitions included. The array is
    /// reused: copy what is to be kept.
    mutating func forEachTerm(_ text: String, _ body: ([UInt8]) -> Void) {
        switch kind {
        case .raw:
            if !text.isEmpty { body(Array(text.utf8)) }
        case .standard, .code:
            forEachWord(Array(text.utf8), body)
        }
    }

    private mutating func forEachWord(_ bytes: [UInt8], _ body: ([UInt8]) -> Void) {
        var position = 0
        word.removeAll(keepingCapacity: true)
        while position < bytes.count {
            let (scalar, byteCount) = decodeScalar(bytes, at: position)
            position += byteCount
            let kind = CharacterClass(scalar)
            switch kind {
            case .separator:
                if !word.isEmpty { finishWord(body) }
            case .ideograph:
                if !word.isEmpty { finishWord(body) }
                appendFolded(scalar, to: &word)
                finishWord(body)
            case .lower, .upper, .digit, .other:
                appendFolded(scalar, to: &word)
                if self.kind == .code {
                    let isUnderscore = scalar == "_"
                    parts.append((isUnderscore ? .separator : kind, word.count))
                }
            }
        }
        if !word.isEmpty { finishWord(body) }
    }

    private mutating func finishWord(_ body: ([UInt8]) -> Void) {
        if kind == .code {
            body(word)
            emitParts(body)
            parts.removeAll(keepingCapacity: true)
        } else if !isStopWord {
            stemmer?.stem(&word)
            if !word.isEmpty { body(word) }
        }
        word.removeAll(keepingCapacity: true)
    }

    private var isStopWord: Bool {
        dropsStopWords && word.count <= englishStopWordBytesMax && englishStopWords.contains(word)
    }

    /// A part begins where letters become digits or back, where upper case follows lower, and at
    /// the last of several capitals before lower case (`HTTPServer`: http, server).
    private func emitParts(_ body: ([UInt8]) -> Void) {
        var start = 0
        var first = 0
        for i in parts.indices {
            let isSeparator = parts[i].kind == .separator
            if i > first, !isSeparator, !beginsPart(i, after: first) { continue }
            let end = i == 0 ? 0 : parts[i - 1].end
            if end > start, end - start < word.count { body(Array(word[start..<end])) }
            start = isSeparator ? parts[i].end : end
            first = isSeparator ? i + 1 : i
        }
        if start < word.count, start > 0 { body(Array(word[start...])) }
    }

    private func beginsPart(_ i: Int, after first: Int) -> Bool {
        let before = parts[i - 1].kind
        let here = parts[i].kind
        if here == .other || before == .other { return false }
        if (here == .digit) != (before == .digit) { return true }
        if here == .upper, before == .lower { return true }
        let next = i + 1 < parts.count ? parts[i + 1].kind : .separator
        return here == .upper && before == .upper && next == .lower
    }
}

/// The scalar whose UTF-8 begins at `position`, and its length. The bytes come from a `String`,
/// hence are valid.
@inline(__always)
private func decodeScalar(_ bytes: [UInt8], at position: Int) -> (Unicode.Scalar, Int) {
    let lead = bytes[position]
    if lead < 0x80 { return (Unicode.Scalar(lead), 1) }
    let byteCount = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    var value = UInt32(lead) & (0x7F >> UInt32(byteCount))
    for i in 1..<byteCount { value = value << 6 | UInt32(bytes[position + i] & 0x3F) }
    return (Unicode.Scalar(value) ?? "\u{FFFD}", byteCount)
}
