// Checksums and hashes that stand in files must be the same everywhere.
import KyroBytes
import Testing

@Suite struct ChecksumTests {
    /// RFC 3720, B.4.
    static let vectors: [([UInt8], UInt32)] = [
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        (Array(0..<32), 0x46DD_794E),
        ((0..<32).reversed().map { UInt8($0) }, 0x113F_DB5C),
        (Array("123456789".utf8), 0xE306_9283),
        ([], 0),
    ]

    @Test(arguments: vectors) func crc32cIsThatOfTheRFC(bytes: [UInt8], expected: UInt32) {
        #expect(crc32c(bytes) == expected)
    }

    @Test func crc32cGoesOnWhereItStopped() {
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for cut in [0, 1, 7, 8, 63, 64, 65, 500, 999, 1_000] {
            let head = crc32c(bytes, range: 0..<cut)
            #expect(crc32c(bytes, range: cut..<1_000, from: head) == crc32c(bytes))
        }
    }

    @Test func placementHashesAreFixed() {
        // XXH3_64bits of the empty input, from the reference implementation.
        #expect(xxh3([]) == 0x2D06_8005_38D3_94C2)
        #expect(xxh3([1, 2, 3]) != xxh3([1, 2, 3], seed: 1))
        #expect(Set((0..<1_000).map { mix64($0) }).count == 1_000)
    }
}
