// Reads a shard's snapshot back and checks every block on the way.
import KyroBytes
import KyroModel
import KyroPlatform

/// The table of contents of one snapshot. Any number of sections can be read at the same time, each
/// by one thread.
public final class SnapshotReader: Sendable {
    public let path: String
    public let seq: Sequence
    public let lsn: LSN
    public let byteCount: UInt64
    let file: any File
    let sections: [SnapshotFormat.Section]

    /// Opens the file and checks everything but the blocks.
    public init(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity,
        reference: SnapshotReference
    ) throws(StoreError) {
        let path = "\(directory)/\(reference.fileName)"
        self.path = path
        seq = reference.seq
        lsn = reference.lsn
        let (file, size) = try storing { () throws(FileError) in
            let file = try fileSystem.open(path, .read)
            return (file, try file.size())
        }
        self.file = file
        byteCount = size
        let least = UInt64(SnapshotFormat.headerCount + SnapshotFormat.footerCount)
        guard size >= least else { throw Self.damage(path, 0, "a file of \(size) bytes") }
        let header = try storing { () throws(FileError) in
            try file.read(at: 0, count: SnapshotFormat.headerCount)
        }
        try Self.check(header, identity, reference, path)
        sections = try Self.readContents(file, size: size, header: header, path)
    }

    public var sectionNames: [String] { sections.map(\.name) }

    /// Bytes of data in a section; nil when there is none of that name.
    public func byteCount(ofSection name: String) -> UInt64? {
        sections.first { $0.name.utf8.elementsEqual(name.utf8) }?.byteCount
    }

    /// Reads a section from its start.
    public func source(section name: String) throws(StoreError) -> SnapshotSection {
        guard let number = sections.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) })
        else {
            throw Self.damage(path, 0, "the snapshot has no section \(name)")
        }
        return SnapshotSection(file: file, section: sections[number], number: number)
    }

    /// Reads every block of every section.
    public func verify() throws(StoreError) {
        for section in sections {
            let source = try source(section: section.name)
            while source.remaining > 0 { _ = try source.readBlock() }
        }
    }

    private static func check(
        _ header: [UInt8], _ identity: LogIdentity, _ reference: SnapshotReference, _ path: String
    ) throws(StoreError) {
        try FilePrefix.snapshot.check(header, path: path)
        let expected = SnapshotFormat.header(identity, seq: reference.seq, lsn: reference.lsn)
        guard header == expected else {
            throw damage(path, 16, "the snapshot of another directory, shard or sequence")
        }
    }

    private static func readContents(
        _ file: any File, size: UInt64, header: [UInt8], _ path: String
    ) throws(StoreError) -> [SnapshotFormat.Section] {
        let footerOffset = size - UInt64(SnapshotFormat.footerCount)
        let footer = try storing { () throws(FileError) in
            try file.read(at: footerOffset, count: SnapshotFormat.footerCount)
        }
        var reader = RecordReader(footer, range: 0..<footer.count, subject: "snapshot footer")
        let offset = try reader.fixed64()
        let contentsCRC = try reader.fixed32()
        let headerCRC = try reader.fixed32()
        let writtenSize = try reader.fixed64()
        let magic = try reader.fixed32()
        guard magic == SnapshotFormat.footerMagic,
            try reader.fixed32() == crc32c(footer, range: 0..<28), writtenSize == size,
            headerCRC == crc32c(header), offset >= UInt64(SnapshotFormat.headerCount),
            offset <= footerOffset
        else { throw damage(path, footerOffset, "the footer is not that of this file") }
        let contents = try storing { () throws(FileError) in
            try file.read(at: offset, count: Int(footerOffset - offset))
        }
        guard contentsCRC == crc32c(contents) else {
            throw damage(path, offset, "the checksum of the table of contents is wrong")
        }
        do throws(StoreError) {
            return try decodeContents(contents, end: offset)
        } catch {
            throw damage(path, offset, "the checksum holds, but \(error)")
        }
    }

    private static func decodeContents(
        _ contents: [UInt8], end: UInt64
    ) throws(StoreError) -> [SnapshotFormat.Section] {
        var reader = RecordReader(
            contents, range: 0..<contents.count, subject: "snapshot table of contents")
        var sections: [SnapshotFormat.Section] = []
        var position = UInt64(SnapshotFormat.headerCount)
        for _ in 0..<(try reader.count(bytesEach: 17)) {
            let section = SnapshotFormat.Section(
                name: try reader.string(), offset: try reader.fixed64(),
                byteCount: try reader.fixed64())
            guard section.offset == position, let stored = section.storedCount,
                stored <= end - position
            else { throw reader.malformed("section \(section.name) lies at \(section.offset)") }
            position += stored
            sections.append(section)
        }
        try reader.end()
        guard position == end else { throw reader.malformed("sections end at \(position)") }
        return sections
    }

    static func damage(_ path: String, _ offset: UInt64, _ finding: String) -> StoreError {
        FilePrefix.snapshot.damage(path, offset, finding)
    }
}

/// One section, read in order. One thread.
public final class SnapshotSection: SnapshotSource {
    private let file: any File
    private let section: SnapshotFormat.Section
    private let number: Int
    private var blockNumber = 0
    private var offset: UInt64
    private var unread: UInt64
    private var block: [UInt8] = []
    private var position = 0

    init(file: any File, section: SnapshotFormat.Section, number: Int) {
        self.file = file
        self.section = section
        self.number = number
        offset = section.offset
        unread = section.byteCount
    }

    /// Bytes not yet given out.
    public var remaining: UInt64 { unread + UInt64(block.count - position) }

    public func read(count: Int) throws(KyroError) -> [UInt8] {
        guard count >= 0, UInt64(count) <= remaining else {
            throw SnapshotReader.damage(
                file.path, offset,
                "section \(section.name) ends \(remaining) bytes on, \(count) were expected"
            ).kyroError
        }
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count < count {
            if position == block.count {
                do throws(StoreError) {
                    block = try readBlock()
                } catch {
                    throw error.kyroError
                }
                position = 0
            }
            let step = min(count - result.count, block.count - position)
            result.append(contentsOf: block[position..<(position + step)])
            position += step
        }
        return result
    }

    /// The next block's data, checked.
    func readBlock() throws(StoreError) -> [UInt8] {
        let expected = Int(min(unread, UInt64(SnapshotFormat.blockBytesMax)))
        var bytes = try storing { () throws(FileError) in
            try file.read(at: offset, count: SnapshotFormat.blockHeaderCount + expected)
        }
        guard bytes.count == SnapshotFormat.blockHeaderCount + expected else {
            throw damage("the file ends inside the block")
        }
        var reader = RecordReader(bytes, range: 0..<bytes.count, subject: "snapshot block")
        let count = try reader.fixed32()
        let crc = try reader.fixed32()
        let data = SnapshotFormat.blockHeaderCount..<bytes.count
        guard count == UInt32(expected),
            crc == SnapshotFormat.blockCRC(section: number, block: blockNumber, bytes, data)
        else { throw damage("the checksum of the block is wrong") }
        offset += UInt64(bytes.count)
        unread -= UInt64(expected)
        blockNumber += 1
        bytes.removeFirst(SnapshotFormat.blockHeaderCount)
        return bytes
    }

    private func damage(_ finding: String) -> StoreError {
        SnapshotReader.damage(
            file.path, offset, "block \(blockNumber) of section \(section.name): \(finding)")
    }
}
