// The public keys that sign tokens (JSON Web Key Set, RFC 7517).
import KyroJSON
import KyroModel

/// An algorithm belongs to a key and is not the token's to choose (RFC 8725 §3.1).
package enum SignatureAlgorithm: String {
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
}

package struct KeySet: Sendable {
    package struct Key: Sendable {
        let id: String?
        let algorithm: SignatureAlgorithm
        let key: VerificationKey
    }

    static let bytesMax = 1 << 20
    static let keysMax = 256

    package let keys: [Key]

    /// Keys of kinds that are not known, and those that are not for signatures, are passed over, as
    /// the RFC asks.
    /// - Throws: INVALID_FIELD for a key of a known kind that cannot be used, and where none is left.
    package init(parsing bytes: [UInt8]) throws(KyroError) {
        let json: JSON
        do {
            json = try JSON(parsing: bytes)
        } catch {
            throw .invalid("the key set", "is no JSON: \(error)")
        }
        let set = try JSONObject(json, field: "")
        var keys: [Key] = []
        for (index, entry) in try set.list("keys", max: Self.keysMax).enumerated() {
            let field = "keys[\(index)]"
            let object = try JSONObject(entry, field: field)
            if case .string(let use)? = object["use"], use != "sig" { continue }
            if let key = try Self.key(object, field) { keys.append(key) }
        }
        guard !keys.isEmpty else {
            throw .invalid("keys", "has no RSA, P-256 or Ed25519 key for signatures")
        }
        self.keys = keys
    }

    private static func key(_ object: JSONObject, _ field: String) throws(KyroError) -> Key? {
        let kind = try object.string("kty")
        let curve = object["crv"]
        let made: (SignatureAlgorithm, VerificationKey?)
        func number(_ name: String) throws(KyroError) -> [UInt8] {
            guard let bytes = Base64URL.decode(Array(try object.string(name).utf8)[...]),
                !bytes.isEmpty, bytes.count <= 1_024
            else { throw .invalid("\(field).\(name)", "must be base64url of at most 1024 bytes") }
            return bytes
        }
        switch (kind, curve) {
        case ("RSA", _):
            let modulus = try number("n")
            guard modulus.count >= 256 else {
                throw .invalid("\(field).n", "has less than 2048 bits (RFC 7518 §3.3)")
            }
            made = (.rs256, VerificationKey(rsaModulus: modulus, exponent: try number("e")))
        case ("EC", .string("P-256")?):
            made = (.es256, VerificationKey(p256X: try number("x"), y: try number("y")))
        case ("OKP", .string("Ed25519")?):
            made = (.edDSA, VerificationKey(ed25519: try number("x")))
        default: return nil
        }
        if case .string(let algorithm)? = object["alg"], algorithm != made.0.rawValue { return nil }
        guard let key = made.1 else { throw .invalid(field, "is no \(made.0.rawValue) key") }
        var id: String?
        if case .string(let text)? = object["kid"] { id = text }
        return Key(id: id, algorithm: made.0, key: key)
    }

    /// Keys that a token's header may mean.
    func candidates(id: String?, algorithm: SignatureAlgorithm) -> [Key] {
        keys.filter { key in
            key.algorithm == algorithm
                && (id == nil || key.id.map { $0.utf8.elementsEqual((id ?? "").utf8) } ?? false)
        }
    }
}
