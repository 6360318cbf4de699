// JSON Web Tokens (RFC 7519) as JWS compact serialisation (RFC 7515 §3.1), read as RFC 8725 asks.
//
// A token's claims: `iss` and `aud` as the server expects them, `exp` (needed), `nbf` and `iat` (looked
// at where present), `sub` (names the caller), and `kyrodb`:
//
//     "kyrodb": { "tenants": ["acme"], "namespaces": ["*"], "roles": ["read"] }
import KyroJSON
import KyroModel

package struct TokenVerifier {
    /// Signatures that one token may cost; a token without `kid` could mean every key.
    private static let candidatesMax = 4

    private let options: TokenOptions
    private let keySet: KeySet

    package init(_ options: TokenOptions, _ keySet: KeySet) {
        self.options = options
        self.keySet = keySet
    }

    /// - Throws: CREDENTIALS_INVALID and, where the signature is right, CREDENTIALS_EXPIRED.
    package func authenticate(
        _ token: [UInt8], nowMillis: Int64
    ) throws(KyroError) -> Authentication {
        let parts = token.split(
            separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]),
            let signature = Base64URL.decode(parts[2])
        else { throw .unknownCredentials }
        let signed = Array(token[..<parts[1].endIndex])
        guard isSigned(signed, signature, header), let claims = Self.object(parts[1]) else {
            throw .unknownCredentials
        }
        return try authentication(claims, nowMillis: nowMillis)
    }

    private static func object(_ part: ArraySlice<UInt8>) -> JSON? {
        guard let bytes = Base64URL.decode(part), let json = try? JSON(parsing: bytes),
            case .object(let members) = json,
            // Of two members of one name, readers disagree which counts.
            Set(members.map(\.name)).count == members.count
        else { return nil }
        return json
    }

    private func isSigned(_ message: [UInt8], _ signature: [UInt8], _ header: JSON) -> Bool {
        // `none` and the HMAC algorithms are not among the algorithms there are.
        guard case .string(let name)? = header["alg"],
            let algorithm = SignatureAlgorithm(rawValue: name),
            // An extension that must be understood is not (RFC 7515 §4.1.11).
            header["crit"] == nil
        else { return false }
        var id: String?
        switch header["kid"] {
        case nil: break
        case .string(let text)?: id = text
        default: return false
        }
        let candidates = keySet.candidates(id: id, algorithm: algorithm)
        return candidates.prefix(Self.candidatesMax).contains {
            $0.key.verifies(signature, of: message)
        }
    }

    private func authentication(
        _ claims: JSON, nowMillis: Int64
    ) throws(KyroError) -> Authentication {
        func refused(_ problem: String) -> KyroError {
            KyroError(.credentialsInvalid, "the token \(problem)")
        }
        guard case .string(let issuer)? = claims["iss"],
            issuer.utf8.elementsEqual(options.issuer.utf8)
        else { throw refused("is of another issuer") }
        guard isForThisServer(claims["aud"]) else { throw refused("is for another audience") }
        guard let expiry = Self.millis(claims["exp"]) else {
            throw refused("does not say when it expires")
        }
        let (end, overflow) = expiry.addingReportingOverflow(options.leewayMillis)
        let endMillis = overflow ? Int64.max : end
        guard nowMillis < endMillis else {
            throw KyroError(.credentialsExpired, "the token has expired")
        }
        for name in ["nbf", "iat"] {
            guard let claim = claims[name] else { continue }
            guard let begin = Self.millis(claim), begin - options.leewayMillis <= nowMillis else {
                throw refused("is not valid yet")
            }
        }
        guard case .string(let subject)? = claims["sub"],
            (1...Limits.nameBytesMax).contains(subject.utf8.count),
            !subject.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else { throw refused("names no subject of 1 to \(Limits.nameBytesMax) bytes") }
        return Authentication(
            principal: try principal(subject, claims["kyrodb"]), expiresMillis: endMillis)
    }

    private func principal(_ subject: String, _ rights: JSON?) throws(KyroError) -> Principal {
        guard let rights else {
            throw KyroError(.credentialsInvalid, "the token has no claim \"kyrodb\"")
        }
        do throws(KyroError) {
            let object = try JSONObject(
                rights, field: "kyrodb", known: ["tenants", "namespaces", "roles"])
            guard let roles = Roles(names: try object.strings("roles")) else {
                throw .invalid("kyrodb.roles", "must be read, write and admin, or some of them")
            }
            // Names of their own: no token passes for a principal of the access file.
            return Principal(
                name: "jwt:" + subject,
                tenants: try NameGrant(
                    try object.strings("tenants"), field: "kyrodb.tenants"),
                namespaces: try NameGrant(
                    try object.strings("namespaces"), field: "kyrodb.namespaces"),
                roles: roles)
        } catch {
            throw KyroError(.credentialsInvalid, "the token's claim \(error.message)")
        }
    }

    private func isForThisServer(_ audience: JSON?) -> Bool {
        func matches(_ json: JSON) -> Bool {
            guard case .string(let text) = json else { return false }
            return text.utf8.elementsEqual(options.audience.utf8)
        }
        if case .array(let list)? = audience { return list.contains(where: matches) }
        return audience.map(matches) ?? false
    }

    /// NumericDate (RFC 7519 §2) in Unix milliseconds.
    private static func millis(_ json: JSON?) -> Int64? {
        switch json {
        case .int(let seconds)?:
            let (millis, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
            return seconds < 0 ? nil : overflow ? .max : millis
        case .double(let seconds)?:
            guard seconds >= 0 else { return nil }
            return seconds >= 9e15 ? .max : Int64(seconds * 1_000)
        default: return nil
        }
    }
}
