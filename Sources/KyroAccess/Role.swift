// What a caller may do.

public enum Role: String, Sendable, CaseIterable {
    /// Searches, reads documents, describes and lists collections.
    case read
    /// Writes and removes documents.
    case write
    /// Makes, changes and drops collections; of the whole server: snapshots and backups. Includes the
    /// other two.
    case admin
}

public struct Roles: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public init(_ role: Role) {
        switch role {
        case .read: self = .read
        case .write: self = .write
        case .admin: self = .admin
        }
    }

    public static let read = Roles(rawValue: 1)
    public static let write = Roles(rawValue: 2)
    public static let admin = Roles(rawValue: 4)

    public func allow(_ role: Role) -> Bool { contains(.admin) || contains(Roles(role)) }

    public var names: [String] {
        Role.allCases.filter { contains(Roles($0)) }.map(\.rawValue)
    }

    /// nil where a name is none of a role.
    public init?(names: [String]) {
        var roles: Roles = []
        for name in names {
            guard let role = Role(rawValue: name) else { return nil }
            roles.insert(Roles(role))
        }
        self = roles
    }
}
