// When snapshots are taken.
import KyroModel
import KyroPlatform
import KyroStore

/// Carries a mark from the shard's writer to the snapshot thread.
final class MarkBox: Sendable {
    let gate = Gate()
    let result = Locked<Result<SnapshotMark, KyroError>?>(nil)
}

extension Engine {
    /// Takes a snapshot of every shard; reads and writes go on meanwhile.
    public func snapshot(
        completion: @escaping @Sendable (Result<SnapshotResponse, KyroError>) -> Void
    ) {
        let isRunning = snapshots.run { [self] in
            do throws(KyroError) {
                try maintenance.check()
                try ensureServing()
                let started = time.monotonicNanos()
                var response = SnapshotResponse(seq: .never, bytes: 0, micros: 0)
                for shard in shards {
                    let (seq, bytes) = try SnapshotJob(engine: self, shard: shard).run()
                    response.seq = min(response.seq, seq)
                    response.bytes += bytes
                }
                response.micros = (time.monotonicNanos() - started) / 1_000
                completion(.success(response))
            } catch {
                completion(.failure(error))
            }
        }
        if !isRunning { completion(.failure(Self.busy("the snapshot queue is full"))) }
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
        let isRunning = snapshots.run { [self] in
            defer { snapshotInProgress.store(false, ordering: .sequentiallyConsistent) }
            do throws(KyroError) {
                _ = try SnapshotJob(engine: self, shard: shard).run()
            } catch {
                // Not again at the next group: when the log has grown by as much once more.
                shard.postponeSnapshot(until: log.currentLSN.raw)
                notice("shard \(shard.index): the snapshot failed: \(error.message)")
            }
        }
        if !isRunning { snapshotInProgress.store(false, ordering: .sequentiallyConsistent) }
    }
}
