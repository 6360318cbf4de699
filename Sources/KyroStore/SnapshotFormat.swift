// The bytes of a snapshot file: named sections, checked block by block.
//
// Header, 64 bytes:
//    0  16  "KYROSNP", version 3, CRC-32C: see FilePrefix.swift. The version says what the sections
//           hold, which is the engine's affair; files of versions 1 and 2 have the same frame
//   16  16  id of the data directory
//   32   4  shard
//   36   4  zero
//   40   8  seq: what is visible at it is in here
//   48   8  LSN from which the log goes on
//   56   8  zero
//
// Sections follow one another; a section is blocks, every one full but the last:
//    0   4  bytes of data, 1 … 1,048,576
//    4   4  CRC-32C of section number (u32), block number (u32), bytes of data (u32) and the data,
//           so that a block in the wrong place is noticed
//    8      data
//
// Table of contents: varint number of sections; for each: string name, u64 offset of its first
// block, u64 bytes of data.
//
// Footer, 32 bytes, the last in the file:
//    0   8  offset of the table of contents, which ends where the footer begins
//    8   4  CRC-32C of the table of contents
//   12   4  CRC-32C of the header, so that the two belong together
//   16   8  size of the file
//   24   4  "KYSE"
//   28   4  CRC-32C of bytes 0 ..< 28
import KyroBytes
import KyroModel

enum SnapshotFormat {
    static let headerCount = 64
    static let blockHeaderCount = 8
    static let blockBytesMax = 1 << 20
    static let footerCount = 32
    static let footerMagic: UInt32 = 0x4553_594B  // "KYSE"

    struct Section: Equatable {
        var name: String
        var offset: UInt64
        var byteCount: UInt64

        /// Bytes of its blocks, headers included; nil when that has no 64-bit value.
        var storedCount: UInt64? {
            let blocks =
                byteCount / UInt64(blockBytesMax)
                + (byteCount % UInt64(blockBytesMax) == 0 ? 0 : 1)
            let (total, isOver) = byteCount.addingReportingOverflow(
                blocks * UInt64(blockHeaderCount))
            return isOver ? nil : total
        }
    }

    static func header(
        _ identity: LogIdentity, seq: Sequence, lsn: LSN, version: UInt32? = nil
    ) -> [UInt8] {
        var writer = FilePrefix.snapshot.begin(capacity: headerCount, version: version)
        writer.writeFixed64(identity.directory.high)
        writer.writeFixed64(identity.directory.low)
        writer.writeFixed32(identity.shard)
        writer.writeFixed32(0)
        writer.writeFixed64(seq.raw)
        writer.writeFixed64(lsn.raw)
        writer.writeFixed64(0)
        FilePrefix.snapshot.seal(&writer)
        return writer.bytes
    }

    static func blockCRC(section: Int, block: Int, _ bytes: [UInt8], _ range: Range<Int>) -> UInt32
    {
        var place = ByteWriter(capacity: 12)
        place.writeFixed32(UInt32(section))
        place.writeFixed32(UInt32(block))
        place.writeFixed32(UInt32(range.count))
        return crc32c(bytes, range: range, from: crc32c(place.bytes))
    }

    static func contents(_ sections: [Section]) -> [UInt8] {
        var writer = ByteWriter(capacity: 16 + sections.count * 48)
        writer.writeVarint(UInt64(sections.count))
        for section in sections {
            writer.writeString(section.name)
            writer.writeFixed64(section.offset)
            writer.writeFixed64(section.byteCount)
        }
        return writer.bytes
    }

    static func footer(
        contentsOffset: UInt64, contents: [UInt8], header: [UInt8]
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: footerCount)
        writer.writeFixed64(contentsOffset)
        writer.writeFixed32(crc32c(contents))
        writer.writeFixed32(crc32c(header))
        writer.writeFixed64(contentsOffset + UInt64(contents.count + footerCount))
        writer.writeFixed32(footerMagic)
        writer.writeFixed32(crc32c(writer.bytes))
        return writer.bytes
    }
}
