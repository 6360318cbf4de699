// collections.proto: how vector fields are indexed, and what serves them.
import KyroModel

// MARK: VectorIndexing

struct VectorIndexingDraft: WireDraft {
    var kind: Int32 = 0
    var codes: Int32 = 0
    var rerank: Int32 = 0
    var storage: Int32 = 0
    /// What needs no check of its own.
    var numbers = VectorIndexing()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): kind = try reader.int32("kind")
        case (2, .varint): codes = try reader.int32("codes")
        case (3, .varint): rerank = try reader.int32("rerank")
        case (4, .varint): storage = try reader.int32("storage")
        case (5, .varint): numbers.m = try reader.uint32("m")
        case (6, .varint): numbers.efConstruction = try reader.uint32("ef_construction")
        case (7, .varint): numbers.efSearch = try reader.uint32("ef_search")
        case (8, .varint): numbers.lists = try reader.uint32("lists")
        case (9, .varint): numbers.probes = try reader.uint32("probes")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> VectorIndexing {
        var indexing = numbers
        indexing.kind = try enumValue(kind, "kind", VectorIndexKind.init(rawValue:))
        indexing.codes = try enumValue(codes, "codes", VectorCodes.init(rawValue:))
        indexing.rerank = try enumValue(rerank, "rerank", VectorRerank.init(rawValue:))
        indexing.storage = try enumValue(storage, "storage", VectorStorage.init(rawValue:))
        return indexing
    }
}

extension VectorIndexing: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, UInt32(kind.rawValue))
        sink.uint(2, UInt32(codes.rawValue))
        sink.uint(3, UInt32(rerank.rawValue))
        sink.uint(4, UInt32(storage.rawValue))
        sink.uint(5, m)
        sink.uint(6, efConstruction)
        sink.uint(7, efSearch)
        sink.uint(8, lists)
        sink.uint(9, probes)
    }

    /// Nil where all is as it is without being said.
    var unlessDefault: VectorIndexing? { self == .default ? nil : self }
}

// MARK: VectorIndexStatus

struct VectorIndexStatusDraft: WireDraft {
    var status = VectorIndexStatus(field: "")
    var kind: Int32 = 0
    var codes: Int32 = 0
    var rerank: Int32 = 0
    var storage: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): status.field = try reader.string("field")
        case (2, .varint): kind = try reader.int32("kind")
        case (3, .varint): codes = try reader.int32("codes")
        case (4, .varint): rerank = try reader.int32("rerank")
        case (5, .varint): storage = try reader.int32("storage")
        case (6, .varint): status.rows = try reader.varint("rows")
        case (7, .varint): status.indexedRows = try reader.varint("indexed_rows")
        case (8, .varint): status.deadRows = try reader.varint("dead_rows")
        case (9, .varint): status.rowBytes = try reader.varint("row_bytes")
        case (10, .varint): status.codeBytes = try reader.varint("code_bytes")
        case (11, .varint): status.linkBytes = try reader.varint("link_bytes")
        case (12, .varint): status.codesVersion = try reader.uint32("codes_version")
        case (13, .varint): status.rebuildRowsDone = try reader.varint("rebuild_rows_done")
        case (14, .varint): status.rebuildRowsTotal = try reader.varint("rebuild_rows_total")
        case (15, .varint): status.recallSamples = try reader.uint32("recall_samples")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> VectorIndexStatus {
        var finished = status
        finished.kind = try enumValue(kind, "kind", VectorIndexKind.init(rawValue:))
        finished.codes = try enumValue(codes, "codes", VectorCodes.init(rawValue:))
        finished.rerank = try enumValue(rerank, "rerank", VectorRerank.init(rawValue:))
        finished.storage = try enumValue(storage, "storage", VectorStorage.init(rawValue:))
        return finished
    }
}

extension VectorIndexStatus: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.uint(2, UInt32(kind.rawValue))
        sink.uint(3, UInt32(codes.rawValue))
        sink.uint(4, UInt32(rerank.rawValue))
        sink.uint(5, UInt32(storage.rawValue))
        sink.uint(6, rows)
        sink.uint(7, indexedRows)
        sink.uint(8, deadRows)
        sink.uint(9, rowBytes)
        sink.uint(10, codeBytes)
        sink.uint(11, linkBytes)
        sink.uint(12, codesVersion)
        sink.uint(13, rebuildRowsDone)
        sink.uint(14, rebuildRowsTotal)
        sink.uint(15, recallSamples)
    }
}

// MARK: DescribeCollectionResponse

struct DescribeCollectionResponseDraft: WireDraft {
    var collection = CollectionDraft()
    var vectors: [VectorIndexStatusDraft] = []
    var metadata: [MetadataStatisticsDraft] = []
    var texts: [TextIndexStatusDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("collection", into: &collection)
        case (2, .bytes): try reader.message("vectors", appendingTo: &vectors)
        case (3, .bytes): try reader.message("metadata", appendingTo: &metadata)
        case (4, .bytes): try reader.message("texts", appendingTo: &texts)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> DescribeCollectionResponse {
        DescribeCollectionResponse(
            collection: try collection.finish("collection"),
            vectors: try finishList(vectors, "vectors"),
            metadata: try finishList(metadata, "metadata"),
            texts: try finishList(texts, "texts"))
    }
}

extension DescribeCollectionResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> DescribeCollectionResponse {
        try decodeMessage(DescribeCollectionResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, collection)
        sink.messages(2, vectors)
        sink.messages(3, metadata)
        sink.messages(4, texts)
    }
}

// MARK: Rebuild

struct RebuildRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var vectors: FieldMap<VectorIndexingDraft> = [:]
    var texts: FieldMap<TextFieldDraft> = [:]
    var isOverfull = false
    var hasTooManyTexts = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .bytes):
            if try !reader.mapEntry("vectors", into: &vectors) { isOverfull = true }
        case (3, .bytes):
            if try !reader.mapEntry("texts", into: &texts) { hasTooManyTexts = true }
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> RebuildRequest {
        if isOverfull { throw .tooManyFields("vectors") }
        if hasTooManyTexts { throw .tooManyFields("texts") }
        return RebuildRequest(
            scope: scope.finish(), vectors: try finishMap(vectors, "vectors"),
            texts: try finishMap(texts, "texts"))
    }
}

extension RebuildRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> RebuildRequest {
        try decodeMessage(RebuildRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        for entry in vectors.entries {
            sink.message(2, MapEntry(key: entry.name, value: entry.value))
        }
        for entry in texts.entries {
            let field = TextFieldOnWire(name: "", field: entry.value)
            sink.message(3, MapEntry(key: entry.name, value: field))
        }
    }
}
