// Signed tokens: whom they let in, and every way of forging one.
import KyroAccess
import KyroJSON
import KyroModel
import Testing

@Suite struct TokenTests {
    private static let now: Int64 = 1_700_000_000_000
    private static let options = TokenOptions(
        keySetFile: "", issuer: "https://issuer.example", audience: "kyrodb")

    private func claims(
        changing name: String? = nil, to value: JSON? = nil
    ) throws -> JSON {
        let json = try JSON(
            parsing: """
                {"iss": "https://issuer.example", "aud": "kyrodb", "sub": "alice",
                 "exp": 1700000100, "nbf": 1699999990, "iat": 1699999990,
                 "kyrodb": {"tenants": ["acme"], "namespaces": ["*"], "roles": ["read"]}}
                """)
        guard case .object(var members) = json, let name else { return json }
        members.removeAll { $0.name == name }
        if let value { members.append(JSON.Member(name, value)) }
        return .object(members)
    }

    private func keySet(_ keys: [JSON]) throws -> KeySet {
        try KeySet(
            parsing: Array(JSON.object([JSON.Member("keys", .array(keys))]).text.utf8))
    }

    /// The caller's name, or the reason of the refusal.
    private func outcome(_ token: [UInt8], _ keySet: KeySet, nowMillis: Int64 = now) -> String {
        do {
            let verifier = TokenVerifier(Self.options, keySet)
            return try verifier.authenticate(token, nowMillis: nowMillis).principal.name
        } catch {
            return error.reason
        }
    }

    @Test(
        "Each algorithm's tokens are believed, with and without a key id",
        arguments: TokenSigner.Kind.allCases)
    func algorithms(kind: TokenSigner.Kind) throws {
        let signer = TokenSigner(kind)
        let keys = try keySet([TokenSigner(kind).publicKey(id: "1"), signer.publicKey(id: "2")])
        for _ in 0..<20 {
            #expect(outcome(signer.token(try claims(), id: "2"), keys) == "jwt:alice")
        }
        #expect(outcome(signer.token(try claims()), keys) == "jwt:alice")
        #expect(outcome(signer.token(try claims(), id: "1"), keys) == "CREDENTIALS_INVALID")
        #expect(outcome(signer.token(try claims(), id: "3"), keys) == "CREDENTIALS_INVALID")
        let principal = try TokenVerifier(Self.options, keys).authenticate(
            signer.token(try claims(), id: "2"), nowMillis: Self.now
        ).principal
        #expect(principal.roles == .read && principal.covers(Scope(tenant: "acme", namespace: "n")))
        #expect(!principal.covers(Scope(tenant: "other", namespace: "n")))
    }

    @Test("A change of any byte makes a token worthless", arguments: TokenSigner.Kind.allCases)
    func changed(kind: TokenSigner.Kind) throws {
        let signer = TokenSigner(kind)
        let keys = try keySet([signer.publicKey(id: nil)])
        let token = signer.token(try claims())
        #expect(outcome(token, keys) == "jwt:alice")
        for i in token.indices {
            var other = token
            other[i] ^= 1
            #expect(outcome(other, keys) == "CREDENTIALS_INVALID", "\(kind), byte \(i)")
        }
        for count in 0..<token.count {
            #expect(outcome(Array(token[..<count]), keys) == "CREDENTIALS_INVALID")
        }
    }

    @Test(
        "The algorithm is the key's: none, HMAC with a public key, and other mixtures are refused")
    func confusion() throws {
        let rsa = TokenSigner(.rsa)
        let p256 = TokenSigner(.p256)
        let keys = try keySet([rsa.publicKey(id: "r"), p256.publicKey(id: "e")])
        for name in ["none", "None", "NONE", "", "HS256", "RS384", "PS256", "ES256K", "rs256"] {
            let token = rsa.token(try claims(), id: "r", algorithm: name)
            #expect(outcome(token, keys) == "CREDENTIALS_INVALID", "\(name)")
        }
        let unsigned = rsa.token(try claims(), algorithm: "none")
        let body = unsigned[...(unsigned.lastIndex(of: UInt8(ascii: ".")) ?? 0)]
        #expect(outcome(Array(body), keys) == "CREDENTIALS_INVALID")
        // The public key as the secret of an HMAC.
        let header = Base64URL.encode(Array(#"{"alg":"HS256","kid":"r"}"#.utf8))
        let signed = header + "." + Base64URL.encode(Array(try claims().text.utf8))
        let mac = Secrets.hash(
            Array(signed.utf8), salt: Array(rsa.publicKey(id: "r").text.utf8))
        #expect(
            outcome(Array((signed + "." + Base64URL.encode(mac)).utf8), keys)
                == "CREDENTIALS_INVALID")
        #expect(
            outcome(rsa.token(try claims(), id: "r", algorithm: "ES256"), keys)
                == "CREDENTIALS_INVALID")
        #expect(outcome(p256.token(try claims(), id: "r"), keys) == "CREDENTIALS_INVALID")
        let critical = [JSON.Member("crit", .array([.string("exp")]))]
        #expect(
            outcome(rsa.token(try claims(), id: "r", header: critical), keys)
                == "CREDENTIALS_INVALID")
    }

    @Test("Claims that do not fit are refused, each by itself")
    func claimsRefused() throws {
        let signer = TokenSigner(.ed25519)
        let keys = try keySet([signer.publicKey(id: nil)])
        let invalid = "CREDENTIALS_INVALID"
        let cases: [(String, JSON?, String)] = [
            ("iss", nil, invalid), ("iss", .string("https://issuer.example/"), invalid),
            ("aud", nil, invalid), ("aud", .string("other"), invalid),
            ("aud", .array([.string("other"), .string("kyrodb")]), "jwt:alice"),
            ("exp", nil, invalid), ("exp", .string("1700000100"), invalid),
            ("exp", .int(-1), invalid), ("exp", .int(1_600_000_000), "CREDENTIALS_EXPIRED"),
            ("exp", .int(.max), "jwt:alice"), ("exp", .double(1.7e9 + 0.5), "jwt:alice"),
            ("nbf", .int(1_700_000_100), invalid), ("nbf", .int(1_700_000_050), "jwt:alice"),
            ("nbf", nil, "jwt:alice"), ("iat", .int(.max), invalid), ("iat", nil, "jwt:alice"),
            ("sub", nil, invalid), ("sub", .string(""), invalid), ("sub", .string("a\nb"), invalid),
            ("kyrodb", nil, invalid), ("kyrodb", .string("admin"), invalid),
            ("kyrodb", try JSON(parsing: #"{"roles": ["root"]}"#), invalid),
            ("kyrodb", try JSON(parsing: #"{"role": ["read"]}"#), invalid),
            ("extra", .int(1), "jwt:alice"),
        ]
        for (name, value, wanted) in cases {
            let token = signer.token(try claims(changing: name, to: value))
            #expect(outcome(token, keys) == wanted, "\(name): \(value?.text ?? "absent")")
        }
    }

    @Test("A token holds until its end and the leeway behind it")
    func expiry() throws {
        let signer = TokenSigner(.ed25519)
        let keys = try keySet([signer.publicKey(id: nil)])
        let token = signer.token(try claims())
        let end: Int64 = 1_700_000_100_000 + 60_000
        #expect(outcome(token, keys, nowMillis: end - 1) == "jwt:alice")
        #expect(outcome(token, keys, nowMillis: end) == "CREDENTIALS_EXPIRED")
    }

    @Test("Of two members of one name nobody knows which counts: refused")
    func duplicateMembers() throws {
        let signer = TokenSigner(.ed25519)
        let keys = try keySet([signer.publicKey(id: nil)])
        guard case .object(var members) = try claims() else { return }
        members.append(JSON.Member("sub", .string("bob")))
        #expect(outcome(signer.token(.object(members)), keys) == "CREDENTIALS_INVALID")
    }

    @Test("Key sets: foreign keys are passed over, weak and damaged ones refused")
    func keySets() throws {
        let good = TokenSigner(.p256).publicKey(id: "a")
        let foreign = try JSON(parsing: #"{"kty": "oct", "k": "AAAA"}"#)
        let curve = try JSON(parsing: #"{"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}"#)
        let encryption = try JSON(parsing: #"{"kty": "RSA", "use": "enc", "n": "AA", "e": "AQAB"}"#)
        #expect(try keySet([foreign, curve, encryption, good]).keys.count == 1)
        #expect(throws: KyroError.self) { try keySet([foreign]) }
        #expect(throws: KyroError.self) {
            try keySet([good, TokenSigner(.rsa, rsaBits: 1_024).publicKey(id: nil)])
        }
        let offCurve = JSON.object([
            JSON.Member("kty", .string("EC")), JSON.Member("crv", .string("P-256")),
            JSON.Member("x", .string(Base64URL.encode([UInt8](repeating: 1, count: 32)))),
            JSON.Member("y", .string(Base64URL.encode([UInt8](repeating: 1, count: 32)))),
        ])
        #expect(throws: KyroError.self) { try keySet([offCurve]) }
        #expect(throws: KyroError.self) { try KeySet(parsing: Array("{}".utf8)) }
        #expect(throws: KyroError.self) { try KeySet(parsing: Array("no".utf8)) }
    }

    @Test("Ed25519 as RFC 8037, appendix A.4")
    func rfc8037() throws {
        let key = try #require(
            Base64URL.decode(Array("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".utf8)[...]))
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        let signature = try #require(
            Base64URL.decode(
                Array(
                    ("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVv"
                        + "pAr_MuM0KAg").utf8)[...]))
        let verifier = try #require(VerificationKey(ed25519: key))
        #expect(verifier.verifies(signature, of: Array(token.utf8)))
        #expect(!verifier.verifies(signature, of: Array((token + "x").utf8)))
    }
}
