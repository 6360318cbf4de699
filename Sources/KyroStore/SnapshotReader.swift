// Reads a shard's snapshot back and checks every block on the way.
import KyroBytes
import KyroModel
import KyroPlatform
import Synchronization

/// The table of contents of one snapshot. Any number of sections can be read at the same time, each
/// by one thread.
public final class SnapshotReader: Sendable {
    public let path: String
    public let seq: Sequence
    public let lsn: LSN
    public let byteCount: UInt64
    /// Format version of what the sections hold.
    public let version: UInt32
    let file: any File
    let sections: [SnapshotFormat.Section]
    private let bytesReadCell = Atomic<UInt64>(0)
    private let onRead: @Sendable (_ bytesRead: UInt64) -> Void

    /// Opens the file and checks everything but the blocks.
    ///
    /// - Parameter onRead: told after each block how many bytes of the file were read, by the thread
    ///   that read it.
    public init(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity,
        reference: SnapshotReference, onRead: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) throws(StoreError) {
        self.onRead = onRead
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
        version = try Self.check(header, identity, reference, path)
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
        return SnapshotSection(reader: self, section: sections[number], number: number)
    }

    fileprivate func noteRead(_ count: Int) {
        onRead(bytesReadCell.add(UInt64(count), ordering: .relaxed).newValue)
    }

    /// Reads every block of every section.
    public func verify() throws(StoreError) {
        for section in sections {
            let source = try source(section: section.name)
            while source.remaining > 0 { try source.skipBlock() }
        }
    }

    private static func check(
        _ header: [UInt8], _ identity: LogIdentity, _ reference: SnapshotReference, _ path: String
    ) throws(StoreError) -> UInt32 {
        let version = try FilePrefix.snapshot.check(header, path: path)
        let expected = SnapshotFormat.header(
            identity, seq: reference.seq, lsn: reference.lsn, version: version)
        guard header == expected else {
            throw damage(path, 16, "the snapshot of another directory, shard or sequence")
        }
        return version
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
    /// Asked of the disk ahead of what is being read.
    private static let aheadBytes: UInt64 = 8 << 20

    private let reader: SnapshotReader
    private let section: SnapshotFormat.Section
    private let number: Int
    private var blockNumber = 0
    private var offset: UInt64
    private var unread: UInt64
    /// Bytes below this offset were asked of the disk.
    private var announced: UInt64
    /// The block at hand with its header in front; memory that is used again.
    private var block: [UInt8] = []
    /// The next byte of `block` to give out.
    private var position = 0

    init(reader: SnapshotReader, section: SnapshotFormat.Section, number: Int) {
        self.reader = reader
        self.section = section
        self.number = number
        offset = section.offset
        announced = section.offset
        unread = section.byteCount
    }

    /// Bytes not yet given out.
    public var remaining: UInt64 { unread + UInt64(block.count - position) }

    public func read(count: Int) throws(KyroError) -> [UInt8] {
        try check(count)
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count < count {
            let piece = try nextPiece(max: count - result.count)
            result.append(contentsOf: block[piece])
        }
        return result
    }

    public func read(into target: inout MutableRawSpan) throws(KyroError) {
        let count = target.byteCount
        try check(count)
        var done = 0
        while done < count {
            let piece = try nextPiece(max: count - done)
            target.copy(block, range: piece, to: done)
            done += piece.count
        }
    }

    /// After the last byte that the section should hold.
    public func finish() throws(KyroError) {
        guard remaining == 0 else {
            throw damage("the section goes on for \(remaining) bytes").kyroError
        }
    }

    private func check(_ count: Int) throws(KyroError) {
        guard count >= 0, UInt64(count) <= remaining else {
            throw damage("it ends \(remaining) bytes on, \(count) were expected").kyroError
        }
    }

    /// Steps over the next bytes of the block at hand, or of the next one.
    private func nextPiece(max count: Int) throws(KyroError) -> Range<Int> {
        if position == block.count {
            do throws(StoreError) {
                try readBlock()
            } catch {
                throw error.kyroError
            }
        }
        let piece = position..<min(position + count, block.count)
        position = piece.upperBound
        return piece
    }

    /// Checks the next block and gives nothing out.
    func skipBlock() throws(StoreError) {
        try readBlock()
        position = block.count
    }

    /// Reads the next block and checks it.
    private func readBlock() throws(StoreError) {
        let expected = Int(min(unread, UInt64(SnapshotFormat.blockBytesMax)))
        let storedCount = SnapshotFormat.blockHeaderCount + expected
        announce()
        position = 0
        let file = reader.file
        do {
            try file.read(at: offset, count: storedCount, into: &block)
        } catch {
            block = []
            throw .from(error)
        }
        let finding = judge(expected: expected)
        if let finding {
            block = []
            throw damage(finding)
        }
        offset += UInt64(storedCount)
        unread -= UInt64(expected)
        blockNumber += 1
        position = SnapshotFormat.blockHeaderCount
        reader.noteRead(storedCount)
    }

    /// What is wrong with the block that was read.
    private func judge(expected: Int) -> String? {
        guard block.count == SnapshotFormat.blockHeaderCount + expected else {
            return "the file ends inside the block"
        }
        var header = ByteReader(block)
        guard let count = try? header.readFixed32(), let crc = try? header.readFixed32(),
            count == UInt32(expected),
            crc
                == SnapshotFormat.blockCRC(
                    section: number, block: blockNumber, block,
                    SnapshotFormat.blockHeaderCount..<block.count)
        else { return "the checksum of the block is wrong" }
        return nil
    }

    /// Lets the disk work while a block is being digested.
    private func announce() {
        guard offset + Self.aheadBytes / 2 >= announced else { return }
        let stored = section.storedCount ?? 0
        let end = min(section.offset + stored, offset + Self.aheadBytes)
        guard end > announced else { return }
        reader.file.willRead(at: announced, count: Int(end - announced))
        announced = end
    }

    private func damage(_ finding: String) -> StoreError {
        SnapshotReader.damage(
            reader.path, offset, "block \(blockNumber) of section \(section.name): \(finding)")
    }
}
