// Where the pages of a search go on.
import KyroBytes
import KyroModel

/// What a page leaves to the next: the moment that all pages see, and the place in the ranking.
///
///     version 1 | request u64 | seq u64 | now i64 | candidates u32 | passed u32 | score f64 |
///     id kind u8 | number u64, or UTF-8 bytes | CRC-32C u32                        little-endian
struct PageToken: Equatable {
    /// Of the request, without what may differ from page to page.
    var requestHash: UInt64
    var seq: Sequence
    /// What counts as now: for expiry, and for a decay without an origin.
    var nowMillis: Int64
    /// Of each leg; zero where they grow with the pages.
    var candidates: UInt32
    /// Hits before the next page, those of the first page's offset among them.
    var passed: UInt32
    /// Of the last hit.
    var score: Double
    var id: DocumentID

    private static let version: UInt8 = 1

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        writer.writeByte(Self.version)
        writer.writeFixed64(requestHash)
        writer.writeFixed64(seq.raw)
        writer.writeFixed64(UInt64(bitPattern: nowMillis))
        writer.writeFixed32(candidates)
        writer.writeFixed32(passed)
        writer.writeFixed64(score.bitPattern)
        switch id {
        case .number(let value):
            writer.writeByte(0)
            writer.writeFixed64(value)
        case .text(let value):
            writer.writeByte(1)
            writer.writeUTF8(value)
        }
        writer.writeFixed32(crc32c(writer.bytes))
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(KyroError) -> PageToken {
        guard let token = parse(bytes) else {
            throw KyroError(
                .tokenInvalid,
                "page_token is not one that a search of this server returned; begin without it",
                field: "page_token")
        }
        return token
    }

    private static func parse(_ bytes: [UInt8]) -> PageToken? {
        guard bytes.count >= 46 else { return nil }
        let content = 0..<(bytes.count - 4)
        do throws(ByteError) {
            var tail = ByteReader(bytes, range: content.upperBound..<bytes.count)
            guard try tail.readFixed32() == crc32c(bytes, range: content) else { return nil }
            var reader = ByteReader(bytes, range: content)
            guard try reader.readByte() == Self.version else { return nil }
            let requestHash = try reader.readFixed64()
            let seq = Sequence(try reader.readFixed64())
            let nowMillis = Int64(bitPattern: try reader.readFixed64())
            let candidates = try reader.readFixed32()
            let passed = try reader.readFixed32()
            let score = Double(bitPattern: try reader.readFixed64())
            let id: DocumentID
            switch try reader.readByte() {
            case 0: id = .number(try reader.readFixed64())
            case 1: id = .text(try reader.readString(count: reader.remaining))
            default: return nil
            }
            guard reader.remaining == 0, candidates <= Limits.hitsMax, passed <= Limits.hitsMax
            else { return nil }
            return PageToken(
                requestHash: requestHash, seq: seq, nowMillis: nowMillis, candidates: candidates,
                passed: passed, score: score, id: id)
        } catch {
            return nil
        }
    }
}

extension SearchRequest {
    /// Whether the answer is one of several pages.
    var isPage: Bool { paged || !pageToken.isEmpty }

    /// Of all that decides the ranking. By the values' description, which names every field of the
    /// request, also those that come to it later.
    var pageHash: UInt64 {
        var request = self
        request.limit = 0
        request.offset = 0
        request.projection = nil
        request.aggregations = []
        request.minSeq = .zero
        request.explain = false
        request.paged = false
        request.pageToken = []
        return xxh3(Array("\(request)".utf8))
    }
}
