// collections.proto, first part: the schema.
import KyroModel

// MARK: Schema

struct VectorFieldDraft: WireDraft {
    var name = ""
    var dimension: UInt32 = 0
    var metric: Int32 = 0
    var indexing: VectorIndexingDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .varint): dimension = try reader.uint32("dimension")
        case (3, .varint): metric = try reader.int32("metric")
        case (4, .bytes): try reader.message("indexing", into: &indexing)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> VectorField {
        VectorField(
            dimension: Int(dimension),
            metric: try enumValue(metric, "metric", Metric.init(rawValue:)),
            indexing: try indexing?.finish("indexing") ?? .default)
    }
}

struct SparseFieldDraft: WireDraft {
    var name = ""

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        default: try reader.skip(field)
        }
    }

    func finish() -> SparseField { SparseField() }
}

struct TextFieldDraft: WireDraft {
    var name = ""
    var analyzer: Int32 = 0
    var language = ""
    var bm25: BM25ParametersDraft?
    var foldsDiacritics = false
    var stopWords: Int32 = 0
    var stopWordList: [String] = []
    var hasTooManyStopWords = false
    var keepsForms = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .varint): analyzer = try reader.int32("analyzer")
        case (3, .bytes): language = try reader.string("language")
        case (4, .bytes): try reader.message("bm25", into: &bm25)
        case (5, .varint): foldsDiacritics = try reader.bool("fold_diacritics")
        case (6, .varint): stopWords = try reader.int32("stop_words")
        case (7, .bytes):
            guard stopWordList.count < Limits.stopWordsMax else {
                hasTooManyStopWords = true
                return try reader.skip(field)
            }
            stopWordList.append(try reader.string("stop_word_list"))
        case (8, .varint): keepsForms = try reader.bool("no_stemming")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> TextField {
        guard !hasTooManyStopWords else {
            throw .overLimit(
                path: "stop_word_list", problem: "has more than \(Limits.stopWordsMax) words")
        }
        return TextField(
            analyzer: try enumValue(analyzer, "analyzer", AnalyzerKind.init(rawValue:)),
            language: language, bm25: bm25?.finish() ?? BM25Parameters(),
            foldsDiacritics: foldsDiacritics, stopWords: try finishStopWords(), stems: !keepsForms)
    }

    private func finishStopWords() throws(WireError) -> StopWords {
        try enumValue(stopWords, "stop_words") { raw in
            switch raw {
            case 0: .standard
            case 1: StopWords.none
            case 2: .list(stopWordList)
            default: nil
            }
        }
    }
}

struct BM25ParametersDraft: WireDraft {
    var k1 = 0.0
    var b = 0.0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .fixed64): k1 = try reader.double("k1")
        case (2, .fixed64): b = try reader.double("b")
        default: try reader.skip(field)
        }
    }

    func finish() -> BM25Parameters { BM25Parameters(k1: k1, b: b) }
}

struct MetadataFieldDraft: WireDraft {
    var name = ""
    var type: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .varint): type = try reader.int32("type")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> ValueType {
        try enumValue(type, "type", ValueType.init(rawValue:))
    }
}

struct MultiVectorFieldDraft: WireDraft {
    var name = ""
    var dimension: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): name = try reader.string("name")
        case (2, .varint): dimension = try reader.uint32("dimension")
        default: try reader.skip(field)
        }
    }

    func finish() -> MultiVectorField { MultiVectorField(dimension: Int(dimension)) }
}

struct SchemaDraft: WireDraft {
    var vectors: [VectorFieldDraft] = []
    var sparseVectors: [SparseFieldDraft] = []
    var texts: [TextFieldDraft] = []
    var metadata: [MetadataFieldDraft] = []
    var multiVectors: [MultiVectorFieldDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.declaration("vectors", appendingTo: &vectors)
        case (2, .bytes): try reader.declaration("sparse_vectors", appendingTo: &sparseVectors)
        case (3, .bytes): try reader.declaration("texts", appendingTo: &texts)
        case (4, .bytes): try reader.declaration("metadata", appendingTo: &metadata)
        case (5, .bytes): try reader.declaration("multi_vectors", appendingTo: &multiVectors)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Schema {
        var schema = Schema()
        schema.vectors = try finishFields(vectors, "vectors", \.name)
        schema.sparseVectors = try finishFields(sparseVectors, "sparse_vectors", \.name)
        schema.texts = try finishFields(texts, "texts", \.name)
        schema.metadata = try finishFields(metadata, "metadata", \.name)
        schema.multiVectors = try finishFields(multiVectors, "multi_vectors", \.name)
        return schema
    }
}

extension WireReader {
    /// Two bytes on the wire become dozens in memory: the bound must hold while reading.
    fileprivate mutating func declaration<Draft: WireDraft>(
        _ name: StaticString, appendingTo drafts: inout [Draft]
    ) throws(WireError) {
        guard drafts.count < Limits.fieldsMax else { throw .tooManyFields(name) }
        try message(name, appendingTo: &drafts)
    }
}

/// Declarations by name; a name that is declared twice could mean either.
private func finishFields<Draft: WireDraft>(
    _ drafts: [Draft], _ list: StaticString, _ nameOf: (Draft) -> String
) throws(WireError) -> FieldMap<Draft.Value> {
    var fields: FieldMap<Draft.Value> = [:]
    for (index, draft) in drafts.enumerated() {
        let name = nameOf(draft)
        guard fields[name] == nil else {
            throw WireError.invalid(path: "name", problem: "\"\(name)\" is declared twice")
                .inside(list, index: index)
        }
        fields[name] = try draft.finish(list, index: index)
    }
    return fields
}

private struct VectorFieldOnWire: WireEncodable {
    let name: String
    let field: VectorField

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, name)
        sink.uint(2, UInt32(clamping: field.dimension))
        sink.uint(3, UInt32(field.metric.rawValue))
        sink.message(4, field.indexing.unlessDefault)
    }
}

private struct SparseFieldOnWire: WireEncodable {
    let name: String

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.string(1, name) }
}

struct TextFieldOnWire: WireEncodable {
    let name: String
    let field: TextField

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, name)
        sink.uint(2, UInt32(field.analyzer.rawValue))
        sink.string(3, field.language)
        sink.message(4, field.bm25)
        sink.bool(5, field.foldsDiacritics)
        switch field.stopWords {
        case .standard: break
        case .none: sink.uint(6, 1 as UInt32)
        case .list(let words):
            sink.uint(6, 2 as UInt32)
            sink.strings(7, words)
        }
        sink.bool(8, !field.stems)
    }
}

extension BM25Parameters: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.double(1, k1)
        sink.double(2, b)
    }
}

private struct MetadataFieldOnWire: WireEncodable {
    let name: String
    let type: ValueType

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, name)
        sink.uint(2, UInt32(type.rawValue))
    }
}

private struct MultiVectorFieldOnWire: WireEncodable {
    let name: String
    let field: MultiVectorField

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, name)
        sink.uint(2, UInt32(clamping: field.dimension))
    }
}

extension Schema: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        for entry in vectors.entries {
            sink.message(1, VectorFieldOnWire(name: entry.name, field: entry.value))
        }
        for entry in sparseVectors.entries {
            sink.message(2, SparseFieldOnWire(name: entry.name))
        }
        for entry in texts.entries {
            sink.message(3, TextFieldOnWire(name: entry.name, field: entry.value))
        }
        for entry in metadata.entries {
            sink.message(4, MetadataFieldOnWire(name: entry.name, type: entry.value))
        }
        for entry in multiVectors.entries {
            sink.message(5, MultiVectorFieldOnWire(name: entry.name, field: entry.value))
        }
    }
}
