// How a shard's maintenance process asks for graphs that are built at once, and takes them.
import KyroIndex
import KyroModel
import KyroPlatform

extension Engine {
    /// After an attempt that failed: until then rows are inserted one by one.
    private static let bulkRetryNanos: UInt64 = 60_000_000_000

    /// Puts what was built into its place; whether something came to its end.
    func bulkStep(_ shard: Shard, _ process: FoldingProcess) -> Bool {
        process.releaseReplaced()
        guard !process.bulks.isEmpty else { return false }
        var open: [BulkJob] = []
        for job in process.bulks {
            if job.collection.isDropped || job.collection.shard(shard.index) !== job.part
                || job.part.agreement() == .outdated
            {
                // Nobody would see it.
                job.cancel()
                continue
            }
            switch job.outcome {
            case .open: open.append(job)
            case .failed: process.bulkNanos = time.monotonicNanos() + Self.bulkRetryNanos
            case .built(let successor):
                let rowCount = successor.graphCount - job.index.graphCount
                if job.part.replaceVectors(job.name, job.index, by: successor) {
                    shard.graphRowsInserted.add(rowCount, ordering: .relaxed)
                    process.replaced.append(job.index)
                }
            }
        }
        let hasEnded = open.count < process.bulks.count
        process.bulks = open
        if hasEnded { process.foldedSeq = nil }
        return hasEnded
    }

    /// Whether the rows of an index are to be left alone, since its graph is being built or is from
    /// now on.
    func isBuiltAtOnce(
        _ index: VectorIndex, _ name: String, of collection: Collection, _ view: CollectionView,
        _ shard: Shard, _ process: FoldingProcess
    ) -> Bool {
        if process.bulks.contains(where: { $0.index === index }) { return true }
        guard process.rebuild?.collection !== collection, view.shard.agreement() != .outdated,
            bulkBuilds.isWanted(for: index, view.visibility),
            time.monotonicNanos() >= process.bulkNanos
        else { return false }
        let job = BulkJob(collection, view.shard, name, index, gate: shard.foldGate)
        process.bulks.append(job)
        bulkBuilds.add(job)
        return true
    }
}

extension CollectionShard {
    /// An index of the same rows takes the place of another; false when that is not there any more.
    /// Maintenance process only. Who found the other reads on in it.
    func replaceVectors(
        _ name: String, _ index: VectorIndex, by successor: VectorIndex
    ) -> Bool {
        root.withLock { root in
            guard root.vectors[name] === index else { return false }
            var vectors = root.vectors
            vectors[name] = successor
            root = IndexRoot(
                ids: root.ids, vectors: vectors, sparse: root.sparse, texts: root.texts)
            return true
        }
    }
}

extension FoldingProcess {
    /// Frees the graphs that were replaced and that no reader has any more. Freeing takes long: not
    /// on a thread that somebody waits for.
    func releaseReplaced() {
        guard !replaced.isEmpty else { return }
        var kept: [VectorIndex] = []
        while var index = replaced.popLast() {
            if !isKnownUniquelyReferenced(&index) { kept.append(index) }
        }
        replaced = kept
    }
}
