// Where a scan goes on.
import KyroBytes
import KyroModel

/// The sequence that a scan reads at, and the document that it has passed.
///
///     version 1 | seq u64 | id kind u8 | number u64, or UTF-8 bytes | CRC-32C u32     little-endian
///     version 2 | seq u64 | order u64 | id kind u8 | …: of a scan that sorts by fields
struct ScanToken: Equatable {
    var seq: Sequence
    var after: DocumentID
    /// Zero for the order of ids.
    var orderHash: UInt64 = 0

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.writeByte(orderHash == 0 ? 1 : 2)
        writer.writeFixed64(seq.raw)
        if orderHash != 0 { writer.writeFixed64(orderHash) }
        return writer.token(endingWith: after)
    }

    init(seq: Sequence, after: DocumentID, orderHash: UInt64 = 0) {
        self.seq = seq
        self.after = after
        self.orderHash = orderHash
    }

    init(decoding bytes: [UInt8]) throws(KyroError) {
        let invalid = KyroError(
            .tokenInvalid,
            "resume_token is not one that a scan of this server returned; start without it",
            field: "resume_token")
        guard let token = Self.parse(bytes) else { throw invalid }
        self = token
    }

    private static func parse(_ bytes: [UInt8]) -> ScanToken? {
        let token = readToken(bytes) { reader throws(ByteError) -> (Sequence, UInt64)? in
            let version = try reader.readByte()
            guard version == 1 || version == 2 else { return nil }
            let seq = Sequence(try reader.readFixed64())
            return (seq, version == 2 ? try reader.readFixed64() : 0)
        }
        return token.map { ScanToken(seq: $0.content.0, after: $0.id, orderHash: $0.content.1) }
    }
}
