// Whether a declared schema can be served.
import KyroIndex
import KyroModel

enum SchemaValidation {
    static func check(_ schema: Schema) throws(KyroError) {
        try checkCount(schema.vectors.count, "schema.vectors")
        try checkCount(schema.sparseVectors.count, "schema.sparse_vectors")
        try checkCount(schema.texts.count, "schema.texts")
        try checkCount(schema.metadata.count, "schema.metadata")
        try checkCount(schema.multiVectors.count, "schema.multi_vectors")
        for entry in schema.vectors {
            let path = "schema.vectors[\"\(entry.name)\"]"
            try NameValidation.check(entry.name, field: path + ".name")
            try checkDimension(entry.value.dimension, field: path + ".dimension")
            try IndexingValidation.check(entry.value.indexing, field: path + ".indexing")
        }
        for entry in schema.sparseVectors {
            try NameValidation.check(
                entry.name, field: "schema.sparse_vectors[\"\(entry.name)\"].name")
        }
        for entry in schema.texts {
            let path = "schema.texts[\"\(entry.name)\"]"
            try NameValidation.check(entry.name, field: path + ".name")
            try check(entry.value, field: path)
        }
        for entry in schema.metadata {
            try NameValidation.check(entry.name, field: "schema.metadata[\"\(entry.name)\"].name")
        }
        for entry in schema.multiVectors {
            let path = "schema.multi_vectors[\"\(entry.name)\"]"
            try NameValidation.check(entry.name, field: path + ".name")
            try checkDimension(entry.value.dimension, field: path + ".dimension")
        }
    }

    /// - Parameter path: of the field, for errors.
    static func check(_ text: TextField, field path: String) throws(KyroError) {
        guard Analyzer.supports(language: text.language) else {
            throw .invalid(
                path + ".language",
                "is \"\(text.language)\", which is no Snowball algorithm; it must be one of "
                    + Analyzer.languages.joined(separator: ", "))
        }
        let bm25 = text.bm25
        guard bm25.k1.isFinite, bm25.k1 >= 0, bm25.k1 <= 100 else {
            throw .invalid(path + ".bm25.k1", "is \(bm25.k1); it must lie in 0...100")
        }
        guard bm25.b >= 0, bm25.b <= 1 else {
            throw .invalid(path + ".bm25.b", "is \(bm25.b); it must lie in 0...1")
        }
        guard text.analyzer != .raw || !text.foldsDiacritics else {
            throw .invalid(
                path + ".fold_diacritics", "is true; the analyser RAW keeps texts as they are")
        }
        guard text.analyzer == .standard || text.stopWords == .standard && text.stems else {
            throw .invalid(
                path + (text.stems ? ".stop_words" : ".no_stemming"),
                "is set; only the analyser STANDARD has stop words and stems")
        }
        guard case .list(let words) = text.stopWords else { return }
        guard words.count <= Limits.stopWordsMax else {
            throw .overLimit(
                path + ".stop_word_list",
                "has \(words.count) words; the limit is \(Limits.stopWordsMax)")
        }
        for (index, word) in words.enumerated() {
            let place = "\(path).stop_word_list[\(index)]"
            guard word.utf8.count <= Limits.stopWordBytesMax else {
                throw .overLimit(
                    place,
                    "has \(word.utf8.count) bytes; the limit is \(Limits.stopWordBytesMax)")
            }
            guard Analyzer.isOneWord(word, of: text) else {
                throw .invalid(place, "is \"\(word)\"; it must be one word")
            }
        }
    }

    static func checkRetention(_ millis: Int64) throws(KyroError) {
        guard (0...Limits.retentionMillisMax).contains(millis) else {
            throw .overLimit(
                "retention_ms", "is \(millis); it must lie in 0...\(Limits.retentionMillisMax)")
        }
    }

    static func checkDimension(
        _ dimension: Int, field: @autoclosure () -> String
    ) throws(KyroError) {
        guard (1...Limits.dimensionMax).contains(dimension) else {
            throw .overLimit(
                field(), "is \(dimension); it must lie in 1...\(Limits.dimensionMax)")
        }
    }

    static func checkCount(
        _ count: Int, _ field: @autoclosure () -> String
    ) throws(KyroError) {
        guard count <= Limits.fieldsMax else {
            throw .overLimit(field(), "has \(count) fields; the limit is \(Limits.fieldsMax)")
        }
    }
}
