// Growing the graphs: live tails are folded in, a few rows at a time.
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore

extension Engine {
    /// Rows between two looks at what else there is to do.
    private static let foldStepRows = 256

    /// A shard's maintenance thread: the only one that writes graph links.
    func runFolding(of shard: Shard) {
        ThreadPriority.background.apply()
        // On a full disk the next attempt at a spare file waits a while.
        var spareFileNanos: UInt64 = 0
        while !maintenance.isCancelled {
            _ = shard.foldGate.wait(timeoutNanos: 1_000_000_000)
            guard isServing, shard.state != .stopped else { continue }
            if time.monotonicNanos() >= spareFileNanos, !shard.prepareSpareFile() {
                spareFileNanos = time.monotonicNanos() + 10_000_000_000
            }
            while !maintenance.isCancelled, fold(shard) > 0 {}
        }
    }

    /// One step over every collection; returns the rows that were linked.
    private func fold(_ shard: Shard) -> Int {
        var inserted = 0
        for collection in catalog.all {
            let rows = collection.shard(shard.index)
            let view = rows.view(seq: shard.published, nowMillis: .min)
            for entry in view.root.vectors {
                inserted += entry.value.foldStep(
                    rowsMax: Self.foldStepRows, visibility: view.visibility,
                    cancellation: maintenance)
            }
        }
        shard.graphRowsInserted.add(inserted, ordering: .relaxed)
        return inserted
    }
}
