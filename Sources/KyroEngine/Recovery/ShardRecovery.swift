// From a data directory to a shard that serves: snapshot, then the log behind it.
import KyroBytes
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
        let loaded = try loadSnapshot(manifest)
        for part in loaded?.parts ?? [] { part.collection.install(part.rows, at: shard.index) }
        var producers = loaded?.contents.producers ?? [:]
        let seq = loaded?.reference.seq ?? .zero
        let lsn = loaded?.reference.lsn ?? .zero
        engine.clock.restore(atLeast: seq)
        shard.publish(seq)
        beginPhase(
            .replayingLog, bytesTotal: log.endLSNBound.raw - min(lsn.raw, log.endLSNBound.raw))
        let report = try storing { () throws(StoreError) in
            try replay(
                log, from: lsn, seq: seq, syncedAtLeast: manifest.snapshot?.lsn ?? .zero,
                loaded?.times ?? CommitTimes(), &producers)
        }
        beginPhase(.done)
        let last = max(seq, report.lastSeq)
        engine.clock.restore(atLeast: last)
        shard.publish(last)
        shard.setDurable(last)
        shard.updateLog {
            $0.endLSN = log.currentLSN.raw
            $0.syncedLSN = log.syncedLSN.raw
            $0.diskBytes = log.diskBytes
            $0.snapshotSeq = seq
            $0.snapshotLSN = lsn.raw
            $0.snapshotBytes = loaded?.byteCount ?? 0
        }
        tellWhatItTook()
        return makeWriter(log, producers)
    }

    /// Short starts go without saying.
    private func tellWhatItTook() {
        let recovery = shard.recovery.withLock { $0 }
        let millis = (recovery.loadNanos + recovery.replayNanos) / 1_000_000
        guard millis >= 1_000 else { return }
        engine.notice(
            "shard \(shard.index): recovered in \(millis) ms: snapshot "
                + "\(recovery.loadNanos / 1_000_000) ms, "
                + "\(shard.replayedRecords.load(ordering: .relaxed)) records of the log "
                + "\(recovery.replayNanos / 1_000_000) ms")
    }

    private func beginPhase(_ phase: RecoveryPhase, bytesTotal: UInt64 = 0) {
        let now = engine.time.monotonicNanos()
        shard.recovery.withLock { $0.begin(phase, bytesTotal: bytesTotal, nowNanos: now) }
    }

    /// Nanoseconds between two lines in the log about one shard's progress.
    private static let tellNanos: UInt64 = 5_000_000_000

    private func progress(_ bytesDone: UInt64) {
        let now = engine.time.monotonicNanos()
        let told: String? = shard.recovery.withLock { recovery in
            recovery.bytesDone = bytesDone
            guard now >= recovery.toldNanos + Self.tellNanos else { return nil }
            recovery.toldNanos = now
            let what =
                recovery.phase == .loadingSnapshot ? "loading its snapshot" : "replaying its log"
            let percent = min(100, 100 * bytesDone / max(1, recovery.bytesTotal))
            return "\(what): \(percent) % of \(recovery.bytesTotal) bytes"
        }
        if let told { engine.notice("shard \(shard.index) is \(told)") }
    }

    private func makeWriter(_ log: ShardLog, _ producers: [ProducerKey: UInt64]) -> ShardWriter {
        let engine = engine
        return ShardWriter(
            shard: shard, log: log, engine: engine, producers: producers,
            onGroup: { writer in engine.groupDone(writer) },
            refuseMemory: { engine.refuseMemory() })
    }

    // MARK: Snapshot

    private enum Attempt {
        case loaded(LoadedSnapshot)
        case damaged(KyroError)
    }

    /// The latest snapshot. Where its document data is damaged: the one before, and where there was
    /// none before, nothing, since the log then reaches back to the beginning.
    private func loadSnapshot(_ manifest: ShardManifest) throws(KyroError) -> LoadedSnapshot? {
        guard let latest = manifest.snapshot else { return nil }
        let problem: KyroError
        switch try attempt(latest) {
        case .loaded(let loaded): return note(loaded)
        case .damaged(let error): problem = error
        }
        let prefix = "shard \(shard.index): its latest snapshot cannot be used: \(problem.message)"
        shard.updateLog { $0.needsSnapshot = true }
        guard let older = manifest.previousSnapshot else {
            engine.notice(
                "\(prefix); there is none before it, so everything is replayed from the log; a new "
                    + "snapshot follows")
            return nil
        }
        switch try attempt(older) {
        case .loaded(let loaded):
            engine.notice(
                "\(prefix); the one before it, \(older.fileName) at sequence \(older.seq.raw), is "
                    + "used, with the log from LSN \(older.lsn) on; a new snapshot follows")
            return note(loaded)
        case .damaged(let error):
            throw KyroError(
                .shardStopped,
                "neither snapshot can be used. The latest: \(problem.message). The one before it: "
                    + "\(error.message)")
        }
    }

    private func attempt(_ reference: SnapshotReference) throws(KyroError) -> Attempt {
        beginPhase(.loadingSnapshot)
        let load: SnapshotLoad
        do throws(StoreError) {
            load = try SnapshotLoad(
                engine: engine, shard: shard.index, reference: reference,
                onRead: { bytes in progress(bytes) })
        } catch {
            // Whoever wrote that knew more than this server; what is older is not what was meant.
            if case .newerFormat = error { throw error.kyroError }
            if error.isShortage { throw error.kyroError }
            return .damaged(error.kyroError)
        }
        shard.recovery.withLock { $0.bytesTotal = load.byteCount }
        try engine.budget.announce(load.memoryBytes, shard: shard.index)
        do throws(KyroError) {
            return .loaded(try load.run())
        } catch {
            try engine.maintenance.check()
            // What is short says nothing about the file; an older one would not fit either.
            if error.isShortage { throw error }
            engine.budget.withdraw(load.memoryBytes)
            return .damaged(error)
        }
    }

    private func note(_ loaded: LoadedSnapshot) -> LoadedSnapshot {
        shard.updateLog { $0.base = loaded.reference }
        for repair in loaded.repairs {
            engine.notice(
                "shard \(shard.index): \(repair); it is derived anew from the documents, none of "
                    + "which is affected; a new snapshot follows")
            shard.updateLog { $0.needsSnapshot = true }
        }
        return loaded
    }

    // MARK: Log

    /// Records at or below `seq` are in the snapshot already. What was replayed is published batch
    /// by batch.
    private func replay(
        _ log: ShardLog, from lsn: LSN, seq: Sequence, syncedAtLeast: LSN, _ times: CommitTimes,
        _ producers: inout [ProducerKey: UInt64]
    ) throws(StoreError) -> RecoveryReport {
        var times = times
        let collections = engine.catalog.byID
        var marks = producers
        var touched: [CollectionID: CollectionShard] = [:]
        var batchFirst: Sequence?
        var last = seq
        var recordCount = 0
        var untilCheck = 0
        let publishBatch = { (end: LSN, wallMillis: Int64) in
            if let first = batchFirst { times.note(wallMillis, first: first) }
            batchFirst = nil
            for rows in touched.values { rows.publish() }
            touched.removeAll(keepingCapacity: true)
            shard.publish(last)
            shard.replayedRecords.store(recordCount, ordering: .relaxed)
            progress(end.raw - min(lsn.raw, end.raw))
        }
        let report = try log.replay(from: lsn, syncedAtLeast: syncedAtLeast, onBatch: publishBatch)
        {
            record throws(KyroError) in
            last = max(last, record.seq)
            guard record.seq > seq else { return }
            if batchFirst == nil { batchFirst = record.seq }
            guard let collection = collections[record.collection] else {
                return try checkDropped(record.collection)
            }
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
            touched[record.collection] = rows
            recordCount += 1
        }
        publishBatch(report.endLSN, report.lastWallMillis)
        producers = marks
        engine.commitTimes.withLock { [times] in $0.merge(times) }
        if let tear = report.tear {
            let text =
                "shard \(shard.index): the log's last write was torn; cut at LSN \(tear.lsn), "
                + "offset \(tear.offset) of \(tear.path)"
            engine.notice(text)
        }
        return report
    }

    /// A collection that the catalog does not know has been dropped, or the catalog has lost it: ids
    /// are durable there before anything is written to the collection.
    private func checkDropped(_ id: CollectionID) throws(KyroError) {
        guard id >= engine.catalog.nextID else { return }
        throw StoreError.damaged(
            StoreError.Damage(
                path: engine.directory.catalogPath, offset: 0,
                finding: "collection \(id.raw) is missing, to which the log has records",
                affected: "collections from number \(engine.catalog.nextID.raw) on")
        ).kyroError
    }
}
