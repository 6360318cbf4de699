// Where a key may go in plaintext.
import KyroClient
import Testing

@Suite struct EndpointLocalityTests {
    @Test(
        "Only what cannot leave this machine is local",
        arguments: [
            ("127.0.0.1:1", true), ("127.9.8.7", true), ("localhost", true), ("[::1]:50051", true),
            ("unix:/run/kyrodb", true), ("10.0.0.1", false), ("127.example.com", false),
            ("127.0.0.1.example.com", false), ("localhost.example.com", false), ("[::2]", false),
            ("127.1", false), ("0.0.0.0", false),
        ])
    func isLocal(text: String, isLocal: Bool) throws {
        #expect(try Endpoint(parsing: text).isLocal == isLocal)
    }
}
