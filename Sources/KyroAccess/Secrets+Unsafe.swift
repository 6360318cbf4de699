// Hashes and comparisons of secrets, through OpenSSL.
import COpenSSL

public enum Secrets {
    package static let hashBytes = 32

    /// HMAC-SHA-256 (RFC 2104), keyed by the salt.
    ///
    /// A slow hash guards passwords, which can be guessed. A key of 256 random bits cannot, so all
    /// that slowness would do is cost every request milliseconds and give a flood of false keys a
    /// lever.
    package static func hash(_ secret: [UInt8], salt: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: hashBytes)
        var count: UInt32 = 0
        let made = unsafe digest.withUnsafeMutableBufferPointer { digest in
            unsafe salt.withUnsafeBufferPointer { salt in
                unsafe secret.withUnsafeBufferPointer { secret in
                    unsafe HMAC(
                        EVP_sha256(), salt.baseAddress, Int32(salt.count), secret.baseAddress,
                        secret.count, digest.baseAddress, &count)
                }
            }
        }
        precondition(unsafe made != nil && count == 32, "HMAC-SHA-256 gave \(count) bytes")
        return digest
    }

    /// In a time that depends on the counts alone.
    public static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        return unsafe a.withUnsafeBytes { a in
            unsafe b.withUnsafeBytes { b in
                unsafe CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count)
            }
        } == 0
    }
}
