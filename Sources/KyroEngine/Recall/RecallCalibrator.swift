// The process that measures the recall of searches: a few queries at a time are answered exactly, and
// then searched for with more and more candidates kept.
//
// It works in pieces of a few milliseconds and rests as long after each, with background priority; it
// takes what memory the budget leaves, and lets go of it behind every batch.
import KyroIndex
import KyroModel
import KyroPlatform

/// `@unchecked Sendable`: touched in the process's turns alone, but for `gate`.
final class RecallCalibrator: @unchecked Sendable {
    private unowned let engine: Engine
    private let gate: Gate
    private let pauseNanos: UInt64
    private let weights: RecallWeights
    private var batch: CalibrationBatch?
    private var scratch = VectorScratch()
    /// No further batch before, since there was no memory.
    private var retryNanos: UInt64 = 0

    private static let retryWaitNanos: UInt64 = 1_000_000_000

    /// - Parameters:
    ///   - gate: opened when there may be something to measure, and at the end.
    ///   - pauseMillis: between two pieces.
    init(_ engine: Engine, gate: Gate, pauseMillis: Int) {
        self.engine = engine
        self.gate = gate
        weights = RecallWeights(shardCount: engine.shards.count)
        pauseNanos = UInt64(max(0, pauseMillis)) * 1_000_000
    }

    func turn(mayWait: Bool) -> Turn {
        if engine.maintenance.isCancelled { return .finished }
        if let batch {
            if mayWait, pauseNanos > 0 { _ = gate.wait(timeoutNanos: pauseNanos) }
            step(batch)
            return .again
        }
        batch = engine.isServing ? nextBatch() : nil
        if batch != nil { return .again }
        if mayWait { _ = gate.wait(timeoutNanos: 1_000_000_000) }
        return .idle
    }

    private func step(_ current: CalibrationBatch) {
        do throws(KyroError) {
            if current.collection.isDropped {
                batch = nil
            } else if try current.step(&scratch, cancellation: engine.maintenance) {
                if let model = current.recall.calibration.add(current.trials) {
                    current.recall.publish(model)
                }
                batch = nil
            }
        } catch {
            // Cancelled: the engine stops.
            batch = nil
        }
        if batch == nil { scratch = VectorScratch() }
    }

    private func nextBatch() -> CalibrationBatch? {
        let now = engine.time.monotonicNanos()
        guard now >= retryNanos else { return nil }
        for collection in engine.catalog.all where !collection.isDropped {
            for field in collection.recall.all {
                for shard in engine.shards where shard.state == .serving {
                    if let batch = nextBatch(collection, field, shard, now) { return batch }
                }
            }
        }
        return nil
    }

    private func nextBatch(
        _ collection: Collection, _ field: FieldRecall, _ shard: Shard, _ now: UInt64
    ) -> CalibrationBatch? {
        let published = shard.published
        let part = collection.shard(shard.index)
        let view = part.view(seq: published, nowMillis: engine.expiry.nowMillis())
        // What is scanned in full misses nothing.
        guard let index = view.root.vectors[field.name], index.isApproximate else { return nil }
        let recall = field.shards[shard.index]
        let state = ShardCalibration.State(
            index: ObjectIdentifier(index), slotCount: view.visibility.slotCount,
            liveCount: part.liveCount, depths: field.depths)
        let queries = recall.calibration.next(state, field, nowNanos: now) { count, seed in
            // What cannot be read now is told to the searches that need it, and tried again later.
            (try? index.ownQueries(count: count, seed: seed, visibility: view.visibility)) ?? []
        }
        guard !queries.isEmpty else { return nil }
        let hits = field.depths.contains(.deep) ? RecallGrid.depths[1] : RecallGrid.depths[0]
        let needed = ExactBatch.byteCount(index, queryCount: queries.count, k: hits)
        guard engine.budget.hasRoom(for: needed) else {
            recall.calibration.giveBack(queries)
            retryNanos = now + Self.retryWaitNanos
            return nil
        }
        return CalibrationBatch(
            collection: collection, recall: recall, view: view, index: index, queries: queries,
            depths: field.depths, weights: weights, k: hits)
    }
}

/// Queries that are being measured. Its rows are those of one moment, however long it takes.
///
/// `@unchecked Sendable`: touched in the calibration's turns alone.
final class CalibrationBatch: @unchecked Sendable {
    let collection: Collection
    let recall: ShardRecall
    private let view: CollectionView
    private let index: VectorIndex
    private let queries: [ShardCalibration.Query]
    private let depths: RecallDepths
    private let weights: RecallWeights
    private var exact: ExactBatch
    private var truth: [[Float]]?
    private(set) var trials: [(trial: RecallTrial, isLive: Bool)] = []

    /// Components of rows compared in a piece: about 3 ms.
    private static let componentsMax = 48 << 20
    /// Of so many queries one is also searched for by a scan of the codes.
    private static let scanEvery = 4

    init(
        collection: Collection, recall: ShardRecall, view: CollectionView, index: VectorIndex,
        queries: [ShardCalibration.Query], depths: RecallDepths, weights: RecallWeights, k: Int
    ) {
        self.collection = collection
        self.recall = recall
        self.view = view
        self.index = index
        self.queries = queries
        self.depths = depths
        self.weights = weights
        exact = ExactBatch(
            index, queries: queries.map(\.vector), k: k, visibility: view.visibility,
            order: view.shard.rows)
    }

    /// A piece: some rows compared with all queries, or one query searched for; true at the end.
    func step(
        _ scratch: inout VectorScratch, cancellation: Cancellation
    ) throws(KyroError) -> Bool {
        guard let truth else {
            let distancesMax = Self.componentsMax / index.field.dimension
            if try exact.step(distancesMax: distancesMax, cancellation: cancellation) {
                truth = exact.drainScores()
            }
            return false
        }
        let number = trials.count
        let trial = try index.recallTrial(
            queries[number].vector, truth: truth[number], depths: depths, weights: weights,
            measuresScan: number % Self.scanEvery == 0, visibility: view.visibility,
            order: view.shard.rows, scratch: &scratch, cancellation: cancellation)
        trials.append((trial, queries[number].isLive))
        return trials.count == queries.count
    }
}
