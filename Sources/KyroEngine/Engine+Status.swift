// What an operator sees.
import KyroIndex
import KyroModel

extension Engine {
    /// The engine's part of `Operations.Status`; the server adds what it knows of itself.
    public func status() -> StatusResponse {
        var status = StatusResponse()
        status.state = isServing ? .serving : .starting
        status.uptimeMillis = uptimeMillis
        status.seq = clock.stable
        let collections = catalog.all
        status.collectionCount = UInt32(collections.count)
        let queuedBytes = queuedBytes
        status.memoryLimitBytes = budget.limitBytes ?? 0
        status.admission = budget.admission(queuedBytes: queuedBytes)
        status.queuedBytes = queuedBytes
        status.diskFreeBytes = directory.freeBytes
        status.reserve = directory.reserveState
        status.backup = backups?.status(shards)
        let time = expiry.reading()
        status.clockMillis = time.millis
        status.clockOffsetMillis = time.offsetMillis
        status.isClockHeld = time.isHeld
        status.shards = shards.map { self.status(of: $0, collections: collections) }
        return status
    }

    private func status(of shard: Shard, collections: [Collection]) -> ShardStatus {
        var status = ShardStatus(shard: UInt32(shard.index))
        status.state = shard.state
        status.problem = shard.problem.isEmpty ? shard.shortage : shard.problem
        status.seq = shard.published
        let log = shard.log
        status.logLSN = log.endLSN
        status.syncedLSN = log.syncedLSN
        status.snapshotSeq = log.snapshotSeq
        status.diskBytes = log.diskBytes + log.snapshotBytes
        status.queueDepth = UInt64(shard.queue.depth)
        status.replayedRecords = UInt64(shard.replayedRecords.load(ordering: .relaxed))
        status.graphRowsInserted = UInt64(shard.graphRowsInserted.load(ordering: .relaxed))
        addRecovery(of: shard, to: &status)
        status.rebuilds = UInt64(shard.rebuilds.load(ordering: .relaxed))
        status.rebuildRowsLeft = UInt64(shard.rebuildRowsLeft.load(ordering: .relaxed))
        status.rebuildBytes = UInt64(shard.heldBytes)
        status.deadBytes = UInt64(shard.deadBytes.load(ordering: .relaxed))
        let scrub = shard.scrub.withLock { $0 }
        status.damages = scrub.findings.map {
            FoundDamage(
                path: $0.path, offset: $0.offset, finding: $0.finding, isHealed: $0.isHealed)
        }
        status.scrubEndMillis = scrub.roundEndMillis
        status.scrubRoundBytes = scrub.roundBytes
        status.scrubRounds = scrub.rounds
        status.scrubBytes = scrub.bytes
        for collection in collections {
            let rows = collection.shard(shard.index)
            status.documents += UInt64(rows.liveCount)
            status.deadRows += UInt64(rows.deadCount)
            status.missingStructures += UInt32(rows.missing.count)
            status.residentBytes += UInt64(rows.residentBytes)
            for entry in rows.currentRoot.vectors {
                status.graphRows += UInt64(entry.value.indexedCount)
                status.tailRows += UInt64(entry.value.tailCount)
            }
        }
        return status
    }

    private func addRecovery(of shard: Shard, to status: inout ShardStatus) {
        var recovery = shard.recovery.withLock { $0 }
        status.recoveryPhase = recovery.phase
        status.recoveryBytesDone = recovery.bytesDone
        status.recoveryBytesTotal = recovery.bytesTotal
        // The phase at hand counts so far.
        recovery.begin(.done, nowNanos: max(time.monotonicNanos(), recovery.phaseStartNanos))
        status.snapshotLoadMillis = recovery.loadNanos / 1_000_000
        status.replayMillis = recovery.replayNanos / 1_000_000
    }

    /// Unix milliseconds, by the clock that credentials expire by.
    public func credentialMillis() -> Int64 { expiry.latestMillis() }

    /// Distance kernels' instruction set.
    public var kernels: String { VectorIndex.kernelsName }
}
