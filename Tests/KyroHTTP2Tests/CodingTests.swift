// Percent encoding, base64 and timeouts, where they are easier to see than through a session.
import KyroHTTP2
import Testing

@Suite struct CodingTests {
    @Test(arguments: [
        ("", ""), ("plain text", "plain text"), ("100%", "100%25"), ("a\nb", "a%0Ab"),
        ("ä", "%C3%A4"), ("~\u{7F}", "~%7F"),
    ])
    func percentEncodingIsAsWritten(text: String, encoded: String) {
        #expect(String(decoding: PercentEncoding.encode(text), as: UTF8.self) == encoded)
        #expect(PercentEncoding.decode(Array(encoded.utf8)) == text)
    }

    @Test(arguments: ["%", "%4", "%zz", "a%", "%%41"])
    func strayPercentSignsStandForThemselves(text: String) {
        let decoded = PercentEncoding.decode(Array(text.utf8))
        #expect(decoded == text.replacing("%41", with: "A"))
    }

    @Test func base64IsAsInRFC4648() {
        let cases = [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
        ]
        for (plain, encoded) in cases {
            #expect(Base64.encode(Array(plain.utf8)) == Array(encoded.utf8))
            #expect(Base64.decode(Array(encoded.utf8)[...]) == Array(plain.utf8))
        }
        #expect(Base64.decode(Array("Zg==".utf8)[...]) == Array("f".utf8))
        #expect(Base64.decode(Array("Z".utf8)[...]) == nil)
        #expect(Base64.decode(Array("Zm9*".utf8)[...]) == nil)
    }

    @Test func base64RoundTripsEveryLength() {
        for count in 0..<200 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 97 &+ count) }
            #expect(Base64.decode(Base64.encode(bytes)[...]) == bytes)
        }
    }

    @Test(
        arguments: [
            0, 1, 99_999_999, 100_000_000, 100_000_001, 1_234_567_890_123, 99_999_999_000_000_001,
            3_600_000_000_000_000_000, .max,
        ] as [UInt64])
    func formattedTimeoutsAreNeverShorter(nanos: UInt64) throws {
        let text = GRPCTimeout.format(nanos: nanos)
        let parsed = try #require(GRPCTimeout.parse(Array(text.utf8)))
        #expect(parsed >= nanos)
        #expect(text.utf8.count <= 9)
    }
}
