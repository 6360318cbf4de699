// The bytes of a file in a backup repository that holds a copy: of a snapshot, of a range of a
// shard's log, of the catalog. Compressed block by block and checked block by block.
//
// Header, 112 bytes:
//    0  16  "KYROBKO", version 1, CRC-32C: see FilePrefix.swift
//   16   4  kind: 1 snapshot, 2 log range, 3 catalog
//   20   4  shard; 0xFFFFFFFF for the catalog
//   24  16  id of the data directory
//   40   8  snapshot: seq · log: LSN of the first byte · catalog: ordinal of the file
//   48   8  snapshot: LSN · log: LSN behind the last byte · catalog: number of entries
//   56   8  bytes of data, not compressed
//   64   4  log: CRC field of the batch before the first
//   68   4  log: CRC field of the last batch
//   72   8  zero
//   80   8  log: first seq, 0 when there is no record
//   88   8  log: last seq
//   96   8  log: smallest wall time of a batch, Unix ms, signed; 0 when there is none
//  104   8  log: largest wall time
//
// Blocks, each:
//    0   4  bytes stored, a zstd frame
//    4   4  bytes of data, 1 … 1,048,576; every block but the last is full
//    8   4  CRC-32C of block number (u32), bytes of data (u32) and the frame
//   12      the frame
//
// Footer, 24 bytes:
//    0   8  size of the file
//    8   4  number of blocks
//   12   4  CRC-32C of the header
//   16   4  "KYBE"
//   20   4  CRC-32C of bytes 0 ..< 20
import KyroBytes
import KyroModel
import KyroPlatform

struct BackupObjectHeader: Equatable, Sendable {
    enum Kind: UInt32, Sendable {
        case snapshot = 1
        case log = 2
        case catalog = 3
    }

    static let byteCount = 112
    static let blockBytesMax = 1 << 20
    static let blockHeaderCount = 12
    static let footerCount = 24
    static let footerMagic: UInt32 = 0x4542_594B  // "KYBE"
    static let prefix = FilePrefix(
        magic: "KYROBKO", versions: 1...1, subject: "a file of a backup repository",
        affected: "the backups that need this file")

    var kind: Kind
    var identity: LogIdentity
    /// See the table: what they are depends on the kind.
    var first: UInt64
    var second: UInt64
    var dataCount: UInt64
    var chainBefore: UInt32 = 0
    var chainBehind: UInt32 = 0
    var firstSeq = Sequence.zero
    var lastSeq = Sequence.zero
    var earliestMillis: Int64 = 0
    var latestMillis: Int64 = 0

    var shard: Int { Int(identity.shard) }

    /// What the name of the file must be.
    var fileName: String {
        switch kind {
        case .snapshot: "snapshot-\(identity.shard)-\(hex16(first))-\(hex16(second))"
        case .log: "log-\(identity.shard)-\(hex16(first))-\(hex16(second))"
        case .catalog: "catalog-\(hex16(first))-\(hex16(second))"
        }
    }

    func encode() -> [UInt8] {
        var writer = Self.prefix.begin(capacity: Self.byteCount)
        writer.writeFixed32(kind.rawValue)
        writer.writeFixed32(identity.shard)
        writer.writeFixed64(identity.directory.high)
        writer.writeFixed64(identity.directory.low)
        writer.writeFixed64(first)
        writer.writeFixed64(second)
        writer.writeFixed64(dataCount)
        writer.writeFixed32(chainBefore)
        writer.writeFixed32(chainBehind)
        writer.writeFixed64(0)
        writer.writeFixed64(firstSeq.raw)
        writer.writeFixed64(lastSeq.raw)
        writer.writeFixed64(UInt64(bitPattern: earliestMillis))
        writer.writeFixed64(UInt64(bitPattern: latestMillis))
        Self.prefix.seal(&writer)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> BackupObjectHeader {
        guard bytes.count == byteCount else {
            throw prefix.damage(path, 0, "\(bytes.count) bytes of a header")
        }
        try prefix.check(bytes, path: path)
        var reader = RecordReader(
            bytes, range: FilePrefix.byteCount..<byteCount, subject: "backup header")
        guard let kind = Kind(rawValue: try reader.fixed32()) else {
            throw prefix.damage(path, 16, "a kind of file that is not known")
        }
        let shard = try reader.fixed32()
        let directory = DirectoryID(high: try reader.fixed64(), low: try reader.fixed64())
        var header = BackupObjectHeader(
            kind: kind, identity: LogIdentity(directory: directory, shard: shard),
            first: try reader.fixed64(), second: try reader.fixed64(),
            dataCount: try reader.fixed64())
        header.chainBefore = try reader.fixed32()
        header.chainBehind = try reader.fixed32()
        _ = try reader.fixed64()
        header.firstSeq = Sequence(try reader.fixed64())
        header.lastSeq = Sequence(try reader.fixed64())
        header.earliestMillis = Int64(bitPattern: try reader.fixed64())
        header.latestMillis = Int64(bitPattern: try reader.fixed64())
        return header
    }

    static func footer(fileSize: UInt64, blocks: Int, header: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(capacity: footerCount)
        writer.writeFixed64(fileSize)
        writer.writeFixed32(UInt32(blocks))
        writer.writeFixed32(crc32c(header))
        writer.writeFixed32(footerMagic)
        writer.writeFixed32(crc32c(writer.bytes))
        return writer.bytes
    }

    static func blockCRC(
        _ number: Int, dataCount: Int, _ bytes: [UInt8], _ range: Range<Int>
    ) -> UInt32 {
        var place = ByteWriter(capacity: 8)
        place.writeFixed32(UInt32(number))
        place.writeFixed32(UInt32(dataCount))
        return crc32c(bytes, range: range, from: crc32c(place.bytes))
    }
}

/// 16 hexadecimal digits, so that names sort as the numbers do.
func hex16(_ value: UInt64) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
}

/// Writes one file under a temporary name; `finish` gives it its own, durably. One thread.
final class BackupObjectWriter {
    /// Dirty pages allowed before they are pushed to the disk, as in SnapshotWriter.
    private static let syncBytes = 8 << 20

    let header: BackupObjectHeader
    private let repository: String
    private let fileSystem: any FileSystem
    private let file: any File
    private let headerBytes: [UInt8]
    private var block: [UInt8] = []
    private var blocks = 0
    private var dataCount: UInt64 = 0
    private var unsyncedBytes = 0
    private(set) var storedCount: UInt64

    init(
        _ header: BackupObjectHeader, repository: String, _ fileSystem: any FileSystem
    ) throws(FileError) {
        self.header = header
        self.repository = repository
        self.fileSystem = fileSystem
        headerBytes = header.encode()
        file = try fileSystem.open("\(repository)/\(header.fileName).new", .createEmpty)
        try file.write(headerBytes, at: 0)
        storedCount = UInt64(headerBytes.count)
        block.reserveCapacity(BackupObjectHeader.blockBytesMax)
    }

    func add(_ bytes: [UInt8]) throws(FileError) {
        var position = 0
        while position < bytes.count {
            let room = BackupObjectHeader.blockBytesMax - block.count
            let count = min(room, bytes.count - position)
            block.append(contentsOf: bytes[position..<(position + count)])
            position += count
            if count == room { try flush() }
        }
    }

    /// - Returns: bytes of the file.
    func finish() throws(FileError) -> UInt64 {
        if !block.isEmpty { try flush() }
        precondition(
            dataCount == header.dataCount, "\(dataCount) bytes, \(header.dataCount) announced")
        storedCount += UInt64(BackupObjectHeader.footerCount)
        let footer = BackupObjectHeader.footer(
            fileSize: storedCount, blocks: blocks, header: headerBytes)
        try file.write(footer, at: storedCount - UInt64(footer.count))
        try file.sync()
        let path = "\(repository)/\(header.fileName)"
        try fileSystem.rename(path + ".new", to: path)
        try fileSystem.syncDirectory(repository)
        return storedCount
    }

    private func flush() throws(FileError) {
        let frame = Zstd.compress(block[...])
        var writer = ByteWriter(capacity: frame.count + BackupObjectHeader.blockHeaderCount)
        writer.writeFixed32(UInt32(frame.count))
        writer.writeFixed32(UInt32(block.count))
        writer.writeFixed32(
            BackupObjectHeader.blockCRC(blocks, dataCount: block.count, frame, 0..<frame.count))
        writer.writeBytes(frame)
        try file.write(writer.bytes, at: storedCount)
        storedCount += UInt64(writer.count)
        unsyncedBytes += writer.count
        if unsyncedBytes >= Self.syncBytes {
            try file.sync()
            unsyncedBytes = 0
        }
        dataCount += UInt64(block.count)
        blocks += 1
        block.removeAll(keepingCapacity: true)
    }
}

/// Reads one file back, block by block, and checks every byte on the way. One thread.
final class BackupObjectReader {
    let header: BackupObjectHeader
    let path: String
    private let file: any File
    private let blockCount: Int
    private let end: UInt64
    private var offset = UInt64(BackupObjectHeader.byteCount)
    private var blocks = 0
    private(set) var dataCount: UInt64 = 0

    /// Opens the file and checks header and footer.
    init(_ name: String, repository: String, _ fileSystem: any FileSystem) throws(StoreError) {
        let path = "\(repository)/\(name)"
        self.path = path
        let (file, size, head) = try storing { () throws(FileError) in
            let file = try fileSystem.open(path, .read)
            return (
                file, try file.size(), try file.read(at: 0, count: BackupObjectHeader.byteCount)
            )
        }
        let header = try BackupObjectHeader.decode(head, path: path)
        guard header.fileName == name else {
            throw BackupObjectHeader.prefix.damage(
                path, 16, "the content of \(header.fileName)")
        }
        let least = UInt64(BackupObjectHeader.byteCount + BackupObjectHeader.footerCount)
        guard size >= least else {
            throw BackupObjectHeader.prefix.damage(path, 0, "a file of \(size) bytes")
        }
        end = size - UInt64(BackupObjectHeader.footerCount)
        let end = end
        let footer = try storing { () throws(FileError) in
            try file.read(at: end, count: BackupObjectHeader.footerCount)
        }
        var reader = RecordReader(footer, range: 0..<footer.count, subject: "backup footer")
        _ = try reader.fixed64()
        blockCount = Int(try reader.fixed32())
        guard
            footer
                == BackupObjectHeader.footer(fileSize: size, blocks: blockCount, header: head)
        else {
            throw BackupObjectHeader.prefix.damage(path, end, "the footer is not that of this file")
        }
        self.file = file
        self.header = header
    }

    var byteCount: UInt64 { end + UInt64(BackupObjectHeader.footerCount) }

    /// The next block's data; nil at the end.
    func next() throws(StoreError) -> [UInt8]? {
        if blocks == blockCount {
            guard offset == end, dataCount == header.dataCount else {
                throw damage("\(dataCount) bytes of \(header.dataCount) are there")
            }
            return nil
        }
        let (start, number) = (offset, blocks)
        let head = try storing { () throws(FileError) in
            try file.read(at: start, count: BackupObjectHeader.blockHeaderCount)
        }
        var reader = RecordReader(head, range: 0..<head.count, subject: "backup block")
        guard head.count == BackupObjectHeader.blockHeaderCount else {
            throw damage("the file ends inside block \(number)")
        }
        let stored = Int(try reader.fixed32())
        let count = Int(try reader.fixed32())
        let crc = try reader.fixed32()
        let place = start + UInt64(head.count)
        guard stored > 0, place + UInt64(stored) <= end, count > 0,
            count <= BackupObjectHeader.blockBytesMax
        else { throw damage("block \(number) has lengths that cannot be") }
        let frame = try storing { () throws(FileError) in
            try file.read(at: place, count: stored)
        }
        guard frame.count == stored,
            crc
                == BackupObjectHeader.blockCRC(
                    number, dataCount: count, frame, 0..<frame.count),
            let data = Zstd.decompress(frame, 0..<frame.count, byteCount: count)
        else { throw damage("the checksum of block \(number) is wrong") }
        offset = place + UInt64(stored)
        blocks += 1
        dataCount += UInt64(count)
        return data
    }

    /// All of it. For logs and catalogs, which are small.
    func readAll() throws(StoreError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(clamping: min(header.dataCount, 1 << 28)))
        while let block = try next() { bytes.append(contentsOf: block) }
        return bytes
    }

    private func damage(_ finding: String) -> StoreError {
        BackupObjectHeader.prefix.damage(path, offset, finding)
    }
}
