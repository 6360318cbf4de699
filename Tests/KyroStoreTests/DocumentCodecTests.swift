import KyroBytes
// Documents and records survive their encoding, and what is not an encoding is refused.
import KyroModel
import KyroStore
import Testing

@Suite struct DocumentCodecTests {
    @Test("the bytes of a document are these")
    func golden() throws {
        var document = Document(id: .text("é"))
        document.vectors["v"] = [1, -2]
        document.sparseVectors["s"] = SparseVector(indices: [7], values: [0.5])
        document.texts["t"] = "hi"
        document.metadata["n"] = .int64(-1)
        document.metadata["l"] = .bools([true, false])
        document.eventTimeMillis = 258
        let expected: [UInt8] =
            [1, 1, 2, 0xC3, 0xA9, 1, 2, 1, 0, 0, 0, 0, 0, 0]
            + [1, 1, 0x76, 2, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
            + [1, 1, 0x73, 1, 7, 0, 0, 0, 0, 0, 0, 0x3F]
            + [1, 1, 0x74, 2, 0x68, 0x69]
            + [2, 1, 0x6C, 9, 2, 1, 0, 1, 0x6E, 2, 255, 255, 255, 255, 255, 255, 255, 255]
        #expect(DocumentCodec.encode(document) == expected)
        #expect(try DocumentCodec.decode(expected) == document)
    }

    @Test("multi-vectors make it version 2, at the end")
    func multiVectors() throws {
        var document = Document(id: .number(7))
        document.multiVectors["m"] = MultiVector(dimension: 1, values: [1, -2])
        let expected: [UInt8] =
            [2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            + [1, 1, 0x6D, 1, 2, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
        #expect(DocumentCodec.encode(document) == expected)
        #expect(try DocumentCodec.decode(expected) == document)
        var uneven = expected
        uneven[18] = 3
        #expect(throws: StoreError.self) { try DocumentCodec.decode(uneven) }
    }

    @Test("geo points are the bits of their coordinates")
    func geoPoints() throws {
        var document = Document(id: .number(1))
        document.metadata["p"] = .geoPoint(GeoPoint(latitude: -90, longitude: 0.5))
        document.metadata["q"] = .geoPoints([GeoPoint(longitude: -0.0), GeoPoint(latitude: 1)])
        let expected: [UInt8] =
            [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
            + [1, 0x70, 11, 0, 0, 0, 0, 0, 0x80, 0x56, 0xC0, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F]
            + [1, 0x71, 12, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]
            + [0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(DocumentCodec.encode(document) == expected)
        #expect(try DocumentCodec.decode(expected) == document)
        for count in 0..<expected.count {
            #expect(throws: StoreError.self) {
                try DocumentCodec.decode(Array(expected[..<count]))
            }
        }
    }

    @Test("random documents come back equal", arguments: [1, 2, 3] as [UInt64])
    func roundTrip(seed: UInt64) throws {
        let random = RandomDocuments(seed: seed)
        for turn in 0..<2_000 {
            let document = random.document()
            let bytes = DocumentCodec.encode(document)
            #expect(try DocumentCodec.decode(bytes) == document, "seed \(seed), turn \(turn)")
            var bare = document
            bare.vectors = [:]
            let short = DocumentCodec.encode(document, includingVectors: false)
            #expect(try DocumentCodec.decode(short) == bare, "seed \(seed), turn \(turn)")
        }
    }

    @Test("random records come back equal")
    func records() throws {
        let random = RandomDocuments(seed: 4)
        for seq in 0..<2_000 as Range<UInt64> {
            let record = random.record(seq: seq)
            var writer = ByteWriter()
            record.encode(into: &writer)
            #expect(try LogRecord.decode(writer.bytes) == record, "seed 4, turn \(seq)")
        }
    }

    @Test("no prefix of an encoding is one")
    func truncation() throws {
        let random = RandomDocuments(seed: 5)
        for _ in 0..<50 {
            let bytes = DocumentCodec.encode(random.document())
            for count in 0..<bytes.count {
                #expect(throws: StoreError.self) {
                    try DocumentCodec.decode(Array(bytes[..<count]))
                }
            }
            #expect(throws: StoreError.self) { try DocumentCodec.decode(bytes + [0]) }
        }
    }

    @Test("damaged bytes are refused or mean another document, and never trap")
    func noise() {
        let random = RandomDocuments(seed: 6)
        for _ in 0..<20_000 {
            var bytes = DocumentCodec.encode(random.document())
            for _ in 0...random.below(3) {
                bytes[random.below(bytes.count)] = UInt8(random.below(256))
            }
            if let document = try? DocumentCodec.decode(bytes) {
                #expect(DocumentCodec.encode(document).count <= bytes.count)
            }
        }
    }

    @Test("fields out of order are refused")
    func order() {
        let bytes: [UInt8] =
            [1, 0] + [UInt8](repeating: 0, count: 8) + [0, 0, 0, 2, 1, 0x62, 0, 1, 0x61, 0, 0]
        #expect(throws: StoreError.self) { try DocumentCodec.decode(bytes) }
    }
}
