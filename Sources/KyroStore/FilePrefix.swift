// The first 16 bytes of every file of the store, the same in all versions to come:
//
//    0   8  magic: seven letters and a zero
//    8   4  format version
//   12   4  CRC-32C of bytes 8 ..< 12 and of those from 16 on that belong to the header
//
// So a newer file is told from a damaged one.
import KyroBytes

struct FilePrefix {
    static let byteCount = 16

    let magic: String
    /// The lowest version still read, and the one written.
    let versions: ClosedRange<UInt32>
    /// What the file is, for the error.
    let subject: String
    let affected: String

    static let segment = FilePrefix(
        magic: "KYROLOG", versions: 1...2, subject: "a log segment",
        affected: "every record of this segment")
    static let manifest = FilePrefix(
        magic: "KYROMAN", versions: 1...1, subject: "a manifest",
        affected: "the whole data directory")
    static let snapshot = FilePrefix(
        magic: "KYROSNP", versions: 1...3, subject: "a snapshot",
        affected: "the documents of this shard that only the snapshot holds")

    /// A writer that stands behind the prefix.
    /// - Parameter version: nil for the current one.
    func begin(capacity: Int, version: UInt32? = nil) -> ByteWriter {
        var writer = ByteWriter(capacity: capacity)
        writer.writeUTF8(magic)
        writer.writeByte(0)
        writer.writeFixed32(version ?? versions.upperBound)
        writer.writeFixed32(0)
        return writer
    }

    /// Fills the checksum in over everything written.
    func seal(_ writer: inout ByteWriter) {
        writer.patchFixed32(Self.checksum(writer.bytes), at: 12)
    }

    /// - Parameter bytes: the whole header.
    /// - Returns: the version that the file has.
    /// - Throws: `.damaged` or `.newerFormat`.
    @discardableResult
    func check(_ bytes: [UInt8], path: String) throws(StoreError) -> UInt32 {
        guard bytes.count >= Self.byteCount else {
            throw damage(path, 0, "\(bytes.count) bytes of a header")
        }
        guard bytes[..<8].elementsEqual(Array(magic.utf8) + [0]) else {
            throw damage(path, 0, "not the beginning of \(subject)")
        }
        var reader = RecordReader(bytes, range: 8..<Self.byteCount, subject: subject)
        let found = try reader.fixed32()
        guard try reader.fixed32() == Self.checksum(bytes) else {
            throw damage(path, 8, "the checksum of the header is wrong")
        }
        guard found <= versions.upperBound else {
            throw .newerFormat(path: path, found: found, supported: versions.upperBound)
        }
        guard versions.contains(found) else {
            throw damage(path, 8, "format version \(found), which never was")
        }
        return found
    }

    func damage(_ path: String, _ offset: UInt64, _ finding: String) -> StoreError {
        .damaged(
            StoreError.Damage(path: path, offset: offset, finding: finding, affected: affected))
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        crc32c(bytes, range: byteCount..<bytes.count, from: crc32c(bytes, range: 8..<12))
    }
}
