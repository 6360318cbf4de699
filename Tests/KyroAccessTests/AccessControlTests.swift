// Who a credential stands for, and what is said of one that does not count.
import KyroAccess
import KyroModel
import KyroPlatform
import Testing

/// An access file in memory, and a clock that the test turns.
private final class World: Sendable {
    let files = MemoryFileSystem()
    let clock = ManualClock(wallMillis: 1_000_000)
    static let path = "/access.json"

    func write(_ text: String) throws {
        let file = try files.open(Self.path, .createEmpty)
        try file.write(Array(text.utf8), at: 0)
    }

    func control(trustsCertificates: Bool = false) throws -> AccessControl {
        var options = AccessOptions()
        options.accessFile = Self.path
        options.trustsCertificates = trustsCertificates
        let clock = clock
        return try AccessControl(
            options, files: files, clock: clock, nowMillis: { clock.wallMillis() })
    }
}

private func bearer(_ key: APIKey) -> [UInt8] { Array("Bearer \(key.text)".utf8) }

@Suite struct AccessControlTests {
    private let random = SeededRandomSource(seed: 7)

    private func file(
        _ key: APIKey, expiresMillis: Int64? = nil, revokedMillis: Int64? = nil
    ) -> AccessFile {
        var file = AccessFile()
        file.principals = [
            .init(
                name: "reader", tenants: ["t"], namespaces: ["*"], roles: .read,
                certificates: ["DNS:reader.example"])
        ]
        file.keys = [
            APIKeyRecord(
                key, of: "reader", random: random, createdMillis: 0, expiresMillis: expiresMillis)
        ]
        file.keys[0].revokedMillis = revokedMillis
        return file
    }

    private func reason(
        _ control: AccessControl, _ authorization: [UInt8]?, names: [String] = []
    ) -> String {
        do {
            return try control.authenticate(
                authorization: authorization, certificateNames: names
            ).principal.name
        } catch {
            #expect(error.code == .unauthenticated)
            return error.reason
        }
    }

    @Test("A key is its principal's until it expires or is revoked")
    func life() throws {
        let world = World()
        let key = APIKey(random: random)
        try world.write(file(key, expiresMillis: 1_000_500).text)
        let control = try world.control()
        #expect(reason(control, bearer(key)) == "reader")
        world.clock.advance(millis: 499)
        #expect(reason(control, bearer(key)) == "reader")
        world.clock.advance(millis: 1)
        #expect(reason(control, bearer(key)) == "CREDENTIALS_EXPIRED")
        try world.write(file(key, revokedMillis: 1).text)
        try control.reload()
        #expect(reason(control, bearer(key)) == "CREDENTIALS_REVOKED")
    }

    @Test("Whatever is wrong with a credential itself is one error")
    func malformed() throws {
        let world = World()
        let key = APIKey(random: random)
        // Revoked and expired: only who has the secret may learn of it.
        try world.write(file(key, expiresMillis: 1, revokedMillis: 1).text)
        let control = try world.control()
        #expect(reason(control, nil) == "CREDENTIALS_MISSING")
        var texts = ["", "Bearer", "Bearer ", "Basic \(key.text)", key.text, "Bearer  \(key.text)"]
        texts += ["Bearer \(APIKey(random: random).text)", "Bearer \(key.text)x"]
        texts += ["Bearer a.b.c", "Bearer \(String(repeating: "a", count: 20_000))"]
        for text in texts {
            #expect(reason(control, Array(text.utf8)) == "CREDENTIALS_INVALID", "\(text)")
        }
        let whole = bearer(key)
        for i in 7..<whole.count {
            var changed = whole
            changed[i] ^= 1
            #expect(reason(control, changed) == "CREDENTIALS_INVALID", "byte \(i)")
            #expect(reason(control, Array(whole[..<i])) == "CREDENTIALS_INVALID", "\(i) bytes")
        }
        #expect(reason(control, whole) == "CREDENTIALS_REVOKED")
        #expect(reason(control, Array("bEARER \(key.text)".utf8)) == "CREDENTIALS_REVOKED")
    }

    @Test("Two keys of one principal overlap while its users change from one to the other")
    func rotation() throws {
        let world = World()
        let old = APIKey(random: random)
        let new = APIKey(random: random)
        var access = file(old)
        access.keys.append(
            APIKeyRecord(
                new, of: "reader", random: random, createdMillis: 1, expiresMillis: nil))
        try world.write(access.text)
        let control = try world.control()
        #expect(reason(control, bearer(old)) == "reader")
        #expect(reason(control, bearer(new)) == "reader")
        access.keys[0].revokedMillis = 2
        try world.write(access.text)
        try control.reload()
        #expect(reason(control, bearer(old)) == "CREDENTIALS_REVOKED")
        #expect(reason(control, bearer(new)) == "reader")
    }

    @Test("A file that is broken or gone leaves what was before")
    func broken() throws {
        let world = World()
        let key = APIKey(random: random)
        let good = file(key).text
        try world.write(good)
        let control = try world.control()
        let generation = control.generation
        for text in ["", "{", String(good.dropLast(10)), #"{"principals": [{}]}"#] {
            try world.write(text)
            #expect(throws: KyroError.self) { try control.reload() }
            #expect(reason(control, bearer(key)) == "reader")
            #expect(control.generation == generation)
        }
        try world.files.unlink(World.path)
        #expect(throws: KyroError.self) { try control.reload() }
        #expect(reason(control, bearer(key)) == "reader")
        #expect(throws: KyroError.self) { try world.control() }
    }

    @Test("A certificate counts where it is trusted, and an authorization comes before it")
    func certificates() throws {
        let world = World()
        let key = APIKey(random: random)
        try world.write(file(key).text)
        let trusting = try world.control(trustsCertificates: true)
        let names = ["URI:other", "DNS:reader.example"]
        #expect(reason(trusting, nil, names: names) == "reader")
        #expect(reason(trusting, nil, names: ["CN:reader.example"]) == "CREDENTIALS_INVALID")
        #expect(reason(trusting, nil) == "CREDENTIALS_MISSING")
        #expect(reason(trusting, Array("Bearer no".utf8), names: names) == "CREDENTIALS_INVALID")
        #expect(reason(try world.control(), nil, names: names) == "CREDENTIALS_MISSING")
    }

    @Test("No file holds the secret of a key")
    func hashed() throws {
        let key = APIKey(random: random)
        let text = file(key).text
        #expect(text.contains(key.id))
        #expect(!text.contains(String(decoding: key.secret, as: UTF8.self)))
        let other = file(key)
        #expect(try AccessFile(parsing: Array(text.utf8)).keys[0].salt != other.keys[0].salt)
    }

    @Test("HMAC-SHA-256 as RFC 4231, test case 2")
    func hash() {
        let digest = Secrets.hash(
            Array("what do ya want for nothing?".utf8), salt: Array("Jefe".utf8))
        #expect(
            Hexadecimal.encode(digest)
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test("base64url has one spelling for each value")
    func base64() {
        for count in 0..<20 {
            let bytes = random.bytes(count: count)
            let text = Array(Base64URL.encode(bytes).utf8)
            #expect(Base64URL.decode(text[...]) == bytes)
        }
        for text in ["a", "AB", "A=", "AA==", "A+", "A/", "AAB"] {
            #expect(Base64URL.decode(Array(text.utf8)[...]) == nil, "\(text)")
        }
        #expect(Base64URL.decode(Array("AA".utf8)[...]) == [0])
    }
}
