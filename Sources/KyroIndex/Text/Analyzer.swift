// From a text to its terms.
import KyroModel

/// Cuts a text into terms as the field's schema says. A value with buffers and a stemmer of its
/// own, for one thread; two analyzers of the same field give the same terms.
///
/// - standard: runs of letters, digits, marks and underscores, case-folded; without stop words,
///   which English has unless the field says otherwise; stemmed. An ideograph is a word by itself.
/// - code: such runs whole, case-folded, and behind each its parts between changes of case, digits
///   and underscores.
/// - raw: the whole text, as it is.
///
/// Marks are folded, where the field wants it, before stop words and stems are looked for: a text
/// with marks and one without give the same terms.
///
/// Positions count words, dropped ones included, from zero. Of code the parts of a word stand one
/// behind the other, and the whole word where its first part does.
public struct Analyzer: ~Copyable {
    private let kind: AnalyzerKind
    private let stopWords: StopWordSet
    private let foldsDiacritics: Bool
    private var stemmer: Stemmer?
    private var word: [UInt8] = []
    /// Classes of the current word's characters and where each ends in `word` and in the text; code
    /// only.
    private var parts: [(kind: CharacterClass, end: Int, textEnd: Int)] = []
    /// Whether words of code come in parts, too.
    private var emitsParts = true
    /// Of the current word.
    private var place = Token(position: 0, start: 0, end: 0)

    /// Where a term stands in its text.
    struct Token: Equatable {
        /// Of the word, counted from zero.
        var position: Int
        /// Bytes [start, end) of the text.
        var start: Int
        var end: Int
    }

    /// - Parameter stopWords: of the field, where they are at hand.
    init(_ field: TextField, stopWords: StopWordSet? = nil) {
        kind = field.analyzer
        self.stopWords = stopWords ?? StopWordSet(field)
        foldsDiacritics = field.foldsDiacritics
        let stems = field.stems && field.analyzer == .standard
        stemmer = stems ? Stemmer(language: field.language) : nil
        word.reserveCapacity(64)
    }

    /// Whether `language` names a stemming algorithm that is there.
    public static func supports(language: String) -> Bool { Stemmer.isKnown(language) }

    /// Names of the stemming algorithms that are there.
    public static var languages: [String] { Stemmer.languages }

    /// Whether a text is a single word to a field's analyser, stop words included.
    public static func isOneWord(_ text: String, of field: TextField) -> Bool {
        var options = field
        options.stopWords = .none
        options.stems = false
        var analyzer = Analyzer(options)
        return analyzer.words(text).count == 1
    }

    /// Calls `body` with every term in the order of the text, repetitions included. The array is
    /// reused: copy what is to be kept.
    mutating func forEachTerm(_ text: String, _ body: ([UInt8]) -> Void) {
        forEachToken(text) { term, _ in body(term) }
    }

    /// The same with the place of each term; positions never fall.
    mutating func forEachToken(_ text: String, _ body: ([UInt8], Token) -> Void) {
        switch kind {
        case .raw:
            let bytes = Array(text.utf8)
            if !bytes.isEmpty { body(bytes, Token(position: 0, start: 0, end: bytes.count)) }
        case .standard, .code:
            forEachWord(Array(text.utf8), body)
        }
    }

    /// The terms of whole words alone, in the order of the text.
    mutating func words(_ text: String) -> [[UInt8]] {
        emitsParts = false
        defer { emitsParts = true }
        var words: [[UInt8]] = []
        forEachTerm(text) { words.append($0) }
        return words
    }

    private mutating func forEachWord(_ bytes: [UInt8], _ body: ([UInt8], Token) -> Void) {
        var position = 0
        word.removeAll(keepingCapacity: true)
        place = Token(position: 0, start: 0, end: 0)
        while position < bytes.count {
            let (scalar, byteCount) = decodeScalar(bytes, at: position)
            let start = position
            position += byteCount
            let kind = CharacterClass(scalar)
            switch kind {
            case .separator:
                if !word.isEmpty { finishWord(body) }
            case .ideograph:
                if !word.isEmpty { finishWord(body) }
                append(scalar)
                (place.start, place.end) = (start, position)
                finishWord(body)
            case .lower, .upper, .digit, .other:
                if word.isEmpty { place.start = start }
                let before = word.count
                append(scalar)
                place.end = position
                if self.kind == .code, word.count > before {
                    let isUnderscore = scalar == "_"
                    parts.append((isUnderscore ? .separator : kind, word.count, position))
                }
            }
        }
        if !word.isEmpty { finishWord(body) }
    }

    @inline(__always)
    private mutating func append(_ scalar: Unicode.Scalar) {
        guard foldsDiacritics else { return appendFolded(scalar, to: &word) }
        if let folded = Diacritics.folded(scalar) { appendFolded(folded, to: &word) }
    }

    private mutating func finishWord(_ body: ([UInt8], Token) -> Void) {
        if kind == .code {
            body(word, place)
            let count = emitsParts ? emitParts(body) : 0
            place.position += max(count, 1)
            parts.removeAll(keepingCapacity: true)
        } else {
            if !stopWords.contains(word) {
                stemmer?.stem(&word)
                if !word.isEmpty { body(word, place) }
            }
            place.position += 1
        }
        word.removeAll(keepingCapacity: true)
    }

    /// A part begins where letters become digits or back, where upper case follows lower, and at
    /// the last of several capitals before lower case (`HTTPServer`: http, server). Returns how
    /// many there are.
    private func emitParts(_ body: ([UInt8], Token) -> Void) -> Int {
        var token = Token(position: place.position, start: place.start, end: place.start)
        var start = 0
        var first = 0
        for i in parts.indices {
            let isSeparator = parts[i].kind == .separator
            if i > first, !isSeparator, !beginsPart(i, after: first) { continue }
            let end = i == 0 ? 0 : parts[i - 1].end
            token.end = i == 0 ? place.start : parts[i - 1].textEnd
            if end > start, end - start < word.count {
                body(Array(word[start..<end]), token)
                token.position += 1
            }
            start = isSeparator ? parts[i].end : end
            token.start = isSeparator ? parts[i].textEnd : token.end
            first = isSeparator ? i + 1 : i
        }
        if start < word.count, start > 0 {
            token.end = place.end
            body(Array(word[start...]), token)
            token.position += 1
        }
        return token.position - place.position
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
