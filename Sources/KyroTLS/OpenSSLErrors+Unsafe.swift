// OpenSSL's error queue, which each thread has one of, in words.
import COpenSSL
import Glibc

enum OpenSSLErrors {
    /// To be called before an operation whose error one wants to read.
    static func clear() { ERR_clear_error() }

    /// Empties the queue. The first entry is the cause, those behind it say who noticed.
    /// - Returns: its code and words; nil where the queue is empty.
    static func takeFirst() -> (code: UInt, reason: String)? {
        let code = ERR_get_error()
        guard code != 0 else { return nil }
        defer { clear() }
        // Errors of the operating system carry errno (openssl/err.h, ERR_SYSTEM_FLAG).
        if code & (1 << 31) != 0 {
            return (code, unsafe String(cString: strerror(Int32(code & 0x7fff_ffff))))
        }
        guard let words = unsafe ERR_reason_error_string(code) else {
            return (code, "OpenSSL error \(code)")
        }
        return (code, unsafe String(cString: words))
    }

    static func takeReason() -> String { takeFirst()?.reason ?? "unknown reason" }

    /// Of an error of the SSL library: which.
    static func isCertificateRefusal(_ code: UInt) -> Bool {
        ERR_GET_LIB(code) == ERR_LIB_SSL
            && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED
    }
}
