// The messages of grpc.testing.TestService that a server reads and writes.
import KyroModel

public struct EchoStatus: Sendable {
    public var code: Int32 = 0
    public var message = ""
}

public struct SimpleRequest: Sendable {
    public var responseType: Int32 = 0
    public var responseSize: Int32 = 0
    /// nil where the client does not say; an answer goes uncompressed then.
    public var responseCompressed: Bool?
    public var expectCompressed: Bool?
    public var responseStatus: EchoStatus?

    public static func decode(_ bytes: [UInt8]) throws(KyroError) -> SimpleRequest {
        try decodeMessage(SimpleRequest.self, bytes)
    }
}

public struct StreamingInputRequest: Sendable {
    public var payloadByteCount = 0
    public var expectCompressed: Bool?

    public static func decode(_ bytes: [UInt8]) throws(KyroError) -> StreamingInputRequest {
        try decodeMessage(StreamingInputRequest.self, bytes)
    }
}

/// One answer that a client wants of a stream.
public struct ResponseParameters: Sendable {
    public var size: Int32 = 0
    public var intervalMicros: Int32 = 0
    public var compressed: Bool?
}

public struct StreamingOutputRequest: Sendable {
    public var responseType: Int32 = 0
    public var parameters: [ResponseParameters] = []
    public var responseStatus: EchoStatus?

    public static func decode(_ bytes: [UInt8]) throws(KyroError) -> StreamingOutputRequest {
        try decodeMessage(StreamingOutputRequest.self, bytes)
    }
}

public enum TestResponses {
    /// SimpleResponse and StreamingOutputCallResponse: a payload of zeros.
    public static func payload(type: Int32, byteCount: Int) -> [UInt8] {
        encodeMessage(PayloadResponse(type: type, body: [UInt8](repeating: 0, count: byteCount)))
    }

    public static func aggregatedSize(_ byteCount: Int) -> [UInt8] {
        encodeMessage(AggregatedSize(byteCount: Int64(byteCount)))
    }
}

// MARK: Decoding

private struct BoolValueDraft: WireDraft {
    var value = false

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): value = try reader.bool("value")
        default: try reader.skip(field)
        }
    }

    func finish() -> Bool { value }
}

extension WireReader {
    fileprivate mutating func wrappedBool(
        _ name: StaticString, into value: inout Bool?
    ) throws(WireError) {
        var draft = BoolValueDraft(value: value ?? false)
        try message(name, into: &draft)
        value = draft.value
    }
}

extension EchoStatus: WireDraft {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): code = try reader.int32("code")
        case (2, .bytes): message = try reader.string("message")
        default: try reader.skip(field)
        }
    }

    func finish() -> EchoStatus { self }
}

extension SimpleRequest: WireDraft {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): responseType = try reader.int32("response_type")
        case (2, .varint): responseSize = try reader.int32("response_size")
        case (6, .bytes):
            try reader.wrappedBool("response_compressed", into: &responseCompressed)
        case (7, .bytes): try reader.message("response_status", into: &responseStatus)
        case (8, .bytes): try reader.wrappedBool("expect_compressed", into: &expectCompressed)
        default: try reader.skip(field)
        }
    }

    func finish() -> SimpleRequest { self }
}

private struct PayloadDraft: WireDraft {
    var byteCount = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (2, .bytes): byteCount = try reader.byteRange("body").count
        default: try reader.skip(field)
        }
    }

    func finish() -> Int { byteCount }
}

extension StreamingInputRequest: WireDraft {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes):
            var payload = PayloadDraft(byteCount: payloadByteCount)
            try reader.message("payload", into: &payload)
            payloadByteCount = payload.byteCount
        case (2, .bytes): try reader.wrappedBool("expect_compressed", into: &expectCompressed)
        default: try reader.skip(field)
        }
    }

    func finish() -> StreamingInputRequest { self }
}

extension ResponseParameters: WireDraft {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): size = try reader.int32("size")
        case (2, .varint): intervalMicros = try reader.int32("interval_us")
        case (3, .bytes): try reader.wrappedBool("compressed", into: &compressed)
        default: try reader.skip(field)
        }
    }

    func finish() -> ResponseParameters { self }
}

extension StreamingOutputRequest: WireDraft {
    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): responseType = try reader.int32("response_type")
        case (2, .bytes): try reader.message("response_parameters", appendingTo: &parameters)
        case (7, .bytes): try reader.message("response_status", into: &responseStatus)
        default: try reader.skip(field)
        }
    }

    func finish() -> StreamingOutputRequest { self }
}

// MARK: Encoding

private struct Payload: WireEncodable {
    let type: Int32
    let body: [UInt8]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.int(1, Int64(type))
        sink.bytes(2, body)
    }
}

private struct PayloadResponse: WireEncodable {
    let type: Int32
    let body: [UInt8]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, Payload(type: type, body: body))
    }
}

private struct AggregatedSize: WireEncodable {
    let byteCount: Int64

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.int(1, byteCount) }
}
