// Copying into a repository, a piece at a time, so that whoever copies can stop in between.
import KyroBytes
import KyroModel
import KyroPlatform

/// Copies a shard's log from some LSN on. One thread, under the repository's lock.
public final class LogCopy {
    /// Data of an object: large enough to compress well, small enough to hold in memory.
    static let objectBytes = 4 << 20

    private let repository: BackupRepository
    private let shard: Int
    private var reader: LogReader
    private var builder: ArchivedLogBuilder
    private var expectedChain: UInt32?
    private var isDone = false
    /// What the copy has added, in order.
    public private(set) var names: [String] = []
    public private(set) var storedBytes: UInt64 = 0

    /// - Parameters:
    ///   - reader: begins at `lsn`.
    ///   - lsn: where the repository's copy ends, or where a new one begins.
    public init(
        _ repository: BackupRepository, shard: Int, reader: LogReader, from lsn: LSN
    ) throws(BackupError) {
        self.repository = repository
        self.shard = shard
        self.reader = reader
        builder = ArchivedLogBuilder(from: lsn)
        start = lsn
        position = lsn
        if let last = repository.logs[shard].first(where: { $0.to == lsn }) {
            expectedChain = try repository.reader(last.name).header.chainBehind
        }
    }

    /// Where the copy began.
    public let start: LSN
    /// Everything below is in the repository.
    public private(set) var position: LSN

    /// Writes at most one object.
    ///
    /// - Returns: whether there is more.
    public func step() throws(BackupError) -> Bool {
        while !isDone, builder.byteCount < Self.objectBytes {
            let batch = try backingStore { () throws(StoreError) in try reader.next() }
            guard let batch else {
                isDone = true
                break
            }
            if let expectedChain, expectedChain != batch.chain {
                throw .refused(
                    "the log of shard \(shard) does not continue what \(repository.path) holds of "
                        + "it up to LSN \(batch.lsn): the data directory was replaced; take a full "
                        + "backup into a new directory")
            }
            expectedChain = nil
            try backingStore { () throws(StoreError) in try builder.add(batch) }
        }
        if !builder.isEmpty {
            let file = try repository.write(builder, shard: shard)
            names.append(file.name)
            storedBytes += file.storedBytes
            builder = ArchivedLogBuilder(from: builder.to)
        }
        position = builder.to
        return !isDone
    }
}

extension BackupRepository {
    func write(
        _ builder: ArchivedLogBuilder, shard: Int
    ) throws(BackupError) -> (name: String, storedBytes: UInt64) {
        let header = builder.header(identities[shard])
        let stored = try backing { () throws(FileError) in
            let writer = try BackupObjectWriter(header, repository: path, fileSystem)
            try writer.add(builder.bytes)
            return try writer.finish()
        }
        added(
            LogFile(from: builder.from, to: builder.to, name: header.fileName), shard: shard)
        return (header.fileName, stored)
    }

    /// Adds the catalog's changes, unless a file holds them already.
    ///
    /// - Returns: the file's name when one was made.
    public func write(
        catalog: (ordinal: UInt64, changes: [CatalogChange])
    ) throws(BackupError) -> (name: String, storedBytes: UInt64)? {
        let count = UInt64(catalog.changes.count)
        if catalogs.contains(where: { $0.ordinal == catalog.ordinal && $0.count >= count }) {
            return nil
        }
        let bytes = CatalogChange.encode(catalog.changes)
        let header = BackupObjectHeader(
            kind: .catalog,
            identity: LogIdentity(directory: directory, shard: LogIdentity.catalogShard),
            first: catalog.ordinal, second: count, dataCount: UInt64(bytes.count))
        let stored = try backing { () throws(FileError) in
            let writer = try BackupObjectWriter(header, repository: path, fileSystem)
            try writer.add(bytes)
            return try writer.finish()
        }
        // The file of the same ordinal that was there holds the first of these changes.
        let replaced = catalogs.filter { $0.ordinal == catalog.ordinal }.map(\.name)
        try remove(replaced)
        try scan()
        return (header.fileName, stored)
    }

    /// Puts the last files of a shard's log together once there are many small ones, so that an
    /// archive that ships every second does not fill the directory.
    public func consolidate(shard: Int) throws(BackupError) {
        var run: [LogFile] = []
        var byteCount: UInt64 = 0
        for file in logs[shard].reversed() {
            let size = file.to.raw - file.from.raw
            if let first = run.first, file.to != first.from { break }
            if byteCount + size > UInt64(LogCopy.objectBytes) { break }
            byteCount += size
            run.insert(file, at: 0)
        }
        guard run.count >= Self.smallFilesMax, let first = run.first else { return }
        var builder = ArchivedLogBuilder(from: first.from)
        for file in run {
            let object = try reader(file.name)
            try backingStore { () throws(StoreError) in
                var batches = ArchivedLogReader(try object.readAll(), object.header)
                while let batch = try batches.next() { try builder.add(batch, batches.bytes) }
            }
            builder.join(
                chainBefore: object.header.chainBefore, chainBehind: object.header.chainBehind)
        }
        _ = try write(builder, shard: shard)
        try remove(run.map(\.name))
    }

    public static let smallFilesMax = 64
}

/// Copies a snapshot's file. One thread, under the repository's lock.
public final class SnapshotCopy {
    /// Bytes between two chances to stop.
    private static let stepBytes = 4 << 20

    private let file: any File
    private let writer: BackupObjectWriter
    private let source: SnapshotReader
    private var offset: UInt64 = 0
    public let byteCount: UInt64
    public let shard: Int
    public let reference: SnapshotReference
    public private(set) var storedBytes: UInt64 = 0

    public var name: String { writer.header.fileName }

    /// - Parameter directory: the shard's, where the snapshot's file is.
    public init(
        _ repository: BackupRepository, shard: Int, reference: SnapshotReference, directory: String
    ) throws(BackupError) {
        self.shard = shard
        self.reference = reference
        let path = "\(directory)/\(reference.fileName)"
        source = try backingStore { () throws(StoreError) in
            try SnapshotReader(
                directory: directory, fileSystem: repository.fileSystem,
                identity: repository.identities[shard], reference: reference)
        }
        let (file, size) = try backing { () throws(FileError) in
            // Open, it stays readable when later snapshots push it out.
            let file = try repository.fileSystem.open(path, .read)
            return (file, try file.size())
        }
        self.file = file
        byteCount = size
        writer = try backing { () throws(FileError) in
            try BackupObjectWriter(
                BackupObjectHeader(
                    kind: .snapshot, identity: repository.identities[shard],
                    first: reference.seq.raw, second: reference.lsn.raw, dataCount: size),
                repository: repository.path, repository.fileSystem)
        }
    }

    public var copiedBytes: UInt64 { offset }

    /// - Returns: whether there is more; otherwise the copy is durable.
    public func step() throws(BackupError) -> Bool {
        if offset == 0 {
            // What has rotted on the disk must not pass for a backup.
            try backingStore { () throws(StoreError) in try source.verify() }
        }
        try backing { () throws(FileError) in
            let bytes = try file.read(
                at: offset, count: Int(min(UInt64(Self.stepBytes), byteCount - offset)))
            guard !bytes.isEmpty || offset == byteCount else {
                throw FileError(.read, file.path, offset: offset, .inputOutput)
            }
            try writer.add(bytes)
            offset += UInt64(bytes.count)
            if offset == byteCount { storedBytes = try writer.finish() }
        }
        return offset < byteCount
    }
}

extension BackupRepository {
    /// Whether a backup already has this snapshot.
    public func has(_ reference: SnapshotReference, shard: Int) -> UInt64? {
        for backup in backups {
            guard let known = backup.shards[shard].snapshot else { continue }
            if known.seq == reference.seq, known.lsn == reference.lsn { return known.storedBytes }
        }
        return nil
    }
}
