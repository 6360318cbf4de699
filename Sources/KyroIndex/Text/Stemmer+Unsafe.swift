// Snowball's stemmers, through libstemmer.
import CStemmer

/// One stemmer for UTF-8 words. Not thread-safe: each owner makes its own, which costs about a
/// microsecond.
@safe struct Stemmer: ~Copyable {
    /// Longer words are left alone: no language has them.
    static let wordBytesMax = 255

    private let stemmer: OpaquePointer

    /// Nil for an algorithm that libstemmer does not have.
    init?(language: String) {
        guard let made = unsafe sb_stemmer_new(language, "UTF_8") else { return nil }
        unsafe stemmer = made
    }

    deinit { unsafe sb_stemmer_delete(stemmer) }

    /// Whether `language` is the name of an algorithm; libstemmer's aliases are not.
    static func isKnown(_ language: String) -> Bool {
        languages.contains(language)
    }

    static let languages: [String] = {
        var names: [String] = []
        guard var name = unsafe sb_stemmer_list() else { return names }
        while let text = unsafe name.pointee {
            unsafe names.append(String(cString: text))
            unsafe name += 1
        }
        return names.sorted()
    }()

    /// Replaces a case-folded word by its stem.
    mutating func stem(_ word: inout [UInt8]) {
        guard word.count <= Self.wordBytesMax else { return }
        let result = unsafe word.withUnsafeBufferPointer { bytes in
            unsafe sb_stemmer_stem(stemmer, bytes.baseAddress, Int32(bytes.count))
        }
        guard let result = unsafe result else { return }
        let count = Int(unsafe sb_stemmer_length(stemmer))
        word.removeAll(keepingCapacity: true)
        unsafe word.append(contentsOf: UnsafeBufferPointer(start: result, count: count))
    }
}
