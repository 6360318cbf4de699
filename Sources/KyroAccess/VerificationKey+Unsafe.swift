// A public key and what it can do: say whether a signature is right. Through OpenSSL's EVP.
import COpenSSL

/// `@unchecked Sendable`: OpenSSL only reads a key that is made, and each use has a context of its
/// own.
@safe package final class VerificationKey: @unchecked Sendable {
    private let key: OpaquePointer
    private let usesDigest: Bool
    /// ECDSA signatures come as the two numbers side by side (RFC 7518 §3.4).
    private let isECDSA: Bool

    private init(_ key: OpaquePointer, usesDigest: Bool, isECDSA: Bool) {
        unsafe self.key = key
        self.usesDigest = usesDigest
        self.isECDSA = isECDSA
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// - Parameters: big-endian, as JWK has them.
    convenience init?(rsaModulus modulus: [UInt8], exponent: [UInt8]) {
        // SubjectPublicKeyInfo is what OpenSSL reads for all kinds of keys (RFC 3279 §2.3.1).
        let key = DER.sequence([DER.integer(modulus), DER.integer(exponent)])
        let info = DER.sequence([
            DER.sequence([DER.objectID(DER.rsaEncryption), DER.null]), DER.bitString(key),
        ])
        guard let key = unsafe Self.publicKey(info) else { return nil }
        unsafe self.init(key, usesDigest: true, isECDSA: false)
    }

    convenience init?(p256X x: [UInt8], y: [UInt8]) {
        guard x.count == 32, y.count == 32 else { return nil }
        // The uncompressed point (RFC 5480 §2.2); OpenSSL refuses one that is not on the curve.
        let info = DER.sequence([
            DER.sequence([DER.objectID(DER.ecPublicKey), DER.objectID(DER.prime256v1)]),
            DER.bitString([4] + x + y),
        ])
        guard let key = unsafe Self.publicKey(info) else { return nil }
        unsafe self.init(key, usesDigest: true, isECDSA: true)
    }

    package convenience init?(ed25519 bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        ERR_clear_error()
        let made = unsafe bytes.withUnsafeBufferPointer {
            unsafe EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, $0.baseAddress, $0.count)
        }
        guard let key = unsafe made else { return nil }
        unsafe self.init(key, usesDigest: false, isECDSA: false)
    }

    private static func publicKey(_ info: [UInt8]) -> OpaquePointer? {
        ERR_clear_error()
        return unsafe info.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return unsafe d2i_PUBKEY(nil, &start, bytes.count)
        }
    }

    /// Whether the key's owner has signed `message`: RSASSA-PKCS1-v1_5 or ECDSA over SHA-256, or
    /// Ed25519.
    package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        var signature = signature
        if isECDSA {
            guard signature.count == 64 else { return false }
            signature = DER.sequence([
                DER.integer(Array(signature[..<32])), DER.integer(Array(signature[32...])),
            ])
        }
        guard let context = unsafe EVP_MD_CTX_new() else { return false }
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        let digest = unsafe usesDigest ? EVP_sha256() : nil
        guard unsafe EVP_DigestVerifyInit(context, nil, digest, nil, key) == 1 else { return false }
        return unsafe signature.withUnsafeBufferPointer { signature in
            unsafe message.withUnsafeBufferPointer { message in
                unsafe EVP_DigestVerify(
                    context, signature.baseAddress, signature.count, message.baseAddress,
                    message.count)
            }
        } == 1
    }
}
