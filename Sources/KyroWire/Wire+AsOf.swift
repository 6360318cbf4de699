// types.proto: AsOf. collections.proto: SetRetention.
import KyroModel

struct AsOfDraft: WireDraft {
    var moment: AsOf?

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): moment = .seq(Sequence(try reader.varint("seq")))
        case (2, .varint): moment = .time(try reader.int64("time_ms"))
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> AsOf {
        guard let moment else {
            throw .invalid(path: "", problem: "names no moment: set seq or time_ms")
        }
        return moment
    }
}

extension AsOf: WireEncodable {
    func encode<Sink: WireSink>(into sink: inout Sink) {
        switch self {
        case .seq(let seq): sink.presentUInt(1, seq.raw)
        case .time(let millis): sink.presentInt(2, millis)
        }
    }
}

struct SetRetentionRequestDraft: WireDraft {
    var scope = ScopeDraft()
    var retentionMillis: Int64 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): try reader.message("scope", into: &scope)
        case (2, .varint): retentionMillis = try reader.int64("retention_ms")
        default: try reader.skip(field)
        }
    }

    func finish() -> SetRetentionRequest {
        SetRetentionRequest(scope: scope.finish(), retentionMillis: retentionMillis)
    }
}

extension SetRetentionRequest: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> SetRetentionRequest {
        try decodeMessage(SetRetentionRequestDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        sink.message(1, scope)
        sink.int(2, retentionMillis)
    }
}
