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
        switch after {
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
        guard bytes.count >= 14 else { return nil }
        let content = 0..<(bytes.count - 4)
        do throws(ByteError) {
            var tail = ByteReader(bytes, range: content.upperBound..<bytes.count)
            guard try tail.readFixed32() == crc32c(bytes, range: content) else { return nil }
            var reader = ByteReader(bytes, range: content)
            let version = try reader.readByte()
            guard version == 1 || version == 2 else { return nil }
            let seq = Sequence(try reader.readFixed64())
            let order = version == 2 ? try reader.readFixed64() : 0
            switch try reader.readByte() {
            case 0:
                return ScanToken(
                    seq: seq, after: .number(try reader.readFixed64()), orderHash: order)
            case 1:
                let text = try reader.readString(count: reader.remaining)
                return ScanToken(seq: seq, after: .text(text), orderHash: order)
            default: return nil
            }
        } catch {
            return nil
        }
    }
}
