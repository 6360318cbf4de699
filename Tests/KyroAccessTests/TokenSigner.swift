// Keys that sign, as an issuer of tokens has them; made by OpenSSL itself.
import COpenSSL
import KyroAccess
import KyroJSON

final class TokenSigner {
    enum Kind: String, CaseIterable {
        case rsa = "RS256"
        case p256 = "ES256"
        case ed25519 = "EdDSA"
    }

    let kind: Kind
    private let key: OpaquePointer

    init(_ kind: Kind, rsaBits: Int32 = 2_048) {
        self.kind = kind
        let identifier =
            switch kind {
            case .rsa: EVP_PKEY_RSA
            case .p256: EVP_PKEY_EC
            case .ed25519: EVP_PKEY_ED25519
            }
        let context = EVP_PKEY_CTX_new_id(identifier, nil)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        if kind == .rsa { EVP_PKEY_CTX_set_rsa_keygen_bits(context, rsaBits) }
        if kind == .p256 { EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) }
        var made: OpaquePointer?
        EVP_PKEY_keygen(context, &made)
        guard let made else { preconditionFailure("no \(kind) key was made") }
        key = made
    }

    deinit { EVP_PKEY_free(key) }

    /// The public half as a JWK.
    func publicKey(id: String?) -> JSON {
        var members: [JSON.Member] = []
        func add(_ name: String, _ value: String) {
            members.append(JSON.Member(name, .string(value)))
        }
        if let id { add("kid", id) }
        let info = subjectPublicKeyInfo
        switch kind {
        case .rsa:
            add("kty", "RSA")
            add("n", Base64URL.encode(number("n")))
            add("e", Base64URL.encode(number("e")))
        case .p256:
            add("kty", "EC")
            add("crv", "P-256")
            add("x", Base64URL.encode(Array(info.suffix(64).prefix(32))))
            add("y", Base64URL.encode(Array(info.suffix(32))))
        case .ed25519:
            add("kty", "OKP")
            add("crv", "Ed25519")
            add("x", Base64URL.encode(Array(info.suffix(32))))
        }
        return .object(members)
    }

    private var subjectPublicKeyInfo: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = bytes.withUnsafeMutableBufferPointer { buffer in
            var start = buffer.baseAddress
            return i2d_PUBKEY(key, &start)
        }
        return Array(bytes[..<Int(count)])
    }

    private func number(_ name: String) -> [UInt8] {
        var value: OpaquePointer?
        EVP_PKEY_get_bn_param(key, name, &value)
        defer { BN_free(value) }
        var bytes = [UInt8](repeating: 0, count: Int((BN_num_bits(value) + 7) / 8))
        BN_bn2bin(value, &bytes)
        return bytes
    }

    func sign(_ message: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        EVP_DigestSignInit(context, nil, kind == .ed25519 ? nil : EVP_sha256(), nil, key)
        var signature = [UInt8](repeating: 0, count: 1_024)
        var count = signature.count
        EVP_DigestSign(context, &signature, &count, message, message.count)
        signature.removeLast(signature.count - count)
        return kind == .p256 ? Self.sideBySide(signature) : signature
    }

    /// From DER: two integers of up to 33 bytes.
    private static func sideBySide(_ der: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var place = 2
        for _ in 0..<2 {
            let count = Int(der[place + 1])
            let number = der[(place + 2)..<(place + 2 + count)].drop { $0 == 0 }
            result += [UInt8](repeating: 0, count: 32 - number.count) + number
            place += 2 + count
        }
        return result
    }

    /// A token with this header's members besides `alg`.
    func token(
        _ claims: JSON, id: String? = nil, algorithm: String? = nil, header: [JSON.Member] = []
    ) -> [UInt8] {
        var members = [JSON.Member("alg", .string(algorithm ?? kind.rawValue))] + header
        if let id { members.append(JSON.Member("kid", .string(id))) }
        let signed = Array(
            (Base64URL.encode(Array(JSON.object(members).text.utf8)) + "."
                + Base64URL.encode(Array(claims.text.utf8))).utf8)
        return signed + Array(("." + Base64URL.encode(sign(signed))).utf8)
    }
}
