// An access file, ready to be asked.
import KyroModel

/// Immutable, so that a new file replaces all of it at once.
package final class AccessState: Sendable {
    private let principals: [[UInt8]: Principal]
    private let keys: [String: APIKeyRecord]
    private let certificates: [[UInt8]: Principal]
    let principalMeters: MeterBook
    let tenantMeters: MeterBook

    /// - Parameter former: whose meters go on.
    /// - Throws: INVALID_FIELD where the file contradicts itself.
    package init(_ file: AccessFile, following former: AccessState?) throws(KyroError) {
        var principals: [[UInt8]: Principal] = [:]
        var certificates: [[UInt8]: Principal] = [:]
        for (index, record) in file.principals.enumerated() {
            let field = "principals[\(index)]"
            let principal = Principal(
                name: record.name,
                tenants: try NameGrant(record.tenants, field: field + ".tenants"),
                namespaces: try NameGrant(record.namespaces, field: field + ".namespaces"),
                roles: record.roles)
            guard principals.updateValue(principal, forKey: Array(record.name.utf8)) == nil else {
                throw .invalid("\(field).name", "is \"\(record.name)\", as another principal's")
            }
            for (position, name) in record.certificates.enumerated() {
                let place = "\(field).certificates[\(position)]"
                guard CertificateName.isWellFormed(name) else {
                    throw .invalid(place, "must be DNS:…, URI:…, EMAIL:… or CN:…")
                }
                guard certificates.updateValue(principal, forKey: Array(name.utf8)) == nil else {
                    throw .invalid(place, "is \"\(name)\", as of another principal")
                }
            }
        }
        var keys: [String: APIKeyRecord] = [:]
        for (index, record) in file.keys.enumerated() {
            guard principals[Array(record.principal.utf8)] != nil else {
                throw .invalid(
                    "keys[\(index)].principal", "is \"\(record.principal)\"; there is none such")
            }
            guard keys.updateValue(record, forKey: record.id) == nil else {
                throw .invalid("keys[\(index)].id", "is \(record.id), as another key's")
            }
        }
        self.principals = principals
        self.keys = keys
        self.certificates = certificates
        principalMeters = MeterBook(
            file.principalQuotas, kind: "principal", following: former?.principalMeters)
        tenantMeters = MeterBook(
            file.tenantQuotas, kind: "tenant", following: former?.tenantMeters)
    }

    /// The principal of a key that is good now.
    /// - Throws: CREDENTIALS_INVALID, and, to whoever has the secret, CREDENTIALS_REVOKED and
    ///   CREDENTIALS_EXPIRED.
    func authenticate(_ key: APIKey, nowMillis: Int64) throws(KyroError) -> Authentication {
        guard let record = keys[key.id], record.matches(key),
            let principal = principals[Array(record.principal.utf8)]
        else { throw .unknownCredentials }
        if record.revokedMillis != nil {
            throw KyroError(.credentialsRevoked, "the API key \(key.id) was revoked")
        }
        if let expiry = record.expiresMillis, nowMillis >= expiry {
            throw KyroError(.credentialsExpired, "the API key \(key.id) has expired")
        }
        return Authentication(principal: principal, expiresMillis: record.expiresMillis)
    }

    /// - Parameter names: of a certificate that was verified.
    func authenticate(certificate names: [String]) throws(KyroError) -> Authentication {
        for name in names {
            if let principal = certificates[Array(name.utf8)] {
                return Authentication(principal: principal, expiresMillis: nil)
            }
        }
        throw KyroError(
            .credentialsInvalid, "the client's certificate belongs to no principal of this server")
    }
}

/// Who called, and until when that holds.
public struct Authentication: Sendable {
    public let principal: Principal
    /// Unix milliseconds; nil for as long as the files say so.
    public let expiresMillis: Int64?

    public init(principal: Principal, expiresMillis: Int64?) {
        self.principal = principal
        self.expiresMillis = expiresMillis
    }
}

enum CertificateName {
    static func isWellFormed(_ name: String) -> Bool {
        ["DNS:", "URI:", "EMAIL:", "CN:"].contains {
            name.hasPrefix($0) && name.utf8.count > $0.utf8.count
        }
    }
}

extension KyroError {
    /// One error for all that is wrong with a credential itself, so that guessing learns nothing.
    static let unknownCredentials = KyroError(
        .credentialsInvalid, "the credential is malformed or unknown to this server")
    static let missingCredentials = KyroError(
        .credentialsMissing,
        "this server asks who calls: send \"authorization: Bearer KEY\" with every call")
}
