// ingest.proto, first part: Mutation, Write, and what a client sends on a stream.
import KyroModel

// MARK: PartialUpdate

struct PartialUpdateDraft: WireDraft {
    var set = DocumentDraft()
    var removedVectors: [String] = []
    var removedSparseVectors: [String] = []
    var removedTexts: [String] = []
    var removedMetadata: [String] = []
    var clearsEventTime = false
    var clearsExpiry = false
    var removedMultiVectors: [String] = []
    /// A list that had more names than a document may have fields.
    var overfull: StaticString?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("set", into: &set)
        case (2, .bytes):
            if try !reader.fieldName("remove_vectors", appendingTo: &removedVectors) {
                overfull = "remove_vectors"
            }
        case (3, .bytes):
            if try !reader.fieldName("remove_sparse_vectors", appendingTo: &removedSparseVectors) {
                overfull = "remove_sparse_vectors"
            }
        case (4, .bytes):
            if try !reader.fieldName("remove_texts", appendingTo: &removedTexts) {
                overfull = "remove_texts"
            }
        case (5, .bytes):
            if try !reader.fieldName("remove_metadata", appendingTo: &removedMetadata) {
                overfull = "remove_metadata"
            }
        case (6, .varint): clearsEventTime = try reader.bool("clear_event_time")
        case (7, .varint): clearsExpiry = try reader.bool("clear_expiry")
        case (8, .bytes):
            if try !reader.fieldName("remove_multi_vectors", appendingTo: &removedMultiVectors) {
                overfull = "remove_multi_vectors"
            }
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> PartialUpdate {
        if let overfull { throw .tooManyFields(overfull) }
        var update = PartialUpdate(set: try set.finish("set"))
        update.removedVectors = removedVectors
        update.removedSparseVectors = removedSparseVectors
        update.removedTexts = removedTexts
        update.removedMetadata = removedMetadata
        update.clearsEventTime = clearsEventTime
        update.clearsExpiry = clearsExpiry
        update.removedMultiVectors = removedMultiVectors
        return update
    }
}

extension WireReader {
    /// - Returns: false when the name was left out because the list is full.
    fileprivate mutating func fieldName(
        _ name: StaticString, appendingTo names: inout [String]
    ) throws(WireError) -> Bool {
        let field = try string(name)
        guard names.count < Limits.fieldsMax else { return false }
        names.append(field)
        return true
    }
}

extension PartialUpdate: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, DocumentOnWire(set))
        sink.strings(2, removedVectors)
        sink.strings(3, removedSparseVectors)
        sink.strings(4, removedTexts)
        sink.strings(5, removedMetadata)
        sink.bool(6, clearsEventTime)
        sink.bool(7, clearsExpiry)
        sink.strings(8, removedMultiVectors)
    }
}

// MARK: Mutation

enum MutationDraft: WireDraft {
    case empty
    case upsert(DocumentDraft)
    case update(PartialUpdateDraft)
    case remove(DocumentIDDraft)

    init() { self = .empty }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var document = DocumentDraft()
            if case .upsert(let present) = self { document = present }
            self = .empty
            try reader.message("upsert", into: &document)
            self = .upsert(document)
        case (2, .bytes):
            var update = PartialUpdateDraft()
            if case .update(let present) = self { update = present }
            self = .empty
            try reader.message("update", into: &update)
            self = .update(update)
        case (3, .bytes):
            var id = DocumentIDDraft()
            if case .remove(let present) = self { id = present }
            try reader.message("remove", into: &id)
            self = .remove(id)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Mutation {
        switch self {
        case .empty:
            throw .invalid(path: "", problem: "has no operation: set upsert, update or remove")
        case .upsert(let document): .upsert(try document.finish("upsert"))
        case .update(let update): .update(try update.finish("update"))
        case .remove(let id): .remove(try id.finish("remove"))
        }
    }
}

extension WireReader {
    /// Reads one mutation and settles it at once: what it says wrong is that item's error, but bytes
    /// that are not protobuf spoil the batch.
    mutating func mutation(into mutations: inout [DecodedMutation]) throws(WireError) {
        guard mutations.count < Limits.batchMutationsMax else {
            throw .overLimit(
                path: "mutations",
                problem: "are more than \(Limits.batchMutationsMax): send several batches")
        }
        var draft = MutationDraft()
        do throws(WireError) { try merge(into: &draft) } catch {
            throw error.inside("mutations", index: mutations.count)
        }
        do throws(WireError) {
            mutations.append(.success(try draft.finish("mutations", index: mutations.count)))
        } catch {
            mutations.append(.failure(KyroError(error)))
        }
    }
}

struct MutationOnWire: WireEncodable {
    let mutation: DecodedMutation

    /// One that could not be understood is written without an operation, so that the others keep
    /// their positions.
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch mutation {
        case .success(.upsert(let document)): sink.message(1, DocumentOnWire(document))
        case .success(.update(let update)): sink.message(2, update)
        case .success(.remove(let id)): sink.message(3, id)
        case .failure: break
        }
    }
}

// MARK: CreateIfMissing

struct CreateIfMissingDraft: WireDraft {
    var schema = SchemaDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("schema", into: &schema)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> Schema { try schema.finish("schema") }
}

struct CreateIfMissingOnWire: WireEncodable {
    let schema: Schema

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.message(1, schema) }
}

// MARK: WriteRequest

struct WriteRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var mutations: [DecodedMutation] = []
    var createIfMissing: CreateIfMissingDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .bytes): try reader.mutation(into: &mutations)
        case (3, .bytes): try reader.message("create_if_missing", into: &createIfMissing)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> WriteRequest {
        WriteRequest(
            scope: scope.finish(), mutations: mutations,
            createIfMissing: try createIfMissing?.finish("create_if_missing"))
    }
}

extension WriteRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> WriteRequest {
        try decodeMessage(WriteRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        for mutation in mutations { sink.message(2, MutationOnWire(mutation: mutation)) }
        if let createIfMissing { sink.message(3, CreateIfMissingOnWire(schema: createIfMissing)) }
    }
}

// MARK: StreamRequest

struct StreamOpenDraft: WireDraft {
    var scope = ScopeDraft()
    var producer = ""
    var createIfMissing: CreateIfMissingDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .bytes): producer = try reader.string("producer_id")
        case (3, .bytes): try reader.message("create_if_missing", into: &createIfMissing)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> StreamOpen {
        StreamOpen(
            scope: scope.finish(), producer: producer,
            createIfMissing: try createIfMissing?.finish("create_if_missing"))
    }
}

extension StreamOpen: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.string(2, producer)
        if let createIfMissing { sink.message(3, CreateIfMissingOnWire(schema: createIfMissing)) }
    }
}

struct StreamBatchDraft: WireDraft {
    var clientSequence: UInt64 = 0
    var mutations: [DecodedMutation] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): clientSequence = try reader.varint("client_seq")
        case (2, .bytes): try reader.mutation(into: &mutations)
        default: try reader.skip(field)
        }
    }

    func finish() -> StreamBatch {
        StreamBatch(clientSequence: clientSequence, mutations: mutations)
    }
}

extension StreamBatch: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, clientSequence)
        for mutation in mutations { sink.message(2, MutationOnWire(mutation: mutation)) }
    }
}

enum StreamRequestDraft: WireDraft {
    case empty
    case open(StreamOpenDraft)
    case batch(StreamBatchDraft)

    init() { self = .empty }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var open = StreamOpenDraft()
            if case .open(let present) = self { open = present }
            self = .empty
            try reader.message("open", into: &open)
            self = .open(open)
        case (2, .bytes):
            var batch = StreamBatchDraft()
            if case .batch(let present) = self { batch = present }
            self = .empty
            try reader.message("batch", into: &batch)
            self = .batch(batch)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> StreamRequest {
        switch self {
        case .empty: throw .invalid(path: "", problem: "is empty: set open or batch")
        case .open(let open): .open(try open.finish("open"))
        case .batch(let batch): .batch(batch.finish())
        }
    }
}

extension StreamRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> StreamRequest {
        try decodeMessage(StreamRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .open(let open): sink.message(1, open)
        case .batch(let batch): sink.message(2, batch)
        }
    }
}
