// What is stored.

/// A sparse vector in coordinate form. `Validation` sorts by index and refuses a repeated one.
public struct SparseVector: Equatable, Sendable {
    public var indices: [UInt32]
    /// As many as `indices`.
    public var values: [Float]

    public init(indices: [UInt32] = [], values: [Float] = []) {
        self.indices = indices
        self.values = values
    }
}

/// Rows of one dimension, such as the token vectors of a text.
public struct MultiVector: Equatable, Sendable {
    public var dimension: Int
    /// rows × dimension, row-major.
    public var values: [Float]

    public init(dimension: Int, values: [Float]) {
        self.dimension = dimension
        self.values = values
    }

    /// - Precondition: the dimension is above 0.
    public var rowCount: Int { values.count / dimension }
}

/// A typed metadata value; timestamps are Unix milliseconds.
public enum MetadataValue: Equatable, Sendable {
    case string(String)
    case int64(Int64)
    case double(Double)
    case bool(Bool)
    case timestamp(Int64)
    case strings([String])
    case int64s([Int64])
    case doubles([Double])
    case bools([Bool])
    case timestamps([Int64])
    case geoPoint(GeoPoint)
    case geoPoints([GeoPoint])

    public var type: ValueType {
        switch self {
        case .string: .string
        case .int64: .int64
        case .double: .double
        case .bool: .bool
        case .timestamp: .timestamp
        case .strings: .strings
        case .int64s: .int64s
        case .doubles: .doubles
        case .bools: .bools
        case .timestamps: .timestamps
        case .geoPoint: .geoPoint
        case .geoPoints: .geoPoints
        }
    }
}

/// The raw values are those of `kyrodb.v2.ValueType` and of the disk format.
public enum ValueType: UInt8, Sendable, CaseIterable {
    case string = 1
    case int64 = 2
    case double = 3
    case bool = 4
    case timestamp = 5
    case strings = 6
    case int64s = 7
    case doubles = 8
    case bools = 9
    case timestamps = 10
    case geoPoint = 11
    case geoPoints = 12

    public var isList: Bool { element != self }

    /// The type of one element: itself for a scalar.
    public var element: ValueType {
        switch self {
        case .string, .strings: .string
        case .int64, .int64s: .int64
        case .double, .doubles: .double
        case .bool, .bools: .bool
        case .timestamp, .timestamps: .timestamp
        case .geoPoint, .geoPoints: .geoPoint
        }
    }

    public var name: String {
        switch self {
        case .string: "string"
        case .int64: "int64"
        case .double: "double"
        case .bool: "bool"
        case .timestamp: "timestamp"
        case .strings: "list of string"
        case .int64s: "list of int64"
        case .doubles: "list of double"
        case .bools: "list of bool"
        case .timestamps: "list of timestamp"
        case .geoPoint: "geo point"
        case .geoPoints: "list of geo point"
        }
    }
}

public struct Document: Equatable, Sendable {
    public var id: DocumentID
    public var vectors: FieldMap<[Float]> = [:]
    public var sparseVectors: FieldMap<SparseVector> = [:]
    public var texts: FieldMap<String> = [:]
    public var metadata: FieldMap<MetadataValue> = [:]
    /// Unix milliseconds.
    public var eventTimeMillis: Int64?
    /// Unix milliseconds; from then on the document is not found.
    public var expiresAtMillis: Int64?
    public var multiVectors: FieldMap<MultiVector> = [:]

    public init(id: DocumentID) { self.id = id }
}
