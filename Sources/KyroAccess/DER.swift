// The few forms of ASN.1 DER (X.690) that public keys and ECDSA signatures are written in.

enum DER {
    static let rsaEncryption: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1]
    static let ecPublicKey: [UInt8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1]
    static let prime256v1: [UInt8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7]
    static let null: [UInt8] = [5, 0]

    static func sequence(_ parts: [[UInt8]]) -> [UInt8] { tagged(0x30, parts.flatMap { $0 }) }

    static func objectID(_ encoded: [UInt8]) -> [UInt8] { tagged(6, encoded) }

    static func bitString(_ bytes: [UInt8]) -> [UInt8] { tagged(3, [0] + bytes) }

    /// - Parameter magnitude: not negative, big-endian; leading zeros do not matter.
    static func integer(_ magnitude: [UInt8]) -> [UInt8] {
        var bytes = Array(magnitude.drop { $0 == 0 })
        if bytes.first.map({ $0 >= 0x80 }) ?? true { bytes.insert(0, at: 0) }
        return tagged(2, bytes)
    }

    private static func tagged(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var count: [UInt8] = []
        var left = content.count
        if left < 0x80 { return [tag, UInt8(left)] + content }
        while left > 0 {
            count.insert(UInt8(left & 0xFF), at: 0)
            left >>= 8
        }
        return [tag, 0x80 | UInt8(count.count)] + count + content
    }
}
