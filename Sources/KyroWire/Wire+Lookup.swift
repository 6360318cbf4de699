// search.proto, third part: Lookup and Scan.
import KyroModel

// MARK: LookupRequest

struct LookupRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var ids: [DocumentIDDraft] = []
    var projection: ProjectionDraft?
    var minSeq: UInt64 = 0
    var asOf: AsOfDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .bytes):
            // Two bytes on the wire become twenty-five in memory.
            guard ids.count < Limits.lookupIDsMax else {
                throw .overLimit(path: "ids", problem: "are more than \(Limits.lookupIDsMax)")
            }
            try reader.message("ids", appendingTo: &ids)
        case (3, .bytes): try reader.message("projection", into: &projection)
        case (4, .varint): minSeq = try reader.varint("min_seq")
        case (5, .bytes): try reader.message("as_of", into: &asOf)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> LookupRequest {
        var request = LookupRequest(
            scope: scope.finish(), ids: try finishList(ids, "ids"),
            projection: try projection?.finish("projection"), minSeq: Sequence(minSeq))
        request.asOf = try asOf?.finish("as_of")
        return request
    }
}

extension LookupRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> LookupRequest {
        try decodeMessage(LookupRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.messages(2, ids)
        sink.message(3, projection)
        sink.uint(4, minSeq.raw)
        sink.message(5, asOf)
    }
}

// MARK: LookupResponse

struct LookupResultDraft: WireDraft {
    var id = DocumentIDDraft()
    var document: DocumentDraft?
    var seq: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("id", into: &id)
        case (2, .bytes): try reader.message("document", into: &document)
        case (3, .varint): seq = try reader.varint("seq")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> LookupResult {
        LookupResult(
            id: try id.finish("id"), document: try document?.finish("document"),
            seq: Sequence(seq))
    }
}

private struct LookupResultOnWire: WireEncodable {
    let result: LookupResult
    let encoding: VectorEncoding

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, result.id)
        if let document = result.document { sink.message(2, DocumentOnWire(document, encoding)) }
        sink.uint(3, result.seq.raw)
    }
}

struct LookupResponseDraft: WireDraft {
    var results: [LookupResultDraft] = []
    var seq: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("results", appendingTo: &results)
        case (2, .varint): seq = try reader.varint("seq")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> LookupResponse {
        LookupResponse(results: try finishList(results, "results"), seq: Sequence(seq))
    }
}

extension LookupResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> LookupResponse {
        try decodeMessage(LookupResponseDraft.self, bytes)
    }

    /// Vectors are written as `vectorEncoding` says.
    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        for result in results {
            sink.message(1, LookupResultOnWire(result: result, encoding: vectorEncoding))
        }
        sink.uint(2, seq.raw)
    }
}

// MARK: Scan

extension SortKey: WireDraft, WireEncodable {
    init() { self.init("") }

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .varint): isDescending = try reader.bool("descending")
        case (3, .varint): isMissingFirst = try reader.bool("missing_first")
        default: try reader.skip(wire)
        }
    }

    func finish() -> SortKey { self }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.bool(2, isDescending)
        sink.bool(3, isMissingFirst)
    }
}

struct ScanRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var filter: FilterDraft?
    var timeRange: TimeRange?
    var projection: ProjectionDraft?
    var limit: UInt64 = 0
    var resumeToken: [UInt8] = []
    var minSeq: UInt64 = 0
    var orderBy: [SortKey] = []
    var asOf: AsOfDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .bytes): try reader.message("filter", into: &filter)
        case (3, .bytes): try reader.message("time_range", into: &timeRange)
        case (4, .bytes): try reader.message("projection", into: &projection)
        case (5, .varint): limit = try reader.varint("limit")
        case (6, .bytes): resumeToken = try reader.byteString("resume_token")
        case (7, .varint): minSeq = try reader.varint("min_seq")
        case (8, .bytes):
            guard orderBy.count < Limits.sortKeysMax else {
                throw .overLimit(
                    path: "order_by", problem: "has more than \(Limits.sortKeysMax) keys")
            }
            try reader.message("order_by", appendingTo: &orderBy)
        case (10, .bytes): try reader.message("as_of", into: &asOf)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> ScanRequest {
        var request = ScanRequest(scope: scope.finish())
        request.filter = try filter?.finish("filter")
        request.timeRange = timeRange
        request.projection = try projection?.finish("projection")
        request.limit = limit
        request.resumeToken = resumeToken
        request.minSeq = Sequence(minSeq)
        request.orderBy = orderBy
        request.asOf = try asOf?.finish("as_of")
        return request
    }
}

extension ScanRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> ScanRequest {
        try decodeMessage(ScanRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.message(2, filter)
        sink.message(3, timeRange)
        sink.message(4, projection)
        sink.uint(5, limit)
        sink.bytes(6, resumeToken)
        sink.uint(7, minSeq.raw)
        sink.messages(8, orderBy)
        sink.message(10, asOf)
    }
}

struct ScanResponseDraft: WireDraft {
    var documents: [DocumentDraft] = []
    var resumeToken: [UInt8] = []
    var seq: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("documents", appendingTo: &documents)
        case (2, .bytes): resumeToken = try reader.byteString("resume_token")
        case (3, .varint): seq = try reader.varint("seq")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> ScanResponse {
        ScanResponse(
            documents: try finishList(documents, "documents"), resumeToken: resumeToken,
            seq: Sequence(seq))
    }
}

extension ScanResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> ScanResponse {
        try decodeMessage(ScanResponseDraft.self, bytes)
    }

    /// Vectors are written as `vectorEncoding` says.
    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        for document in documents { sink.message(1, DocumentOnWire(document, vectorEncoding)) }
        sink.bytes(2, resumeToken)
        sink.uint(3, seq.raw)
    }
}
