// Which signed tokens are believed.

public struct TokenOptions: Sendable {
    /// JWKS (RFC 7517 §5): the public keys.
    public var keySetFile: String
    /// `iss`, compared exactly.
    public var issuer: String
    /// One of `aud`, compared exactly.
    public var audience: String
    /// How far the issuer's clock may differ.
    public var leewayMillis: Int64 = 60_000

    public init(keySetFile: String, issuer: String, audience: String) {
        self.keySetFile = keySetFile
        self.issuer = issuer
        self.audience = audience
    }
}
