// How tokens of pages and scans end, which are the same bytes for both.
//
//     … | id kind u8 | number u64, or UTF-8 bytes | CRC-32C u32, of all before it     little-endian
import KyroBytes
import KyroModel

extension ByteWriter {
    /// The whole token: what was written so far, the document that was passed last, the checksum.
    func token(endingWith id: DocumentID) -> [UInt8] {
        var writer = self
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
}

/// Reads what stands before the id, then the id.
/// - Returns: nil for what is damaged, cut, longer than it says, or refused by `body`.
func readToken<Content>(
    _ bytes: [UInt8], _ body: (inout ByteReader) throws(ByteError) -> Content?
) -> (content: Content, id: DocumentID)? {
    guard bytes.count > 4 else { return nil }
    let content = 0..<(bytes.count - 4)
    do throws(ByteError) {
        var tail = ByteReader(bytes, range: content.upperBound..<bytes.count)
        guard try tail.readFixed32() == crc32c(bytes, range: content) else { return nil }
        var reader = ByteReader(bytes, range: content)
        guard let content = try body(&reader) else { return nil }
        let id: DocumentID
        switch try reader.readByte() {
        case 0: id = .number(try reader.readFixed64())
        case 1: id = .text(try reader.readString(count: reader.remaining))
        default: return nil
        }
        return reader.isAtEnd ? (content, id) : nil
    } catch {
        return nil
    }
}
