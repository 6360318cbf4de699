// Who a document is and where it lives.

/// Names a collection: what one tenant calls one namespace.
public struct Scope: Hashable, Sendable {
    public var tenant: String
    public var namespace: String
    /// The request named no tenant: `tenant` is the default, or whatever the caller's rights make of
    /// it. No part of a scope's identity.
    public let isTenantImplied: Bool

    public init(tenant: String = Scope.defaultTenant, namespace: String) {
        self.tenant = tenant.isEmpty ? Scope.defaultTenant : tenant
        self.namespace = namespace
        isTenantImplied = tenant.isEmpty
    }

    public static let defaultTenant = "default"

    /// By bytes, as the log and the wire see a name: Swift's own `==` would call two spellings of
    /// one Unicode character the same collection.
    public static func == (a: Scope, b: Scope) -> Bool {
        a.tenant.utf8.elementsEqual(b.tenant.utf8)
            && a.namespace.utf8.elementsEqual(b.namespace.utf8)
    }

    /// A string's own hash is equal wherever its bytes are, and takes them in one piece.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(tenant)
        hasher.combine(namespace)
    }
}

/// Identifies a collection for as long as the data directory lives; never given out twice.
public struct CollectionID: Hashable, Comparable, Sendable {
    public let raw: UInt32

    public init(_ raw: UInt32) { self.raw = raw }

    public static func < (a: CollectionID, b: CollectionID) -> Bool { a.raw < b.raw }
}

/// A document's key within its collection. Numbers sort before texts; texts sort by their UTF-8.
public enum DocumentID: Hashable, Comparable, Sendable {
    case number(UInt64)
    case text(String)

    public static func < (a: DocumentID, b: DocumentID) -> Bool {
        switch (a, b) {
        case (.number(let x), .number(let y)): x < y
        case (.number, .text): true
        case (.text, .number): false
        case (.text(let x), .text(let y)): x.utf8.lexicographicallyPrecedes(y.utf8)
        }
    }
}

/// Equality and hashing are by bytes, as the log and the wire see a text: Swift's own `==` would
/// call two spellings of one Unicode character the same document.
extension DocumentID {
    public static func == (a: DocumentID, b: DocumentID) -> Bool {
        switch (a, b) {
        case (.number(let x), .number(let y)): x == y
        case (.text(let x), .text(let y)): x.utf8.elementsEqual(y.utf8)
        case (.number, .text), (.text, .number): false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .number(let value):
            hasher.combine(0 as UInt8)
            hasher.combine(value)
        case .text(let value):
            hasher.combine(1 as UInt8)
            for byte in value.utf8 { hasher.combine(byte) }
        }
    }
}

extension DocumentID: CustomStringConvertible {
    public var description: String {
        switch self {
        case .number(let value): String(value)
        case .text(let value): "\"\(value)\""
        }
    }
}

/// One engine-wide counter of writes. A version of a document is visible at `s` when
/// born ≤ s < died.
public struct Sequence: Hashable, Comparable, Sendable {
    public let raw: UInt64

    public init(_ raw: UInt64) { self.raw = raw }

    public static let zero = Sequence(0)
    /// `died` of what is alive.
    public static let never = Sequence(.max)

    public static func < (a: Sequence, b: Sequence) -> Bool { a.raw < b.raw }
}

/// A row of one collection in one shard: the index of one version of one document. Given out in
/// order and never moved.
public struct Slot: Hashable, Comparable, Sendable {
    public let raw: UInt32

    public init(_ raw: UInt32) { self.raw = raw }
    public init(index: Int) { self.raw = UInt32(index) }

    public var index: Int { Int(raw) }

    public static func < (a: Slot, b: Slot) -> Bool { a.raw < b.raw }
}
