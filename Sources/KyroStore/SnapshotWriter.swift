// Writes one shard's snapshot, section by section, through one buffer.
import KyroBytes
import KyroModel
import KyroPlatform

/// `begin`, any number of `write`, `finishSection`; at the end `finish`. A writer that is dropped
/// before leaves an unfinished file, which the next one removes. One thread.
public final class SnapshotWriter: SnapshotSink {
    public let fileName: String
    public let seq: Sequence
    public let lsn: LSN
    private let directory: String
    private let fileSystem: any FileSystem
    private let file: any File
    private let header: [UInt8]
    private var sections: [SnapshotFormat.Section] = []
    private var isInSection = false
    private var blockNumber = 0
    /// The block being filled: room for its header, then data.
    private var block: [UInt8]
    private var offset: UInt64
    private let pace: (_ byteCount: Int) -> Void

    /// - Parameters:
    ///   - directory: the shard's.
    ///   - lsn: from where replay goes on. Sync the log up to it before the manifest names it.
    ///   - pace: called with the bytes of each block once they are on the disk; may wait.
    public init(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity, seq: Sequence,
        lsn: LSN, pace: @escaping (_ byteCount: Int) -> Void = { _ in }
    ) throws(StoreError) {
        self.pace = pace
        self.directory = directory
        self.fileSystem = fileSystem
        self.seq = seq
        self.lsn = lsn
        fileName = SnapshotFiles.name(seq: seq, lsn: lsn)
        let header = SnapshotFormat.header(identity, seq: seq, lsn: lsn)
        self.header = header
        let path = "\(directory)/\(fileName)" + SnapshotFiles.unfinishedSuffix
        file = try storing { () throws(FileError) in
            let file = try fileSystem.open(path, .createEmpty)
            try file.write(header, at: 0)
            return file
        }
        offset = UInt64(header.count)
        block = []
        block.reserveCapacity(SnapshotFormat.blockHeaderCount + SnapshotFormat.blockBytesMax)
        block.append(contentsOf: repeatElement(0, count: SnapshotFormat.blockHeaderCount))
    }

    /// Bytes of the file so far.
    public var byteCount: UInt64 { offset }

    /// - Precondition: no section is open, and none had this name.
    public func begin(section name: String) {
        precondition(!isInSection, "section \(name) begins inside another")
        precondition(
            !sections.contains { $0.name.utf8.elementsEqual(name.utf8) },
            "section \(name) is there twice")
        sections.append(SnapshotFormat.Section(name: name, offset: offset, byteCount: 0))
        isInSection = true
        blockNumber = 0
    }

    public func write(_ bytes: [UInt8]) throws(KyroError) {
        precondition(isInSection, "bytes outside of a section")
        var position = 0
        while position < bytes.count {
            let room = SnapshotFormat.blockHeaderCount + SnapshotFormat.blockBytesMax - block.count
            let count = min(room, bytes.count - position)
            block.append(contentsOf: bytes[position..<(position + count)])
            position += count
            if count == room {
                do throws(StoreError) { try flush() } catch { throw error.kyroError }
            }
        }
    }

    public func finishSection() throws(StoreError) {
        precondition(isInSection, "no section to finish")
        if block.count > SnapshotFormat.blockHeaderCount { try flush() }
        isInSection = false
    }

    /// Completes the file and gives it its name, durably. Then let the manifest name it.
    public func finish() throws(StoreError) -> SnapshotReference {
        precondition(!isInSection, "a section is open")
        let contents = SnapshotFormat.contents(sections)
        let footer = SnapshotFormat.footer(
            contentsOffset: offset, contents: contents, header: header)
        let path = "\(directory)/\(fileName)"
        try storing { () throws(FileError) in
            try file.write(contents + footer, at: offset)
            try file.sync()
            try fileSystem.rename(path + SnapshotFiles.unfinishedSuffix, to: path)
            try fileSystem.syncDirectory(directory)
        }
        offset += UInt64(contents.count + footer.count)
        return SnapshotReference(fileName: fileName, seq: seq, lsn: lsn)
    }

    private func flush() throws(StoreError) {
        let data = SnapshotFormat.blockHeaderCount..<block.count
        let crc = SnapshotFormat.blockCRC(
            section: sections.count - 1, block: blockNumber, block, data)
        for i in 0..<4 {
            block[i] = UInt8(truncatingIfNeeded: data.count >> (8 * i))
            block[4 + i] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(i)))
        }
        try storing { () throws(FileError) in
            try file.write(block, at: offset)
            // A snapshot that left gigabytes to its last sync would make the log's syncs wait behind
            // them; one sync a block would make them wait for the file system's journal instead.
            try file.writeBack(at: offset, count: block.count)
        }
        offset += UInt64(block.count)
        pace(block.count)
        sections[sections.count - 1].byteCount += UInt64(data.count)
        blockNumber += 1
        block.removeLast(data.count)
    }
}
