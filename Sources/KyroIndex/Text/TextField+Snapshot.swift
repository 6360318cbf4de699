// What a text index was analysed with, in its snapshot: the schema may have changed since.
//
//   analyser            varint, raw value
//   language            varint byte count, bytes
//   k1, b               varints, bit patterns
//   flags               varint: 1 diacritics folded, 2 not stemmed, 4 no stop words, 8 own stop words
//   stop words          with flag 8: varint count, then per word: varint byte count, bytes
import KyroModel

extension TextField {
    private static let folds = 1
    private static let keepsForms = 2
    private static let hasNoStopWords = 4
    private static let hasOwnStopWords = 8

    func write(to stream: inout IndexStreamWriter) throws(KyroError) {
        try stream.write(Int(analyzer.rawValue))
        try stream.write(bytes: Array(language.utf8))
        try stream.write(bm25.k1.bitPattern)
        try stream.write(bm25.b.bitPattern)
        var flags = foldsDiacritics ? Self.folds : 0
        if !stems { flags |= Self.keepsForms }
        var words: [String] = []
        switch stopWords {
        case .standard: break
        case .none: flags |= Self.hasNoStopWords
        case .list(let own):
            flags |= Self.hasOwnStopWords
            words = own
        }
        try stream.write(flags)
        guard flags & Self.hasOwnStopWords != 0 else { return }
        try stream.write(words.count)
        for word in words { try stream.write(bytes: Array(word.utf8)) }
    }

    init(from stream: inout IndexStreamReader) throws(KyroError) {
        let raw = try stream.read(max: 255, "analyser")
        guard let kind = AnalyzerKind(rawValue: UInt8(raw)) else {
            throw stream.damaged("analyser \(raw)")
        }
        self.init(analyzer: kind)
        language = String(
            decoding: try stream.readBytes(max: Limits.nameBytesMax), as: UTF8.self)
        bm25.k1 = Double(bitPattern: try stream.read())
        bm25.b = Double(bitPattern: try stream.read())
        let flags = try stream.read(max: 15, "flags")
        foldsDiacritics = flags & Self.folds != 0
        stems = flags & Self.keepsForms == 0
        if flags & Self.hasNoStopWords != 0 { stopWords = .none }
        guard flags & Self.hasOwnStopWords != 0 else { return }
        let count = try stream.read(max: Limits.stopWordsMax, "stop words")
        var words: [String] = []
        for _ in 0..<count {
            let bytes = try stream.readBytes(max: Limits.stopWordBytesMax)
            words.append(String(decoding: bytes, as: UTF8.self))
        }
        stopWords = .list(words)
    }
}
