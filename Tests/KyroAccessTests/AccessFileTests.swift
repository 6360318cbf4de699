// What an access file may say, and that it is written as it is read.
import KyroAccess
import KyroModel
import KyroPlatform
import Testing

@Suite struct AccessFileTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("A file is written as it is read")
    func roundTrip() throws {
        let random = SeededRandomSource(seed: 1)
        var file = AccessFile()
        file.principals = [
            .init(name: "a", tenants: ["t", "u-*"], namespaces: ["*"], roles: [.read, .write]),
            .init(
                name: "b \"quoted\"", tenants: ["*"], namespaces: ["*"], roles: .admin,
                certificates: ["DNS:b.example", "CN:b"]),
        ]
        file.keys = [
            APIKeyRecord(
                APIKey(random: random), of: "a", random: random, createdMillis: 5,
                expiresMillis: 9),
            APIKeyRecord(
                APIKey(random: random), of: "a", random: random, createdMillis: 6,
                expiresMillis: nil),
        ]
        file.keys[1].revokedMillis = 8
        var quota = Quota()
        quota.requestsPerSecond = 10
        quota.burstSeconds = 3
        file.principalQuotas = [("a", quota)]
        file.tenantQuotas = [("*", Quota())]
        #expect(try AccessFile(parsing: bytes(file.text)) == file)
        try file.check()
    }

    @Test(
        "What is misspelt, missing or contradicts itself is refused by its place",
        arguments: [
            ("[]", "the file"), ("{", "the file"), (#"{"principal": []}"#, "principal"),
            (#"{"keys": [], "keys": []}"#, "keys"),
            (#"{"principals": [{"name": "a", "role": ["read"]}]}"#, "principals[0].role"),
            (#"{"principals": [{"name": "", "roles": []}]}"#, "principals[0].name"),
            (#"{"principals": [{"name": "a", "roles": ["root"]}]}"#, "principals[0].roles"),
            (#"{"principals": [{"name": "a", "tenants": [7]}]}"#, "principals[0].tenants"),
            (#"{"principals": [{"name": "a", "tenants": ["*x"]}]}"#, "principals[0].tenants[0]"),
            (#"{"principals": [{"name": "a"}, {"name": "a"}]}"#, "principals[1].name"),
            (
                #"{"principals": [{"name": "a", "certificates": ["a.example"]}]}"#,
                "principals[0].certificates[0]"
            ),
            (#"{"keys": [{"id": "xyz"}]}"#, "keys[0].id"),
            (#"{"quotas": {"tenants": {"a": {"requests": 1}}}}"#, "quotas.tenants[\"a\"].requests"),
            (
                #"{"quotas": {"tenants": {"a": {"bytes_per_second": -1}}}}"#,
                "quotas.tenants[\"a\"].bytes_per_second"
            ),
        ])
    func refused(text: String, field: String) {
        let error = #expect(throws: KyroError.self) {
            _ = try AccessState(try AccessFile(parsing: bytes(text)), following: nil)
        }
        #expect(error?.field == field, "\(text): \(error?.message ?? "")")
    }

    @Test("A key without its principal is refused")
    func keyOfNobody() {
        var file = AccessFile()
        let random = SeededRandomSource(seed: 2)
        file.keys = [
            APIKeyRecord(
                APIKey(random: random), of: "gone", random: random, createdMillis: 0,
                expiresMillis: nil)
        ]
        #expect(throws: KyroError.self) { try file.check() }
    }
}
