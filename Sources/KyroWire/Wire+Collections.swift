// collections.proto, second part: Collection and the messages of the Collections service.
import KyroModel

// MARK: Durability

struct DurabilityDraft: WireDraft {
    private enum Policy: UInt8 {
        case always = 0
        case interval = 1
        case never = 2
    }

    var policy: Int32 = 0
    var intervalMillis: UInt32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): policy = try reader.int32("policy")
        case (2, .varint): intervalMillis = try reader.uint32("interval_ms")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Durability {
        switch try enumValue(policy, "policy", Policy.init(rawValue:)) {
        case .always: .always
        case .interval: .interval(millis: Int64(intervalMillis))
        case .never: .never
        }
    }
}

extension Durability: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .always: return
        case .interval(let millis):
            sink.uint(1, 1 as UInt32)
            sink.uint(2, UInt32(clamping: millis))
        case .never: sink.uint(1, 2 as UInt32)
        }
    }
}

// MARK: Collection

struct CollectionDraft: WireDraft {
    var scope = ScopeDraft()
    var id: UInt32 = 0
    var schemaVersion: UInt32 = 0
    var schema = SchemaDraft()
    var documentCount: UInt64 = 0
    var durability: DurabilityDraft?
    var retentionMillis: Int64 = 0
    var tuning: TuningDraft?
    var tuningHistory: [TuningDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .varint): id = try reader.uint32("collection_id")
        case (3, .varint): schemaVersion = try reader.uint32("schema_version")
        case (4, .bytes): try reader.message("schema", into: &schema)
        case (5, .varint): documentCount = try reader.varint("document_count")
        case (6, .bytes): try reader.message("durability", into: &durability)
        case (7, .varint): retentionMillis = try reader.int64("retention_ms")
        case (8, .bytes): try reader.message("tuning", into: &tuning)
        case (9, .bytes): try reader.message("tuning_history", appendingTo: &tuningHistory)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> CollectionDescription {
        var collection = CollectionDescription(
            scope: scope.finish(), id: CollectionID(id), schemaVersion: schemaVersion,
            schema: try schema.finish("schema"), documentCount: documentCount,
            durability: try durability?.finish("durability"), retentionMillis: retentionMillis)
        collection.tuning = try tuning?.finish("tuning")
        collection.tuningHistory = try finishList(tuningHistory, "tuning_history")
        return collection
    }
}

extension CollectionDescription: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.uint(2, id.raw)
        sink.uint(3, schemaVersion)
        sink.message(4, schema)
        sink.uint(5, documentCount)
        sink.message(6, durability)
        sink.int(7, retentionMillis)
        sink.message(8, tuning)
        sink.messages(9, tuningHistory)
    }
}

/// CreateCollectionResponse, RebuildResponse and SetRetentionResponse: the collection alone, as field 1.
struct CollectionAnswerDraft: WireDraft {
    var collection = CollectionDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("collection", into: &collection)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> CollectionDescription {
        try collection.finish("collection")
    }
}

private struct CollectionAnswerOnWire: WireEncodable {
    let collection: CollectionDescription

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.message(1, collection) }
}

extension CollectionDescription {
    /// From a CreateCollectionResponse, a RebuildResponse or a SetRetentionResponse.
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> CollectionDescription {
        try decodeMessage(CollectionAnswerDraft.self, bytes)
    }

    /// To a CreateCollectionResponse, a RebuildResponse or a SetRetentionResponse.
    public func encodeWire() -> [UInt8] { encodeMessage(CollectionAnswerOnWire(collection: self)) }
}

// MARK: Create

struct CreateCollectionRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var schema = SchemaDraft()
    var durability: DurabilityDraft?
    var retentionMillis: Int64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .bytes): try reader.message("schema", into: &schema)
        case (3, .bytes): try reader.message("durability", into: &durability)
        case (4, .varint): retentionMillis = try reader.int64("retention_ms")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> CreateCollectionRequest {
        CreateCollectionRequest(
            scope: scope.finish(), schema: try schema.finish("schema"),
            durability: try durability?.finish("durability"), retentionMillis: retentionMillis)
    }
}

extension CreateCollectionRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> CreateCollectionRequest {
        try decodeMessage(CreateCollectionRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.message(2, schema)
        sink.message(3, durability)
        sink.int(4, retentionMillis)
    }
}

// MARK: Describe, Drop

/// A request that names a collection and says no more.
struct ScopeRequestDraft: WireDraft {
    var scope = ScopeDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        default: try reader.skip(field)
        }
    }

    func finish() -> Scope { scope.finish() }
}

extension DescribeCollectionRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> DescribeCollectionRequest {
        DescribeCollectionRequest(scope: try decodeMessage(ScopeRequestDraft.self, bytes))
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.message(1, scope) }
}

extension DropCollectionRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> DropCollectionRequest {
        DropCollectionRequest(scope: try decodeMessage(ScopeRequestDraft.self, bytes))
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.message(1, scope) }
}

struct DropCollectionResponseDraft: WireDraft {
    var documentsDropped: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): documentsDropped = try reader.varint("documents_dropped")
        default: try reader.skip(field)
        }
    }

    func finish() -> DropCollectionResponse {
        DropCollectionResponse(documentsDropped: documentsDropped)
    }
}

extension DropCollectionResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> DropCollectionResponse {
        try decodeMessage(DropCollectionResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.uint(1, documentsDropped) }
}

// MARK: List

struct ListCollectionsRequestDraft: WireDraft {
    var tenant = ""
    var pageSize: UInt32 = 0
    var pageToken = ""

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): tenant = try reader.string("tenant_id")
        case (2, .varint): pageSize = try reader.uint32("page_size")
        case (3, .bytes): pageToken = try reader.string("page_token")
        default: try reader.skip(field)
        }
    }

    func finish() -> ListCollectionsRequest {
        ListCollectionsRequest(tenant: tenant, pageSize: pageSize, pageToken: pageToken)
    }
}

extension ListCollectionsRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> ListCollectionsRequest {
        try decodeMessage(ListCollectionsRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, tenant)
        sink.uint(2, pageSize)
        sink.string(3, pageToken)
    }
}

struct ListCollectionsResponseDraft: WireDraft {
    var collections: [CollectionDraft] = []
    var nextPageToken = ""

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("collections", appendingTo: &collections)
        case (2, .bytes): nextPageToken = try reader.string("next_page_token")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> ListCollectionsResponse {
        ListCollectionsResponse(
            collections: try finishList(collections, "collections"), nextPageToken: nextPageToken)
    }
}

extension ListCollectionsResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> ListCollectionsResponse {
        try decodeMessage(ListCollectionsResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.messages(1, collections)
        sink.string(2, nextPageToken)
    }
}
