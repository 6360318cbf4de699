// ingest.proto, second part: WriteResponse, and what a server sends on a stream.
import KyroModel

// MARK: WriteResponse

/// The raw values are those of `kyrodb.v2.WriteResult`.
private enum WriteResult: UInt8 {
    case failed = 0
    case applied = 1
    case notFound = 2
    case duplicate = 3
}

struct WriteOutcomeDraft: WireDraft {
    var result: Int32 = 0
    var seq: UInt64 = 0
    var error = ItemErrorDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): result = try reader.int32("result")
        case (2, .varint): seq = try reader.varint("seq")
        case (3, .bytes): try reader.message("error", into: &error)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> WriteOutcome {
        switch try enumValue(result, "result", WriteResult.init(rawValue:)) {
        case .failed: .failed(error.finish())
        case .applied: .applied(Sequence(seq))
        case .notFound: .notFound
        case .duplicate: .duplicate
        }
    }
}

extension WriteOutcome: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .failed(let error): sink.message(3, ItemErrorOnWire(error))
        case .applied(let seq):
            sink.uint(1, UInt32(WriteResult.applied.rawValue))
            sink.uint(2, seq.raw)
        case .notFound: sink.uint(1, UInt32(WriteResult.notFound.rawValue))
        case .duplicate: sink.uint(1, UInt32(WriteResult.duplicate.rawValue))
        }
    }
}

struct WriteResponseDraft: WireDraft {
    var outcomes: [WriteOutcomeDraft] = []
    var seq: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("outcomes", appendingTo: &outcomes)
        case (2, .varint): seq = try reader.varint("seq")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> WriteResponse {
        WriteResponse(outcomes: try finishList(outcomes, "outcomes"), seq: Sequence(seq))
    }
}

extension WriteResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> WriteResponse {
        try decodeMessage(WriteResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.messages(1, outcomes)
        sink.uint(2, seq.raw)
    }
}

// MARK: StreamResponse

struct StreamOpenedDraft: WireDraft {
    var lastClientSequence: UInt64 = 0
    var creditBytes: UInt64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): lastClientSequence = try reader.varint("last_client_seq")
        case (2, .varint): creditBytes = try reader.varint("credit_bytes")
        default: try reader.skip(field)
        }
    }

    func finish() -> StreamOpened {
        StreamOpened(lastClientSequence: lastClientSequence, creditBytes: creditBytes)
    }
}

extension StreamOpened: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, lastClientSequence)
        sink.uint(2, creditBytes)
    }
}

struct IndexedErrorDraft: WireDraft {
    var index: UInt32 = 0
    var error = ItemErrorDraft()

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): index = try reader.uint32("index")
        case (2, .bytes): try reader.message("error", into: &error)
        default: try reader.skip(field)
        }
    }

    func finish() -> StreamAck.IndexedError {
        StreamAck.IndexedError(index: index, error: error.finish())
    }
}

extension StreamAck.IndexedError: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, index)
        sink.message(2, ItemErrorOnWire(error))
    }
}

struct StreamAckDraft: WireDraft {
    var clientSequence: UInt64 = 0
    var durable: UInt64 = 0
    var searchable: UInt64 = 0
    var errors: [IndexedErrorDraft] = []
    var creditBytes: UInt64 = 0
    var isDuplicate = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): clientSequence = try reader.varint("client_seq")
        case (2, .varint): durable = try reader.varint("durable_seq")
        case (3, .varint): searchable = try reader.varint("searchable_seq")
        case (4, .bytes): try reader.message("errors", appendingTo: &errors)
        case (5, .varint): creditBytes = try reader.varint("credit_bytes")
        case (6, .varint): isDuplicate = try reader.bool("duplicate")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> StreamAck {
        StreamAck(
            clientSequence: clientSequence, durable: Sequence(durable),
            searchable: Sequence(searchable), errors: try finishList(errors, "errors"),
            creditBytes: creditBytes, isDuplicate: isDuplicate)
    }
}

extension StreamAck: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, clientSequence)
        sink.uint(2, durable.raw)
        sink.uint(3, searchable.raw)
        sink.messages(4, errors)
        sink.uint(5, creditBytes)
        sink.bool(6, isDuplicate)
    }
}

enum StreamResponseDraft: WireDraft {
    case empty
    case opened(StreamOpenedDraft)
    case ack(StreamAckDraft)

    init() { self = .empty }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var opened = StreamOpenedDraft()
            if case .opened(let present) = self { opened = present }
            self = .empty
            try reader.message("opened", into: &opened)
            self = .opened(opened)
        case (2, .bytes):
            var ack = StreamAckDraft()
            if case .ack(let present) = self { ack = present }
            self = .empty
            try reader.message("ack", into: &ack)
            self = .ack(ack)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> StreamResponse {
        switch self {
        case .empty: throw .invalid(path: "", problem: "is empty: set opened or ack")
        case .opened(let opened): .opened(opened.finish())
        case .ack(let ack): .ack(try ack.finish("ack"))
        }
    }
}

extension StreamResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> StreamResponse {
        try decodeMessage(StreamResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .opened(let opened): sink.message(1, opened)
        case .ack(let ack): sink.message(2, ack)
        }
    }
}
