// Who calls, and what is theirs.
import KyroModel

/// Immutable and shared by all calls of one caller.
public final class Principal: Sendable {
    /// Names the caller in the audit log and to the quotas.
    public let name: String
    public let tenants: NameGrant
    public let namespaces: NameGrant
    public let roles: Roles

    public init(name: String, tenants: NameGrant, namespaces: NameGrant, roles: Roles) {
        self.name = name
        self.tenants = tenants
        self.namespaces = namespaces
        self.roles = roles
    }

    /// Whether the server as a whole is the caller's, and not some collections in it.
    public var isServerWide: Bool { tenants.isEverything && namespaces.isEverything }

    /// Says nothing about whether such a collection exists.
    public func covers(_ scope: Scope) -> Bool {
        tenants.covers(scope.tenant) && namespaces.covers(scope.namespace)
    }

    /// The tenant that a request means: the one it names, or, where it names none, the only one that
    /// the caller has.
    /// - Throws: SCOPE_DENIED.
    public func tenant(named name: String, isImplied: Bool) throws(KyroError) -> String {
        let tenant = isImplied ? tenants.only ?? name : name
        guard tenants.covers(tenant) else {
            throw KyroError(
                .scopeDenied,
                "the caller has no rights in tenant \"\(tenant)\"", field: "scope.tenant_id")
        }
        return tenant
    }

    /// - Throws: ROLE_MISSING.
    public func require(_ role: Role) throws(KyroError) {
        guard roles.allow(role) else {
            throw KyroError(.roleMissing, "the caller lacks the role \(role.rawValue)")
        }
    }

    /// - Throws: SCOPE_DENIED.
    public func requireServer() throws(KyroError) {
        guard isServerWide else {
            throw KyroError(
                .scopeDenied,
                "the caller's rights end at some tenants; this is for the whole server")
        }
    }
}
