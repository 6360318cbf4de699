// Words that carry no meaning of their own.
import KyroModel

/// The 33 English stop words of Lucene's classic analyser.
let englishStopWords: Set<[UInt8]> = Set(
    """
    a an and are as at be but by for if in into is it no not of on or such that the their then \
    there these they this to was will with
    """.split(separator: " ").map { Array($0.utf8) })

/// The words that a field's analyser drops. Copies share their storage.
struct StopWordSet: Sendable {
    private let words: Set<[UInt8]>
    /// Longer words are not looked up.
    private let bytesMax: Int

    init(_ field: TextField) {
        guard field.analyzer == .standard else {
            words = []
            bytesMax = 0
            return
        }
        switch field.stopWords {
        case .none: words = []
        case .standard: words = field.language == "english" ? englishStopWords : []
        case .list(let list):
            var plain = field
            plain.stopWords = .none
            plain.stems = false
            var analyzer = Analyzer(plain)
            var found: Set<[UInt8]> = []
            for word in list { analyzer.forEachTerm(word) { found.insert($0) } }
            words = found
        }
        bytesMax = words.reduce(0) { max($0, $1.count) }
    }

    func contains(_ word: [UInt8]) -> Bool { word.count <= bytesMax && words.contains(word) }
}
