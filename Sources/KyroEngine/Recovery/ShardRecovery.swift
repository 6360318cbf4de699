// From a data directory to a shard that serves: snapshot, then the log behind it.
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore

/// Runs on the shard's writer thread, before anybody reads or writes the shard.
struct ShardRecovery {
    let engine: Engine
    let shard: Shard

    /// Rows already in a graph stay as the snapshot has them; replayed rows go to the live tails.
    func run() throws(KyroError) -> ShardWriter {
        var options = ShardLog.Options()
        if let bytes = engine.configuration.logSegmentBytes { options.segmentBytes = bytes }
        let manifest = engine.directory.manifest.shards[shard.index]
        try storing { () throws(StoreError) in
            _ = try SnapshotFiles.deleteUnnamed(
                directory: engine.directory.shardPath(shard.index), fileSystem: engine.files,
                shard: manifest)
        }
        let log = try storing { () throws(StoreError) in
            try engine.directory.openLog(shard: shard.index, options: options)
        }
        var producers: [ProducerKey: UInt64] = [:]
        var seq = Sequence.zero
        if let reference = manifest.snapshot {
            producers = try load(reference)
            seq = reference.seq
        }
        engine.clock.restore(atLeast: seq)
        shard.publish(seq)
        let report = try storing { () throws(StoreError) in
            try replay(log, from: manifest.replayLSN, seq: seq, &producers)
        }
        let last = max(seq, report.lastSeq)
        engine.clock.restore(atLeast: last)
        shard.publish(last)
        shard.setDurable(last)
        shard.updateLog {
            $0.endLSN = log.currentLSN.raw
            $0.syncedLSN = log.syncedLSN.raw
            $0.diskBytes = log.diskBytes
            $0.snapshotSeq = seq
            $0.snapshotLSN = manifest.replayLSN.raw
        }
        return makeWriter(log, producers)
    }

    private func makeWriter(_ log: ShardLog, _ producers: [ProducerKey: UInt64]) -> ShardWriter {
        let engine = engine
        return ShardWriter(
            shard: shard, log: log, clock: engine.clock, policy: engine.configuration.fsync,
            groupBytesMax: engine.configuration.groupBytesMax, time: engine.time,
            collections: engine.catalog.all, producers: producers,
            onGroup: { writer in engine.groupDone(writer) },
            refuseMemory: { engine.refuseMemory() })
    }

    // MARK: Snapshot

    private func load(_ reference: SnapshotReference) throws(KyroError) -> [ProducerKey: UInt64] {
        let reader = try storing { () throws(StoreError) in
            try SnapshotReader(
                directory: engine.directory.shardPath(shard.index), fileSystem: engine.files,
                identity: engine.directory.identity(ofShard: shard.index), reference: reference)
        }
        try engine.budget.announce(reader.byteCount, shard: shard.index)
        do throws(KyroError) {
            let size = reader.byteCount(ofSection: SnapshotContents.section) ?? 0
            let bytes = try open(reader, SnapshotContents.section).read(count: Int(size))
            let contents = try SnapshotContents(decoding: bytes)
            var known: [CollectionID: Collection] = [:]
            for collection in engine.catalog.all { known[collection.id] = collection }
            for part in contents.collections {
                guard let collection = known[part.id] else { continue }
                collection.install(try restore(part, of: collection, reader), at: shard.index)
                try engine.budget.checkLoaded(shard: shard.index)
            }
            shard.updateLog { $0.snapshotBytes = reader.byteCount }
            return contents.producers.filter { known[$0.key.collection] != nil }
        } catch {
            if error.reason == KyroError.Reason.outOfMemory.rawValue { throw error }
            throw KyroError(
                .shardStopped, "the snapshot \(reader.path) cannot be used: \(error.message)")
        }
    }

    private func restore(
        _ part: SnapshotContents.CollectionPart, of collection: Collection, _ reader: SnapshotReader
    ) throws(KyroError) -> CollectionShard {
        let id = part.id
        let schema = collection.schema
        let metadata = try MetadataIndex(
            from: try open(reader, SnapshotContents.metadata(id)), slotCount: part.slotCount)
        let rows = CollectionShard(
            fields: collection.fields, shard: shard.index, hashSeed: engine.hashSeed,
            metadata: metadata)
        try rows.readRows(
            from: try open(reader, SnapshotContents.rows(id)), slotCount: part.slotCount)
        let visibility = Visibility(
            born: rows.rows.born, died: rows.rows.died, expiresAt: rows.rows.expiresAt,
            seq: reader.seq.raw, slotCount: part.slotCount, nowMillis: .min)
        var vectors: FieldMap<VectorIndex> = [:]
        for name in part.vectors {
            guard let field = schema.vectors[name] else { continue }
            vectors[name] = try VectorIndex(
                from: try open(reader, SnapshotContents.vector(id, name)), field: field)
        }
        var sparse: FieldMap<SparseIndex> = [:]
        for name in part.sparse {
            sparse[name] = try SparseIndex(
                from: try open(reader, SnapshotContents.sparse(id, name)),
                slotCount: part.slotCount)
        }
        var texts: FieldMap<TextIndex> = [:]
        for name in part.texts {
            texts[name] = try TextIndex(
                from: try open(reader, SnapshotContents.text(id, name)),
                field: schema.texts[name] ?? TextField(), visibility: visibility)
        }
        rows.adopt(slotCount: part.slotCount, vectors: vectors, sparse: sparse, texts: texts)
        return rows
    }

    private func open(
        _ reader: SnapshotReader, _ section: String
    ) throws(KyroError) -> SnapshotSection {
        try storing { () throws(StoreError) in try reader.source(section: section) }
    }

    // MARK: Log

    /// Records at or below `seq` are in the snapshot already.
    private func replay(
        _ log: ShardLog, from lsn: LSN, seq: Sequence, _ producers: inout [ProducerKey: UInt64]
    ) throws(StoreError) -> RecoveryReport {
        var collections: [CollectionID: Collection] = [:]
        for collection in engine.catalog.all { collections[collection.id] = collection }
        var marks = producers
        var untilCheck = 0
        let report = try log.replay(from: lsn) { record throws(KyroError) in
            guard record.seq > seq, let collection = collections[record.collection] else { return }
            if let producer = record.producer {
                let key = ProducerKey(collection: record.collection, producer: producer.id)
                marks[key] = max(marks[key] ?? 0, producer.clientSequence)
            }
            if untilCheck == 0 { try engine.budget.checkLoaded(shard: shard.index) }
            untilCheck = (untilCheck + 1) % 64
            let rows = collection.shard(shard.index)
            if case .upsert(let document) = record.operation, !(try rows.tryReserve([document])) {
                throw engine.refuseMemory()
            }
            try rows.apply(record)
            shard.replayedRecords.add(1, ordering: .relaxed)
        }
        producers = marks
        for collection in collections.values { collection.shard(shard.index).publish() }
        if let tear = report.tear {
            let text =
                "shard \(shard.index): the log's last write was torn; cut at LSN \(tear.lsn), "
                + "offset \(tear.offset) of \(tear.path)"
            engine.notice(text)
        }
        return report
    }
}
