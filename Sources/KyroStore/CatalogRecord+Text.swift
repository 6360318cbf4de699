// The options of a text field in the catalog; see CatalogRecord.swift.
import KyroBytes
import KyroModel

extension TextField {
    private static let folds: UInt8 = 1
    private static let keepsForms: UInt8 = 2
    private static let hasNoStopWords: UInt8 = 4
    private static let hasOwnStopWords: UInt8 = 8

    func encodeOptions(into writer: inout ByteWriter) {
        var options = foldsDiacritics ? Self.folds : 0
        if !stems { options |= Self.keepsForms }
        switch stopWords {
        case .standard: writer.writeByte(options)
        case .none: writer.writeByte(options | Self.hasNoStopWords)
        case .list(let words):
            writer.writeByte(options | Self.hasOwnStopWords)
            writer.writeVarint(UInt64(words.count))
            for word in words { writer.writeString(word) }
        }
    }

    mutating func decodeOptions(from reader: inout RecordReader) throws(StoreError) {
        let options = try reader.byte()
        guard options < 16, options & 12 != 12 else {
            throw reader.malformed("options \(options) of a text field")
        }
        foldsDiacritics = options & Self.folds != 0
        stems = options & Self.keepsForms == 0
        if options & Self.hasNoStopWords != 0 { stopWords = .none }
        guard options & Self.hasOwnStopWords != 0 else { return }
        var words: [String] = []
        for _ in 0..<(try reader.count(bytesEach: 1)) { words.append(try reader.string()) }
        stopWords = .list(words)
    }
}
