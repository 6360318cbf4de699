// Bytes written are the bytes read, and bytes that end early are refused at every length.
import KyroBytes
import Testing

@Suite struct ByteReaderTests {
    static let varints: [(UInt64, Int)] = [
        (0, 1), (1, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (1 << 32, 5),
        (1 << 63, 10), (.max, 10),
    ]

    @Test(arguments: varints) func aVarintComesBackAndTakesTheBytesItShould(
        value: UInt64, byteCount: Int
    ) throws {
        var writer = ByteWriter()
        writer.writeVarint(value)
        #expect(writer.count == byteCount)
        #expect(varintByteCount(value) == byteCount)
        var reader = ByteReader(writer.bytes)
        #expect(try reader.readVarint() == value)
        #expect(reader.isAtEnd)
    }

    @Test func aVarintOfElevenBytesIsRefused() {
        var reader = ByteReader([UInt8](repeating: 0x80, count: 10) + [1])
        #expect(throws: ByteError.varintOverflow) { try reader.readVarint() }
    }

    @Test func aMessageCutAnywhereIsRefused() throws {
        var writer = ByteWriter()
        writer.writeFixed32(0xDEAD_BEEF)
        writer.writeFixed64(0x0123_4567_89AB_CDEF)
        writer.writeVarint(300)
        writer.writeUTF8("grüße")
        for count in 0...writer.count {
            let cut = Array(writer.bytes[..<count])
            if count == writer.count {
                let (word, long, number, text) = try Self.read(cut)
                #expect(word == 0xDEAD_BEEF && long == 0x0123_4567_89AB_CDEF)
                #expect(number == 300 && text == "grüße")
            } else {
                #expect(throws: ByteError.truncated) { try Self.read(cut) }
            }
        }
    }

    private static func read(_ bytes: [UInt8]) throws -> (UInt32, UInt64, UInt64, String) {
        var reader = ByteReader(bytes)
        return (
            try reader.readFixed32(), try reader.readFixed64(), try reader.readVarint(),
            try reader.readString(count: 7)
        )
    }

    @Test(
        arguments: [
            [0xC0, 0x80],  // overlong
            [0xED, 0xA0, 0x80],  // a surrogate
            [0xF4, 0x90, 0x80, 0x80],  // above U+10FFFF
            [0xE2, 0x82],  // cut
            [0xFF],
        ] as [[UInt8]]) func whatIsNotUTF8IsRefused(bytes: [UInt8])
    {
        var reader = ByteReader(bytes)
        #expect(throws: ByteError.invalidUTF8) { try reader.readString(count: bytes.count) }
    }

    @Test func aNestedMessageCannotBeReadBeyondItsEnd() throws {
        var reader = ByteReader([1, 2, 3, 4])
        let outer = try reader.enter(count: 2)
        #expect(try reader.readBytes(count: 2) == [1, 2])
        #expect(throws: ByteError.truncated) { try reader.readByte() }
        reader.leave(outer)
        #expect(try reader.readByte() == 3)
        #expect(throws: ByteError.truncated) { try reader.enter(count: 2) }
        #expect(throws: ByteError.truncated) { try reader.skip(count: -1) }
    }
}
