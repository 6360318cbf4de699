// When snapshots are taken.
import KyroModel
import KyroPlatform
import KyroStore

extension Engine {
    public typealias SnapshotCompletion = @Sendable (Result<SnapshotResponse, KyroError>) -> Void

    /// Requests for snapshots that may wait for one another.
    private static let snapshotRequestsMax = 16

    /// Takes a snapshot of every shard; reads and writes go on meanwhile.
    public func snapshot(completion: @escaping SnapshotCompletion) {
        let open = snapshotRequests.add(1, ordering: .relaxed).newValue
        let completion: SnapshotCompletion = { [self] result in
            snapshotRequests.subtract(1, ordering: .relaxed)
            completion(result)
        }
        guard open <= Self.snapshotRequestsMax else {
            return completion(.failure(Self.busy("too many snapshots are asked for")))
        }
        let isRunning = snapshots.run { [self] in
            do throws(KyroError) {
                try maintenance.check()
                try ensureServing()
            } catch {
                return completion(.failure(error))
            }
            snapshot(
                fromShard: 0, SnapshotResponse(seq: .never, bytes: 0, micros: 0),
                startedNanos: time.monotonicNanos(), completion)
        }
        if !isRunning { completion(.failure(Self.busy("the snapshot queue is full"))) }
    }

    /// One shard after the other: two at once would only share the disk.
    private func snapshot(
        fromShard index: Int, _ response: SnapshotResponse, startedNanos: UInt64,
        _ completion: @escaping SnapshotCompletion
    ) {
        guard index < shards.count else {
            var whole = response
            whole.micros = (time.monotonicNanos() - startedNanos) / 1_000
            return completion(.success(whole))
        }
        SnapshotJob(engine: self, shard: shards[index]).start { [self] result in
            do throws(KyroError) {
                let (seq, bytes) = try result.get()
                var next = response
                next.seq = min(next.seq, seq)
                next.bytes += bytes
                snapshot(
                    fromShard: index + 1, next, startedNanos: startedNanos, completion)
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// Called by a shard's writer after each group: asks for a snapshot when the log has grown far
    /// beyond the last one, so that replay stays short.
    func groupDone(_ writer: ShardWriter) {
        let shard = writer.shard
        let log = writer.log
        let covered = max(shard.log.snapshotLSN, shard.snapshotPostponedLSN)
        guard log.currentLSN.raw > covered,
            log.currentLSN.raw - covered > UInt64(configuration.snapshotLogBytes),
            snapshotInProgress.compareExchange(
                expected: false, desired: true, ordering: .sequentiallyConsistent
            ).exchanged
        else { return }
        SnapshotJob(engine: self, shard: shard).start { [self] result in
            if case .failure(let error) = result {
                // Not again at the next group: when the log has grown by as much once more.
                shard.postponeSnapshot(until: log.currentLSN.raw)
                notice("shard \(shard.index): the snapshot failed: \(error.message)")
            }
            snapshotInProgress.store(false, ordering: .sequentiallyConsistent)
        }
    }
}
