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
        return writer.token(endingWith: id)
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
        let token = readToken(bytes) { reader throws(ByteError) -> PageToken? in
            guard try reader.readByte() == Self.version else { return nil }
            let token = PageToken(
                requestHash: try reader.readFixed64(), seq: Sequence(try reader.readFixed64()),
                nowMillis: Int64(bitPattern: try reader.readFixed64()),
                candidates: try reader.readFixed32(), passed: try reader.readFixed32(),
                score: Double(bitPattern: try reader.readFixed64()), id: .number(0))
            return token.candidates <= Limits.hitsMax && token.passed <= Limits.hitsMax
                ? token : nil
        }
        guard let token else { return nil }
        var content = token.content
        content.id = token.id
        return content
    }
}

extension SearchRequest {
    /// Whether the answer is one of several pages.
    var isPage: Bool { paged || !pageToken.isEmpty }
}
