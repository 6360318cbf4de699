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
        for collection in collections {
            let rows = collection.shard(shard.index)
            status.documents += UInt64(rows.liveCount)
            status.deadRows += UInt64(max(0, rows.slotCount - rows.liveCount))
            status.residentBytes += UInt64(rows.residentBytes)
            for entry in rows.currentRoot.vectors {
                status.graphRows += UInt64(entry.value.graphCount)
                status.tailRows += UInt64(entry.value.tailCount)
            }
        }
        return status
    }

    /// Distance kernels' instruction set.
    public var kernels: String { VectorIndex.kernelsName }
}
