// Taking a snapshot of one shard while it goes on writing.
import KyroBytes
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore

/// The writer is asked for one moment between two groups, and the engine's snapshot thread writes
/// it down; rows below that moment's counts never change again, and who died later is known by his
/// sequence, so nothing has to stop and nothing is copied twice.
struct SnapshotJob {
    typealias Completion =
        @Sendable (Result<(seq: Sequence, bytes: UInt64), KyroError>) -> Void

    let engine: Engine
    let shard: Shard

    /// Any thread. The completion comes once, from the snapshot thread, or from the shard's writer
    /// when it gave no mark.
    func start(_ completion: @escaping Completion) {
        // The log is synced up to the mark before the manifest may name it.
        let command = ShardCommand.mark { mark in
            let isRunning = engine.snapshots.run(weight: 0, ignoresBound: true) {
                do throws(KyroError) {
                    completion(.success(try record(try mark.get())))
                } catch {
                    completion(.failure(error))
                }
            }
            if !isRunning { completion(.failure(Self.stopping)) }
        }
        guard case .accepted = shard.queue.push(command, weight: 0, ignoresBound: true) else {
            return completion(.failure(Self.stopping))
        }
    }

    private static let stopping = KyroError(.draining, "the server is stopping")

    /// - Returns: the sequence and bytes of the snapshot that the manifest now names.
    private func record(
        _ mark: SnapshotMark
    ) throws(KyroError) -> (seq: Sequence, bytes: UInt64) {
        try engine.maintenance.check()
        let state = shard.log
        if !state.needsSnapshot, let base = state.base, base.seq == mark.seq, base.lsn == mark.lsn {
            // The same once more would push the older generation out for nothing.
            return (mark.seq, state.snapshotBytes)
        }
        // What an attempt before this one left behind may be what fills the disk.
        try deleteUnnamed()
        let reference: SnapshotReference
        let bytes: UInt64
        do throws(KyroError) {
            (reference, bytes) = try write(mark)
        } catch {
            try? deleteUnnamed()
            throw error
        }
        try storing { () throws(StoreError) in
            try engine.directory.adopt(reference, over: state.base, shard: shard.index)
        }
        adoptRows(reference, mark)
        try deleteUnnamed()
        shard.updateLog {
            $0.snapshotSeq = mark.seq
            $0.snapshotLSN = mark.lsn.raw
            $0.snapshotBytes = bytes
            $0.base = reference
            $0.needsSnapshot = false
        }
        engine.budget.freed()
        // Two generations are kept, so the log reaches back to the older one.
        let manifest = engine.directory.manifest.shards[shard.index]
        _ = shard.queue.push(
            .releaseLog(before: manifest.truncationLSN), weight: 0, ignoresBound: true)
        return (mark.seq, bytes)
    }

    private func deleteUnnamed() throws(KyroError) {
        _ = try storing { () throws(StoreError) in
            try SnapshotFiles.deleteUnnamed(
                directory: engine.directory.shardPath(shard.index), fileSystem: engine.files,
                shard: engine.directory.manifest.shards[shard.index])
        }
    }

    private func write(
        _ mark: SnapshotMark
    ) throws(KyroError) -> (SnapshotReference, bytes: UInt64) {
        let writer = try storing { () throws(StoreError) in
            try SnapshotWriter(
                directory: engine.directory.shardPath(shard.index), fileSystem: engine.files,
                identity: engine.directory.identity(ofShard: shard.index), seq: mark.seq,
                lsn: mark.lsn, pace: SnapshotPace(engine: engine).pause)
        }
        let contents = SnapshotContents(
            wallMillis: engine.expiry.nowMillis(),
            collections: mark.collections.map { part in
                SnapshotContents.CollectionPart(
                    id: part.rows.fields.id, slotCount: part.slotCount,
                    vectors: part.root.vectors.names, sparse: part.root.sparse.names,
                    texts: part.root.texts.names)
            }, producers: mark.producers)
        try section(SnapshotContents.section, writer) { sink throws(KyroError) in
            try sink.write(contents.encoded())
        }
        if engine.catalog.all.contains(where: { $0.fields.retentionMillis > 0 }) {
            let times = engine.commitTimes.withLock { $0 }
            try section(SnapshotContents.times, writer) { sink throws(KyroError) in
                try sink.write(times.encoded())
            }
        }
        for part in mark.collections { try write(part, mark, to: writer) }
        let reference = try storing { () throws(StoreError) in try writer.finish() }
        return (reference, writer.byteCount)
    }

    private func write(
        _ part: SnapshotMark.CollectionRows, _ mark: SnapshotMark, to writer: SnapshotWriter
    ) throws(KyroError) {
        let id = part.rows.fields.id
        let slotCount = part.slotCount
        try section(SnapshotContents.rows(id), writer) { sink throws(KyroError) in
            try part.rows.writeRows(to: sink, slotCount: slotCount, seq: mark.seq)
        }
        if part.rows.horizon > .zero {
            try section(SnapshotContents.horizon(id), writer) { sink throws(KyroError) in
                var bytes = ByteWriter(capacity: 8)
                bytes.writeFixed64(part.rows.horizon.raw)
                try sink.write(bytes.bytes)
            }
        }
        var indexings: FieldMap<VectorIndexing> = [:]
        for entry in part.root.vectors where entry.value.field.indexing != .default {
            indexings[entry.name] = entry.value.field.indexing
        }
        if !indexings.isEmpty {
            try section(SnapshotContents.indexing(id), writer) { sink throws(KyroError) in
                try sink.write(indexings.encoded())
            }
        }
        for entry in part.root.vectors {
            try section(SnapshotContents.vectors(id, entry.name), writer) {
                sink throws(KyroError) in
                try entry.value.writeRows(to: sink, slotCount: slotCount)
            }
            if entry.value.needsCodesSection {
                try section(SnapshotContents.codes(id, entry.name), writer) {
                    sink throws(KyroError) in
                    try entry.value.writeCodes(to: sink, slotCount: slotCount)
                }
            }
            try section(SnapshotContents.graph(id, entry.name), writer) { sink throws(KyroError) in
                try entry.value.writeGraph(to: sink, slotCount: slotCount)
            }
        }
        try section(SnapshotContents.metadata(id), writer) { sink throws(KyroError) in
            try part.rows.metadata.write(to: sink, slotCount: slotCount)
        }
        for entry in part.root.sparse {
            try section(SnapshotContents.sparse(id, entry.name), writer) { sink throws(KyroError) in
                try entry.value.write(to: sink, slotCount: slotCount)
            }
        }
        for entry in part.root.texts {
            try section(SnapshotContents.text(id, entry.name), writer) { sink throws(KyroError) in
                try entry.value.write(to: sink, slotCount: slotCount)
            }
        }
    }

    private func section(
        _ name: String, _ writer: SnapshotWriter,
        _ body: (any SnapshotSink) throws(KyroError) -> Void
    ) throws(KyroError) {
        try engine.maintenance.check()
        writer.begin(section: name)
        try body(writer)
        try storing { () throws(StoreError) in try writer.finishSection() }
    }
}

/// The store's errors as the engine's callers know them.
func storing<Result>(_ body: () throws(StoreError) -> Result) throws(KyroError) -> Result {
    do throws(StoreError) {
        return try body()
    } catch {
        throw error.kyroError
    }
}
