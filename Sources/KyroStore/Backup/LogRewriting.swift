// Writing a log anew up to some sequence: records as they were, in batches of their own.
import KyroBytes
import KyroModel
import KyroPlatform

extension ShardLog {
    /// A log that begins at `lsn`, ready to append, in a directory that has none.
    static func begin(
        directory: String, fileSystem: any FileSystem, identity: LogIdentity, at lsn: LSN,
        options: Options
    ) throws(StoreError) -> ShardLog {
        let log = try open(
            directory: directory, fileSystem: fileSystem, identity: identity, options: options)
        precondition(log.segments.isEmpty, "\(directory) has a log")
        log.current.store(lsn.raw, ordering: .releasing)
        log.synced.store(lsn.raw, ordering: .releasing)
        log.state = .ready
        try log.beginSegment(ordinal: 1, needed: 0)
        log.retention.begin(at: lsn)
        return log
    }
}

struct LogRewriting {
    private let log: ShardLog
    /// Batches below are there already: in the snapshot, or from a file that overlaps the next.
    private(set) var position: LSN
    private let seq: Sequence
    private var latestMillis: Int64 = 0
    private var lastSeq = Sequence.zero
    /// A record above the sequence was met: a shard's log holds rising sequences, so all that
    /// follow lie above it too.
    private(set) var isDone = false
    private(set) var records: UInt64 = 0

    /// - Parameters:
    ///   - lsn: batches below are in the snapshot.
    ///   - seq: records above are left out.
    init(log: ShardLog, from lsn: LSN, upTo seq: Sequence) {
        self.log = log
        position = lsn
        self.seq = seq
    }

    mutating func add(_ batch: ArchivedBatch, _ bytes: [UInt8]) throws(StoreError) {
        guard batch.lsn >= position else { return }
        position = batch.endLSN
        guard !batch.isSeal else { return }
        var kept: [Range<Int>] = []
        for range in batch.records {
            let head = try LogRecord.head(bytes, range)
            if head.seq > seq {
                isDone = true
                break
            }
            kept.append(range)
            lastSeq = max(lastSeq, head.seq)
        }
        guard !kept.isEmpty else { return }
        var out = LogBatch(capacity: 64 + kept.reduce(0) { $0 + $1.count + 4 })
        if isDone {
            for record in try cut(batch, bytes, keeping: kept.count) { out.add(record) }
        } else {
            for range in kept { out.add { $0.writeBytes(bytes, range) } }
        }
        records += UInt64(kept.count)
        latestMillis = max(latestMillis, batch.wallMillis)
        try log.append(&out, wallMillis: batch.wallMillis)
    }

    /// The first records of a batch that goes on above the sequence. What a producer sent in one
    /// piece, and is cut here, must not count as applied: he will send it again.
    private func cut(
        _ batch: ArchivedBatch, _ bytes: [UInt8], keeping count: Int
    ) throws(StoreError) -> [LogRecord] {
        var all: [LogRecord] = []
        for range in batch.records { all.append(try LogRecord.decode(bytes, range: range)) }
        let dropped = all[count...]
        return all[..<count].map { record in
            guard let producer = record.producer,
                dropped.contains(where: {
                    $0.collection == record.collection && $0.producer == producer
                })
            else { return record }
            var record = record
            record.producer = nil
            return record
        }
    }

    /// Makes `seq` the highest that the log tells.
    mutating func mark(_ seq: Sequence) throws(StoreError) {
        guard seq > lastSeq else { return }
        var batch = LogBatch()
        batch.add(
            LogRecord(
                collection: CollectionID(0), schemaVersion: 0, seq: seq, operation: .mark))
        try log.append(&batch, wallMillis: latestMillis)
    }

    func finish() throws(StoreError) { try log.seal(wallMillis: latestMillis) }
}

extension CatalogLog {
    /// Makes a catalog's file that holds `state`.
    static func write(
        _ state: CatalogState, path: String, directory: String, fileSystem: any FileSystem,
        id: DirectoryID
    ) throws(StoreError) {
        let header = SegmentHeader(
            identity: LogIdentity(directory: id, shard: LogIdentity.catalogShard), ordinal: 1,
            base: .zero, chain: 0, wallMillis: 0)
        _ = try write(state.records, header, path: path, fileSystem)
        try storing { () throws(FileError) in try fileSystem.syncDirectory(directory) }
    }
}
