// A key as its bearer has it.
import KyroPlatform

/// `kyro_` id `_` secret: the id (16 hexadecimal digits) finds the key's record and is no secret; the
/// secret (256 random bits in base64url) exists with its bearer alone.
public struct APIKey: Sendable {
    public let id: String
    public let secret: [UInt8]

    static let prefix = Array("kyro_".utf8)
    static let idDigits = 16
    static let secretDigits = 43

    public init(random: any RandomSource) {
        id = Hexadecimal.encode(random.bytes(count: 8))
        secret = Array(Base64URL.encode(random.bytes(count: 32)).utf8)
    }

    /// nil where it cannot be a key at all.
    public init?(_ text: [UInt8]) {
        let separator = Self.prefix.count + Self.idDigits
        guard text.count == separator + 1 + Self.secretDigits, text.starts(with: Self.prefix),
            text[separator] == UInt8(ascii: "_"),
            text[Self.prefix.count..<separator].allSatisfy({ Hexadecimal.value($0) != nil })
        else { return nil }
        id = String(decoding: text[Self.prefix.count..<separator], as: UTF8.self)
        secret = Array(text[(separator + 1)...])
    }

    /// To be shown once.
    public var text: String {
        String(decoding: Self.prefix, as: UTF8.self) + id + "_"
            + String(decoding: secret, as: UTF8.self)
    }
}

/// What the access file keeps of a key.
public struct APIKeyRecord: Equatable, Sendable {
    public var id: String
    public var principal: String
    public var salt: [UInt8]
    public var hash: [UInt8]
    /// Unix milliseconds, as the others.
    public var createdMillis: Int64
    /// Nil for never.
    public var expiresMillis: Int64?
    public var revokedMillis: Int64?

    static let saltBytes = 16

    public init(
        _ key: APIKey, of principal: String, random: any RandomSource, createdMillis: Int64,
        expiresMillis: Int64?
    ) {
        id = key.id
        self.principal = principal
        salt = random.bytes(count: Self.saltBytes)
        hash = Secrets.hash(key.secret, salt: salt)
        self.createdMillis = createdMillis
        self.expiresMillis = expiresMillis
    }

    init(
        id: String, principal: String, salt: [UInt8], hash: [UInt8], createdMillis: Int64,
        expiresMillis: Int64?, revokedMillis: Int64?
    ) {
        self.id = id
        self.principal = principal
        self.salt = salt
        self.hash = hash
        self.createdMillis = createdMillis
        self.expiresMillis = expiresMillis
        self.revokedMillis = revokedMillis
    }

    /// In a time that does not depend on how much of the secret is right.
    public func matches(_ key: APIKey) -> Bool {
        Secrets.areEqual(Secrets.hash(key.secret, salt: salt), hash)
    }
}
