// Growing the graphs and the inverted lists: live tails are folded in and dead rows taken out, a few
// at a time.
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore

extension Engine {
    /// Rows between two looks at what else there is to do.
    package static let foldStepRows = 256
    package static let repairStepRows = 128

    /// A step of a shard's maintenance process: the only one that writes graph links and lists.
    func foldingTurn(of shard: Shard, _ process: FoldingProcess, mayWait: Bool) -> Turn {
        if maintenance.isCancelled { return .finished }
        if mayWait, !process.hasMore {
            _ = shard.foldGate.wait(timeoutNanos: 1_000_000_000)
        }
        process.hasMore = false
        if let resources = process.resources { maintainResources(resources) }
        guard isServing, shard.state != .stopped else { return .idle }
        if time.monotonicNanos() >= process.spareFileNanos, !shard.prepareSpareFile() {
            process.spareFileNanos = time.monotonicNanos() + 10_000_000_000
        }
        let hasBuilt = bulkStep(shard, process)
        let hasFolded = fold(shard, process)
        let hasRebuilt = rebuildStep(shard, process)
        process.hasMore = hasBuilt || hasFolded || hasRebuilt
        if !process.hasMore, !process.isAwaitingGraph { takeSnapshotIfNeeded(of: shard) }
        return process.hasMore ? .again : .idle
    }

    /// One step over every collection; whether rows were linked or taken out, or are going to be by
    /// somebody else. Where a rebuild is under way it has most of the time: what is linked now may be
    /// dropped or carried over then. Nobody is taken out of what it carries over.
    private func fold(_ shard: Shard, _ process: FoldingProcess) -> Bool {
        let published = shard.published
        let rebuilding = process.rebuild?.collection
        let now = time.monotonicNanos()
        if rebuilding == nil, process.foldedSeq == published, now < process.foldNanos {
            return false
        }
        let deadUpTo = process.ripe.now(
            shard, nanos: now, graceMillis: configuration.repairGraceMillis)
        var (inserted, removed) = (0, 0)
        var isTraining = false
        let buildCount = process.bulks.count
        for collection in catalog.all {
            let rowsMax = Self.foldStepRows / (collection === rebuilding ? 4 : 1)
            let rows = collection.shard(shard.index)
            let view = rows.view(seq: published, nowMillis: .min)
            let deadCount = rows.deadCount
            for entry in view.root.vectors {
                if isBuiltAtOnce(entry.value, entry.name, of: collection, view, shard, process) {
                    continue
                }
                inserted += entry.value.foldStep(
                    rowsMax: rowsMax, visibility: view.visibility, deadUpTo: deadUpTo.raw,
                    cancellation: maintenance)
                isTraining = isTraining || entry.value.isTraining
                if collection === rebuilding { continue }
                removed += entry.value.repairStep(
                    rowsMax: Self.repairStepRows, deadUpTo: deadUpTo.raw, deadCount: deadCount,
                    visibility: view.visibility, cancellation: maintenance)
            }
        }
        shard.graphRowsInserted.add(inserted, ordering: .relaxed)
        let isDone = inserted + removed == 0 && !isTraining
        process.foldedSeq = isDone && rebuilding == nil ? published : nil
        process.foldNanos = now + 1_000_000_000
        return !isDone || process.bulks.count > buildCount
    }
}

/// What a folding process remembers between two turns.
///
/// `@unchecked Sendable`: touched in the process's turns alone.
final class FoldingProcess: @unchecked Sendable {
    /// For the one process that looks after memory and disk too.
    let resources: ResourceMaintenance?
    /// The last step did not reach the end of the tails.
    var hasMore = false
    /// At this sequence no tail had anything to fold in; looked at again at `foldNanos` all the same,
    /// since there may have been no memory for it. Parts change hands only through a rebuild.
    var foldedSeq: Sequence?
    var foldNanos: UInt64 = 0
    /// On a full disk the next attempt at a spare file waits until then.
    var spareFileNanos: UInt64 = 0
    /// Up to where the dead are taken out of graphs.
    var ripe = RipeSequence()
    var rebuild: Rebuild?
    /// Graphs that are built at once, of parts that are in use.
    var bulks: [BulkJob] = []
    /// No further one before.
    var bulkNanos: UInt64 = 0
    /// Indexes that others took the place of, until their last reader has gone.
    var replaced: [VectorIndex] = []
    /// No rebuild before; and no look for expired documents before.
    var rebuildNanos: UInt64 = 0
    var expiryNanos: UInt64 = 0

    init(resources: ResourceMaintenance?) { self.resources = resources }

    var isAwaitingGraph: Bool { !bulks.isEmpty || rebuild?.isAwaitingGraph ?? false }
}
