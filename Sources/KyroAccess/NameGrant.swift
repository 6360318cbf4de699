// Which tenants or namespaces a caller may name.
import KyroModel

/// Names in full, beginnings of names (`logs-*`), or everything (`*`). Names are compared by bytes, as
/// scopes are.
public struct NameGrant: Equatable, Sendable {
    /// At most so many names: each is compared with in turn.
    public static let patternsMax = 1_024

    public let patterns: [String]
    /// `*` is among them.
    public let isEverything: Bool
    private let exact: [[UInt8]]
    private let prefixes: [[UInt8]]

    /// - Parameter field: where the patterns stand, for the error.
    public init(_ patterns: [String], field: String) throws(KyroError) {
        guard patterns.count <= Self.patternsMax else {
            throw .overLimit(field, "has \(patterns.count) names; the limit is \(Self.patternsMax)")
        }
        var exact: [[UInt8]] = []
        var prefixes: [[UInt8]] = []
        for (index, pattern) in patterns.enumerated() {
            let bytes = Array(pattern.utf8)
            let star = UInt8(ascii: "*")
            guard !bytes.isEmpty, bytes.count <= Limits.nameBytesMax + 1,
                !bytes.contains(where: { $0 < 0x20 || $0 == 0x7F })
            else {
                throw .invalid(
                    "\(field)[\(index)]",
                    "must have 1 to \(Limits.nameBytesMax) bytes and no control characters")
            }
            guard !bytes.dropLast().contains(star) else {
                throw .invalid("\(field)[\(index)]", "has a * that is not its end")
            }
            if bytes.last == star {
                prefixes.append(Array(bytes.dropLast()))
            } else {
                exact.append(bytes)
            }
        }
        self.patterns = patterns
        self.exact = exact
        self.prefixes = prefixes
        isEverything = prefixes.contains([])
    }

    public func covers(_ name: String) -> Bool {
        isEverything || exact.contains { name.utf8.elementsEqual($0) }
            || prefixes.contains { name.utf8.starts(with: $0) }
    }

    /// The only name there is; nil where there may be several, or none.
    public var only: String? {
        exact.count == 1 && prefixes.isEmpty ? String(decoding: exact[0], as: UTF8.self) : nil
    }

    public static func == (a: NameGrant, b: NameGrant) -> Bool {
        a.exact == b.exact && a.prefixes == b.prefixes
    }
}
