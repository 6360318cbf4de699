// The messages of protobuf's conformance suite: `TestAllTypesProto3` and what it is made of, and
// the two that runner and testee speak.

public indirect enum MessageType: Sendable {
    // conformance.proto
    case conformanceRequest, conformanceResponse
    // google/protobuf/test_messages_proto3.proto
    case testAllTypes, nested, foreign
    // google/protobuf/wrappers.proto: their one field
    case wrapper(FieldKind)
    // google/protobuf/{duration,timestamp,field_mask,struct,any}.proto
    case duration, timestamp, fieldMask, structure, any, value, listValue
    /// Of a map.
    case entry(key: FieldKind, value: FieldKind)

    var fields: [UInt32: FieldSchema] {
        switch self {
        case .conformanceRequest: Tables.conformanceRequest
        case .conformanceResponse: Tables.conformanceResponse
        case .testAllTypes: Tables.testAllTypes
        case .nested:
            [1: FieldSchema(.int32), 2: FieldSchema(.message(.testAllTypes))]
        case .foreign: [1: FieldSchema(.int32)]
        case .wrapper(let kind): [1: FieldSchema(kind)]
        case .duration, .timestamp: [1: FieldSchema(.int64), 2: FieldSchema(.int32)]
        case .fieldMask: [1: FieldSchema(.string, .repeated)]
        case .structure: [1: FieldSchema(.message(.value), .map(key: .string))]
        case .any: [1: FieldSchema(.string), 2: FieldSchema(.bytes)]
        case .value: Tables.value
        case .listValue: [1: FieldSchema(.message(.value), .repeated)]
        case .entry(let key, let value): [1: FieldSchema(key), 2: FieldSchema(value)]
        }
    }
}

private enum Tables {
    static let conformanceRequest: [UInt32: FieldSchema] = [
        1: FieldSchema(.bytes, .oneof), 2: FieldSchema(.string, .oneof),
        7: FieldSchema(.string, .oneof), 8: FieldSchema(.string, .oneof),
        3: FieldSchema(.enumeration), 4: FieldSchema(.string),
        5: FieldSchema(.enumeration), 9: FieldSchema(.bool),
    ]

    static let conformanceResponse: [UInt32: FieldSchema] = [
        1: FieldSchema(.string, .oneof), 6: FieldSchema(.string, .oneof),
        2: FieldSchema(.string, .oneof), 3: FieldSchema(.bytes, .oneof),
        4: FieldSchema(.string, .oneof), 5: FieldSchema(.string, .oneof),
        7: FieldSchema(.string, .oneof), 8: FieldSchema(.string, .oneof),
    ]

    static let value: [UInt32: FieldSchema] = [
        1: FieldSchema(.enumeration, .oneof), 2: FieldSchema(.double, .oneof),
        3: FieldSchema(.string, .oneof), 4: FieldSchema(.bool, .oneof),
        5: FieldSchema(.message(.structure), .oneof),
        6: FieldSchema(.message(.listValue), .oneof),
    ]

    /// The scalars in the order in which the .proto lists them; sfixed is fixed.
    private static let numbers: [FieldKind] = [
        .int32, .int64, .uint32, .uint64, .sint32, .sint64, .fixed32, .fixed64, .fixed32, .fixed64,
        .float, .double, .bool,
    ]
    private static let wrapped: [FieldKind] = [
        .bool, .int32, .int64, .uint32, .uint64, .float, .double, .string, .bytes,
    ]
    private static let wellKnown: [MessageType] = [
        .duration, .timestamp, .fieldMask, .structure, .any, .value,
    ]

    static let testAllTypes: [UInt32: FieldSchema] = {
        var fields: [UInt32: FieldSchema] = [:]
        func run(from first: UInt32, _ kinds: [FieldKind], _ shape: FieldShape) {
            for (i, kind) in kinds.enumerated() {
                fields[first + UInt32(i)] = FieldSchema(kind, shape)
            }
        }
        run(from: 1, numbers + [.string, .bytes], .singular)
        run(from: 18, [.message(.nested), .message(.foreign)], .singular)
        run(from: 21, [.enumeration, .enumeration, .enumeration, .string, .string], .singular)
        run(from: 27, [.message(.testAllTypes)], .singular)
        run(from: 31, numbers, .packed)
        run(from: 44, [.string, .bytes], .repeated)
        run(from: 48, [.message(.nested), .message(.foreign)], .repeated)
        run(from: 51, [.enumeration, .enumeration], .packed)
        run(from: 54, [.string, .string], .repeated)
        run(from: 75, numbers + [.enumeration], .packed)
        run(from: 89, numbers + [.enumeration], .repeated)
        for (i, kind) in numbers.prefix(10).enumerated() {
            fields[56 + UInt32(i)] = FieldSchema(kind, .map(key: kind))
        }
        run(from: 66, [.float, .double], .map(key: .int32))
        run(from: 68, [.bool], .map(key: .bool))
        run(
            from: 69,
            [
                .string, .bytes, .message(.nested), .message(.foreign), .enumeration, .enumeration,
            ], .map(key: .string))
        run(
            from: 111,
            [
                .uint32, .message(.nested), .string, .bytes, .bool, .uint64, .float, .double,
                .enumeration, .enumeration,
            ], .oneof)
        run(from: 201, wrapped.map { .message(.wrapper($0)) }, .singular)
        run(from: 211, wrapped.map { .message(.wrapper($0)) }, .repeated)
        run(from: 301, wellKnown.map { .message($0) } + [.enumeration], .singular)
        run(from: 311, wellKnown.prefix(3).map { .message($0) }, .repeated)
        run(from: 315, [.message(.any), .message(.value), .message(.listValue)], .repeated)
        run(from: 324, [.message(.structure)], .repeated)
        run(from: 401, Array(repeating: .int32, count: 18), .singular)
        return fields
    }()
}

/// What the runner asks, as far as a testee of binary proto3 needs it.
public struct ConformanceRequest {
    public let messageType: String
    /// nil when the message comes in another format.
    public let payload: [UInt8]?
    public let wantsBinary: Bool

    public init(_ message: DynamicMessage) {
        messageType = message.string(4)
        payload = message.bytes(1)
        wantsBinary = message.number(3) == 1
    }
}

public enum ConformanceResponse {
    case parseError(String)
    case payload([UInt8])
    case skipped(String)

    public var message: DynamicMessage {
        switch self {
        case .parseError(let text): DynamicMessage(.conformanceResponse, 1, .strings([text]))
        case .payload(let bytes): DynamicMessage(.conformanceResponse, 3, .bytes([bytes]))
        case .skipped(let why): DynamicMessage(.conformanceResponse, 5, .strings([why]))
        }
    }
}
