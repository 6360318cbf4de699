// What a message's fields are, as a table: for messages that only tests speak.
//
// The primitives beside this file are links to KyroWire's own sources, so that what is proved of
// them here holds there.

/// A field's type. What is signed and of fixed width travels as what is not.
public indirect enum FieldKind: Sendable {
    case int32, int64, uint32, uint64, sint32, sint64, bool, enumeration
    case fixed32, fixed64, float, double
    case string, bytes
    case message(MessageType)
}

/// How often a field comes, and how it is written.
public enum FieldShape: Sendable {
    /// Not written when it has its type's default, unless it is a message.
    case singular
    /// One of those whose last to come counts; written whatever its value.
    case oneof
    /// Repeated scalars in one field. Read either way, as protobuf demands.
    case packed
    case repeated
    case map(key: FieldKind)
}

public struct FieldSchema: Sendable {
    let kind: FieldKind
    let shape: FieldShape

    init(_ kind: FieldKind, _ shape: FieldShape = .singular) {
        self.kind = kind
        self.shape = shape
    }
}
