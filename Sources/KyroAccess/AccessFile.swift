// The access file: who there is, what they may do, which keys and certificates are theirs, and how
// much they may ask for. `kyroctl keys` writes it, people edit it.
//
//     { "principals": [ { "name": "importer", "tenants": ["acme"], "namespaces": ["logs-*"],
//                         "roles": ["write"], "certificates": ["DNS:importer.acme.example"] } ],
//       "keys":       [ { "id": "…", "principal": "importer", "salt": "…", "hash": "…",
//                         "created_ms": 0, "expires_ms": 0, "revoked_ms": 0 } ],
//       "quotas":     { "principals": { "importer": { "requests_per_second": 100 } },
//                       "tenants":    { "*": { "bytes_per_second": 1048576, "concurrent": 64 } } } }
//
// Members that are not named here are errors: a misspelt right must not be an absent limit.
import KyroJSON
import KyroModel

public struct AccessFile: Equatable, Sendable {
    public struct PrincipalRecord: Equatable, Sendable {
        public var name: String
        public var tenants: [String]
        public var namespaces: [String]
        public var roles: Roles
        /// Names of client certificates that stand for the principal, as `DNS:…`, `URI:…`,
        /// `EMAIL:…` or `CN:…`.
        public var certificates: [String]

        public init(
            name: String, tenants: [String], namespaces: [String], roles: Roles,
            certificates: [String] = []
        ) {
            self.name = name
            self.tenants = tenants
            self.namespaces = namespaces
            self.roles = roles
            self.certificates = certificates
        }
    }

    public var principals: [PrincipalRecord] = []
    public var keys: [APIKeyRecord] = []
    /// By name; `*` for all others.
    public var principalQuotas: [(name: String, quota: Quota)] = []
    public var tenantQuotas: [(name: String, quota: Quota)] = []

    /// 100,000 keys with a principal each are about 40 MB.
    public static let bytesMax = 64 << 20
    public static let recordsMax = 100_000
    public static let certificatesMax = 64

    public init() {}

    public static func == (a: AccessFile, b: AccessFile) -> Bool {
        a.principals == b.principals && a.keys == b.keys
            && a.principalQuotas.elementsEqual(b.principalQuotas, by: ==)
            && a.tenantQuotas.elementsEqual(b.tenantQuotas, by: ==)
    }
}

// MARK: reading

extension AccessFile {
    /// - Throws: INVALID_FIELD or LIMIT_EXCEEDED with the place in the file.
    public init(parsing bytes: [UInt8]) throws(KyroError) {
        guard bytes.count <= Self.bytesMax else {
            throw .overLimit("the file", "has \(bytes.count) bytes; the limit is \(Self.bytesMax)")
        }
        let json: JSON
        do {
            json = try JSON(parsing: bytes)
        } catch {
            throw .invalid("the file", "is no JSON: \(error)")
        }
        let file = try JSONObject(json, field: "", known: ["principals", "keys", "quotas"])
        for (index, entry) in try file.list("principals", max: Self.recordsMax).enumerated() {
            principals.append(try Self.principal(entry, "principals[\(index)]"))
        }
        for (index, entry) in try file.list("keys", max: Self.recordsMax).enumerated() {
            keys.append(try Self.key(entry, "keys[\(index)]"))
        }
        if let quotas = file["quotas"] {
            let object = try JSONObject(quotas, field: "quotas", known: ["principals", "tenants"])
            principalQuotas = try Self.quotas(object, "principals")
            tenantQuotas = try Self.quotas(object, "tenants")
        }
    }

    private static func principal(
        _ json: JSON, _ field: String
    ) throws(KyroError) -> PrincipalRecord {
        let object = try JSONObject(
            json, field: field, known: ["name", "tenants", "namespaces", "roles", "certificates"])
        let roleNames = try object.strings("roles")
        guard let roles = Roles(names: roleNames) else {
            throw .invalid("\(field).roles", "must be read, write and admin, or some of them")
        }
        let certificates = try object.strings("certificates")
        guard certificates.count <= certificatesMax else {
            throw .overLimit(
                "\(field).certificates",
                "has \(certificates.count) names; the limit is \(certificatesMax)")
        }
        return PrincipalRecord(
            name: try name(try object.string("name"), "\(field).name"),
            tenants: try object.strings("tenants"), namespaces: try object.strings("namespaces"),
            roles: roles, certificates: certificates)
    }

    private static func name(_ name: String, _ field: String) throws(KyroError) -> String {
        let count = name.utf8.count
        guard (1...Limits.nameBytesMax).contains(count),
            !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else {
            throw .invalid(
                field, "must have 1 to \(Limits.nameBytesMax) bytes and no control characters")
        }
        return name
    }

    private static func key(_ json: JSON, _ field: String) throws(KyroError) -> APIKeyRecord {
        let object = try JSONObject(
            json, field: field,
            known: [
                "id", "principal", "salt", "hash", "created_ms", "expires_ms", "revoked_ms",
            ])
        let id = try object.string("id")
        guard id.utf8.count == APIKey.idDigits, Hexadecimal.decode(id) != nil else {
            throw .invalid("\(field).id", "must be \(APIKey.idDigits) hexadecimal digits")
        }
        guard let salt = Hexadecimal.decode(try object.string("salt")),
            salt.count == APIKeyRecord.saltBytes,
            let hash = Hexadecimal.decode(try object.string("hash")),
            hash.count == Secrets.hashBytes
        else {
            throw .invalid(
                field, "must have a salt of 16 and a hash of 32 bytes, both in hexadecimal")
        }
        return APIKeyRecord(
            id: id, principal: try name(try object.string("principal"), "\(field).principal"),
            salt: salt, hash: hash, createdMillis: try object.integer("created_ms") ?? 0,
            expiresMillis: try object.integer("expires_ms"),
            revokedMillis: try object.integer("revoked_ms"))
    }

    private static func quotas(
        _ object: JSONObject, _ member: String
    ) throws(KyroError) -> [(name: String, quota: Quota)] {
        guard let json = object[member] else { return [] }
        guard case .object(let entries) = json else {
            throw .invalid("quotas.\(member)", "is \(json.kindName), not an object")
        }
        guard entries.count <= recordsMax else {
            throw .overLimit(
                "quotas.\(member)", "has \(entries.count) names; the limit is \(recordsMax)")
        }
        var quotas: [(name: String, quota: Quota)] = []
        for entry in entries {
            let field = "quotas.\(member)[\"\(entry.name)\"]"
            quotas.append((try name(entry.name, field), try Quota(entry.value, field: field)))
        }
        return quotas
    }
}

// MARK: writing

extension AccessFile {
    /// One record a line, so that changes can be compared.
    public var text: String {
        var text = "{\n\"principals\": [\n"
        text += principals.map { Self.json($0).text }.joined(separator: ",\n")
        text += "\n],\n\"keys\": [\n"
        text += keys.map { Self.json($0).text }.joined(separator: ",\n")
        text += "\n],\n\"quotas\": "
        func quotas(_ list: [(name: String, quota: Quota)]) -> JSON {
            .object(list.map { JSON.Member($0.name, $0.quota.json) })
        }
        text +=
            JSON.object([
                JSON.Member("principals", quotas(principalQuotas)),
                JSON.Member("tenants", quotas(tenantQuotas)),
            ]).text
        return text + "\n}\n"
    }

    private static func json(_ principal: PrincipalRecord) -> JSON {
        func list(_ names: [String]) -> JSON { .array(names.map { .string($0) }) }
        var members = [
            JSON.Member("name", .string(principal.name)),
            JSON.Member("tenants", list(principal.tenants)),
            JSON.Member("namespaces", list(principal.namespaces)),
            JSON.Member("roles", list(principal.roles.names)),
        ]
        if !principal.certificates.isEmpty {
            members.append(JSON.Member("certificates", list(principal.certificates)))
        }
        return .object(members)
    }

    private static func json(_ key: APIKeyRecord) -> JSON {
        var members = [
            JSON.Member("id", .string(key.id)),
            JSON.Member("principal", .string(key.principal)),
            JSON.Member("salt", .string(Hexadecimal.encode(key.salt))),
            JSON.Member("hash", .string(Hexadecimal.encode(key.hash))),
            JSON.Member("created_ms", .int(key.createdMillis)),
        ]
        if let millis = key.expiresMillis {
            members.append(JSON.Member("expires_ms", .int(millis)))
        }
        if let millis = key.revokedMillis {
            members.append(JSON.Member("revoked_ms", .int(millis)))
        }
        return .object(members)
    }
}

extension AccessFile {
    /// - Throws: INVALID_FIELD where a server would not take the file.
    public func check() throws(KyroError) {
        _ = try AccessState(try AccessFile(parsing: Array(text.utf8)), following: nil)
    }
}
