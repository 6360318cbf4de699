// Reading files again only to see whether their checksums still hold, a piece at a time.
import KyroBytes
import KyroModel
import KyroPlatform

/// What one step has found.
public enum ScrubStep: Equatable, Sendable {
    case whole(byteCount: Int)
    case damaged(byteCount: Int, offset: UInt64, finding: String)
    case finished
}

/// One file. Asks the disk and not the page cache, and leaves the cache as it was.
public protocol ScrubSource {
    var path: String { get }
    /// Reads about a megabyte.
    mutating func step() -> ScrubStep
}

public struct SnapshotScrub: ScrubSource {
    public let path: String
    private let open: () throws(StoreError) -> SnapshotReader
    private var reader: SnapshotReader?
    /// Of the section being read, and the block in it.
    private var section = 0
    private var block = 0
    private var isDone = false

    public init(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity,
        reference: SnapshotReference
    ) {
        path = "\(directory)/\(reference.fileName)"
        open = { () throws(StoreError) in
            try SnapshotReader(
                directory: directory, fileSystem: fileSystem, identity: identity,
                reference: reference)
        }
    }

    public mutating func step() -> ScrubStep {
        if isDone { return .finished }
        guard let reader else { return begin() }
        while section < reader.sections.count {
            let current = reader.sections[section]
            let start = UInt64(block) * UInt64(SnapshotFormat.blockBytesMax)
            guard start < current.byteCount else {
                section += 1
                block = 0
                continue
            }
            let place = current.offset + start + UInt64(block * SnapshotFormat.blockHeaderCount)
            let count = Int(min(current.byteCount - start, UInt64(SnapshotFormat.blockBytesMax)))
            reader.file.forgetCached(at: place, count: count)
            defer { reader.file.forgetCached(at: place, count: count) }
            do throws(StoreError) {
                _ = try reader.readBlock(block, of: current.name)
                block += 1
                return .whole(byteCount: count)
            } catch {
                block += 1
                return Self.damage(error, count)
            }
        }
        isDone = true
        return .finished
    }

    private mutating func begin() -> ScrubStep {
        do throws(StoreError) {
            reader = try open()
            return .whole(byteCount: SnapshotFormat.headerCount + SnapshotFormat.footerCount)
        } catch {
            isDone = true
            return Self.damage(error, SnapshotFormat.headerCount)
        }
    }

    private static func damage(_ error: StoreError, _ byteCount: Int) -> ScrubStep {
        guard case .damaged(let damage) = error else {
            return .damaged(byteCount: byteCount, offset: 0, finding: "\(error)")
        }
        return .damaged(byteCount: byteCount, offset: damage.offset, finding: damage.finding)
    }
}

/// A segment that gets no further batch.
public struct SegmentScrub: ScrubSource {
    public let path: String
    /// Where the next segment begins.
    public let end: LSN
    private let header: SegmentHeader
    private let fileSystem: any FileSystem
    private var file: (any File)?
    private var offset = SegmentHeader.byteCount
    private var chain: UInt32
    private var isDone = false

    private static let windowBytes = 1 << 20

    /// The segments of a log that are full, from the one that holds `lsn` on. Others may write the
    /// log, and nobody may give it up meanwhile: see `ShardLog.hold`.
    ///
    /// - Parameter onDamage: told of headers that cannot be read.
    public static func closed(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity, from lsn: LSN,
        onDamage: (_ path: String, _ finding: String) -> Void
    ) throws(StoreError) -> [SegmentScrub] {
        var headers: [(path: String, header: SegmentHeader)] = []
        let ordinals = try storing { () throws(FileError) in
            try SegmentFiles.ordinals(in: directory, fileSystem)
        }
        for ordinal in ordinals {
            let path = SegmentFiles.path(directory, ordinal: ordinal)
            do throws(StoreError) {
                let bytes = try storing { () throws(FileError) in
                    try fileSystem.openIfPresent(path, .read)?
                        .read(at: 0, count: SegmentHeader.byteCount)
                }
                guard let bytes else { continue }
                let header = try SegmentHeader.decode(bytes, path: path)
                if header.identity == identity { headers.append((path, header)) }
            } catch {
                onDamage(path, "\(error)")
            }
        }
        var sources: [SegmentScrub] = []
        for (current, next) in zip(headers, headers.dropFirst())
        where next.header.ordinal == current.header.ordinal + 1 && next.header.base > lsn {
            sources.append(
                SegmentScrub(current.path, current.header, end: next.header.base, fileSystem))
        }
        return sources
    }

    private init(
        _ path: String, _ header: SegmentHeader, end: LSN, _ fileSystem: any FileSystem
    ) {
        self.path = path
        self.header = header
        self.end = end
        self.fileSystem = fileSystem
        chain = header.chain
    }

    private var lsn: LSN { header.base + (offset - SegmentHeader.byteCount) }

    public mutating func step() -> ScrubStep {
        if isDone { return .finished }
        guard lsn < end else {
            isDone = true
            return .finished
        }
        do throws(FileError) {
            let file = try openedFile()
            let place = UInt64(offset)
            let rest = Int(end.raw - lsn.raw)
            let window = min(rest, Self.windowBytes)
            file.forgetCached(at: place, count: window)
            defer { file.forgetCached(at: place, count: window) }
            var bytes = try file.read(at: place, count: window)
            var used = walk(bytes)
            if used == 0, bytes.count < rest {
                // One batch that is larger than the window.
                bytes = try file.read(at: place, count: rest)
                used = walk(bytes)
            }
            guard used > 0 else { return damaged(bytes.count, "no readable batch") }
            offset += used
            return .whole(byteCount: used)
        } catch {
            return damaged(Self.windowBytes, "\(error)")
        }
    }

    private mutating func openedFile() throws(FileError) -> any File {
        if let file { return file }
        let opened = try fileSystem.open(path, .read)
        file = opened
        return opened
    }

    /// What follows cannot be found without guessing; `kyrodb verify` does.
    private mutating func damaged(_ byteCount: Int, _ finding: String) -> ScrubStep {
        isDone = true
        return .damaged(byteCount: byteCount, offset: UInt64(offset), finding: finding)
    }

    /// Steps over the whole batches at the start of `bytes`, and returns how many bytes they take.
    private mutating func walk(_ bytes: [UInt8]) -> Int {
        var used = 0
        while let batch = BatchHeader.decode(
            bytes, at: used, version: header.version, expecting: lsn + used),
            batch.chain == chain
        {
            chain = batch.crc
            used += batch.byteCount
        }
        return used
    }
}
