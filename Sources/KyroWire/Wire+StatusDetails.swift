// google/rpc/status.proto and error_details.proto: what travels in grpc-status-details-bin.
import KyroModel

private let typePrefix = "type.googleapis.com/"
private let errorDomain = "kyrodb"

/// A google.rpc.Status with an ErrorInfo, a BadRequest where a field is to blame, and a RetryInfo
/// where trying again can help.
public func encodeStatusDetails(for error: KyroError) -> [UInt8] {
    encodeMessage(StatusOnWire(error: error))
}

/// The error that a google.rpc.Status describes: of each kind of detail the first one counts, and
/// kinds that are not known are skipped.
public func decodeStatusDetails(_ bytes: [UInt8]) throws(KyroError) -> KyroError {
    try decodeMessage(StatusDraft.self, bytes)
}

// MARK: Encoding

private struct StatusOnWire: WireEncodable {
    let error: KyroError

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.uint(1, UInt64(bitPattern: Int64(error.code.rawValue)))
        sink.string(2, error.message)
        sink.message(3, detail("ErrorInfo", ErrorInfoOnWire(reason: error.reason)))
        if let field = error.field {
            let violation = FieldViolationOnWire(field: field, description: error.message)
            sink.message(3, detail("BadRequest", BadRequestOnWire(violation: violation)))
        }
        if let millis = error.retryAfterMillis {
            sink.message(3, detail("RetryInfo", RetryInfoOnWire(millis: millis)))
        }
    }

    /// An Any holds its message as bytes. Errors are rare: encoding them twice does not matter.
    private func detail<Message: WireEncodable>(_ name: String, _ message: Message) -> AnyOnWire {
        AnyOnWire(typeURL: typePrefix + "google.rpc." + name, value: encodeMessage(message))
    }
}

private struct AnyOnWire: WireEncodable {
    let typeURL: String
    let value: [UInt8]

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, typeURL)
        sink.bytes(2, value)
    }
}

private struct ErrorInfoOnWire: WireEncodable {
    let reason: String

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, reason)
        sink.string(2, errorDomain)
    }
}

private struct FieldViolationOnWire: WireEncodable {
    let field: String
    let description: String

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.string(1, field)
        sink.string(2, description)
    }
}

private struct BadRequestOnWire: WireEncodable {
    let violation: FieldViolationOnWire

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.message(1, violation) }
}

private struct RetryInfoOnWire: WireEncodable {
    let millis: Int64

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, DurationOnWire(millis: millis))
    }
}

private struct DurationOnWire: WireEncodable {
    let millis: Int64

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.int(1, millis / 1_000)
        sink.int(2, millis % 1_000 * 1_000_000)
    }
}

// MARK: Decoding

struct StatusDraft: WireDraft {
    var code: Int32 = 0
    var message = ""
    var details: [AnyDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): code = try reader.int32("code")
        case (2, .bytes): message = try reader.string("message")
        case (3, .bytes): try reader.message("details", appendingTo: &details)
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> KyroError {
        var info: ErrorInfoDraft?
        var badRequest: BadRequestDraft?
        var retry: RetryInfoDraft?
        for (index, detail) in details.enumerated() {
            do throws(WireError) {
                switch detail.typeName {
                case "google.rpc.ErrorInfo": try detail.open(into: &info)
                case "google.rpc.BadRequest": try detail.open(into: &badRequest)
                case "google.rpc.RetryInfo": try detail.open(into: &retry)
                default: break
                }
            } catch {
                throw error.inside("value").inside("details", index: index)
            }
        }
        return KyroError(
            code: StatusCode(rawValue: code) ?? .unknown, reason: info?.reason ?? "",
            message: message, field: badRequest?.violations.first?.field,
            retryAfterMillis: retry?.delay?.finish())
    }
}

struct AnyDraft: WireDraft {
    var typeURL = ""
    var value: [UInt8] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): typeURL = try reader.string("type_url")
        case (2, .bytes): value = try reader.byteString("value")
        default: try reader.skip(field)
        }
    }

    func finish() -> AnyDraft { self }

    /// The message's full name: what stands behind the last slash.
    var typeName: String {
        let start = typeURL.utf8.lastIndex(of: UInt8(ascii: "/"))
        guard let start else { return typeURL }
        return String(typeURL[typeURL.utf8.index(after: start)...])
    }

    /// Reads the message inside unless one of its kind was there already. Offsets in an error count
    /// from the start of `value`.
    func open<Draft: WireDraft>(into draft: inout Draft?) throws(WireError) {
        var reader = WireReader(value)
        var opened = Draft()
        try reader.readFields(into: &opened)
        if draft == nil { draft = opened }
    }
}

struct ErrorInfoDraft: WireDraft {
    var reason = ""
    var domain = ""
    var metadata: FieldMap<String> = [:]

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): reason = try reader.string("reason")
        case (2, .bytes): domain = try reader.string("domain")
        case (3, .bytes): try reader.mapEntry("metadata", into: &metadata)
        default: try reader.skip(field)
        }
    }

    func finish() -> ErrorInfoDraft { self }
}

struct FieldViolationDraft: WireDraft {
    var field = ""
    var description = ""

    mutating func read(_ wire: WireField, from reader: inout WireReader) throws(WireError) {
        switch (wire.number, wire.type) {
        case (1, .bytes): field = try reader.string("field")
        case (2, .bytes): description = try reader.string("description")
        default: try reader.skip(wire)
        }
    }

    func finish() -> FieldViolationDraft { self }
}

struct BadRequestDraft: WireDraft {
    var violations: [FieldViolationDraft] = []

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("field_violations", appendingTo: &violations)
        default: try reader.skip(field)
        }
    }

    func finish() -> BadRequestDraft { self }
}

struct RetryInfoDraft: WireDraft {
    var delay: DurationDraft?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("retry_delay", into: &delay)
        default: try reader.skip(field)
        }
    }

    func finish() -> RetryInfoDraft { self }
}

struct DurationDraft: WireDraft {
    var seconds: Int64 = 0
    var nanos: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): seconds = try reader.int64("seconds")
        case (2, .varint): nanos = try reader.int32("nanos")
        default: try reader.skip(field)
        }
    }

    /// Whole milliseconds, nil when that is negative or above 63 bits.
    func finish() -> Int64? {
        let (whole, wholeOverflows) = seconds.multipliedReportingOverflow(by: 1_000)
        let (millis, sumOverflows) = whole.addingReportingOverflow(Int64(nanos) / 1_000_000)
        return wholeOverflows || sumOverflows || millis < 0 ? nil : millis
    }
}
