// grpc/health/v1/health.proto.
import KyroModel

/// Asks after one service; an empty name asks after the server.
public struct HealthCheckRequest: Equatable, Sendable {
    public var service: String

    public init(service: String = "") { self.service = service }
}

public struct HealthCheckResponse: Equatable, Sendable {
    /// The raw values are those of `grpc.health.v1.HealthCheckResponse.ServingStatus`.
    public enum ServingStatus: UInt8, Sendable, CaseIterable {
        case unknown = 0
        case serving = 1
        case notServing = 2
        /// In answers to Watch only.
        case serviceUnknown = 3
    }

    public var status: ServingStatus

    public init(status: ServingStatus) { self.status = status }
}

extension HealthCheckRequest: WireDraft, WireEncodable {
    init() { self.init(service: "") }

    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> HealthCheckRequest {
        try decodeMessage(HealthCheckRequest.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .bytes): service = try reader.string("service")
        default: try reader.skip(field)
        }
    }

    func finish() -> HealthCheckRequest { self }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.string(1, service) }
}

struct HealthCheckResponseDraft: WireDraft {
    var status: Int32 = 0

    mutating func read(_ field: WireField, from reader: inout WireReader) throws(WireError) {
        switch (field.number, field.type) {
        case (1, .varint): status = try reader.int32("status")
        default: try reader.skip(field)
        }
    }

    func finish() throws(WireError) -> HealthCheckResponse {
        HealthCheckResponse(
            status: try enumValue(
                status, "status", HealthCheckResponse.ServingStatus.init(rawValue:)))
    }
}

extension HealthCheckResponse: WireEncodable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> HealthCheckResponse {
        try decodeMessage(HealthCheckResponseDraft.self, bytes)
    }

    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) { sink.uint(1, UInt32(status.rawValue)) }
}

/// Asks for the state of everything that has one.
public struct HealthListRequest: Sendable {
    public static func decode(wire bytes: [UInt8]) throws(KyroError) -> HealthListRequest {
        try decodeEmptyMessage(bytes)
        return HealthListRequest()
    }
}

/// The state of everything that has one.
public struct HealthListResponse: Sendable {
    public var statuses: [(name: String, status: HealthCheckResponse.ServingStatus)]

    public init(statuses: [(name: String, status: HealthCheckResponse.ServingStatus)]) {
        self.statuses = statuses
    }
}

extension HealthListResponse: WireEncodable {
    public func encodeWire() -> [UInt8] { encodeMessage(self) }

    func encode<Sink: WireSink>(into sink: inout Sink) {
        for (name, status) in statuses {
            sink.message(1, MapEntry(key: name, value: HealthCheckResponse(status: status)))
        }
    }
}
