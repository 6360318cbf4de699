// When parts are rebuilt, and how a shard's maintenance process goes about it.
import KyroModel
import KyroPlatform

extension Engine {
    /// One step of the shard's rebuild, or the beginning of one; false when there is nothing to do.
    func rebuildStep(_ shard: Shard, _ process: FoldingProcess) -> Bool {
        let hasReleased = shard.releaseRetired()
        guard let rebuild = process.rebuild ?? nextRebuild(shard, process) else {
            return hasReleased
        }
        process.rebuild = rebuild
        switch rebuild.state.load(ordering: .acquiring) {
        case .building:
            if rebuild.isAwaitingGraph, !rebuild.collection.isDropped, !rebuild.isOutdated {
                return hasReleased
            }
            step(rebuild, shard, process)
            shard.reportRebuild(rowsLeft: rebuild.remaining, bytes: rebuild.residentBytes)
            return true
        case .finishing:
            shard.reportRebuild(rowsLeft: rebuild.remaining, bytes: rebuild.residentBytes)
            return false
        case .installed, .abandoned:
            process.rebuild = nil
            shard.reportRebuild(rowsLeft: 0, bytes: 0)
            return true
        }
    }

    /// Steps for about ten milliseconds. Folding gets a smaller part of the time meanwhile: a rebuild
    /// that is slower than the writers gets longer and longer.
    private func step(_ rebuild: Rebuild, _ shard: Shard, _ process: FoldingProcess) {
        if rebuild.collection.isDropped || rebuild.isOutdated { return rebuild.abandon() }
        let endNanos = time.monotonicNanos() + Self.rebuildTurnNanos
        do throws(KyroError) {
            // Copying grows what cannot be told that there is no memory.
            if !budget.hasRoom(for: 0) { throw budget.refusal(queuedBytes: queuedBytes) }
            var isNearlyDone = false
            for _ in 0..<Self.rebuildStepsMax {
                let now = time.monotonicNanos()
                if isNearlyDone || now >= endNanos || maintenance.isCancelled { break }
                if rebuild.isAwaitingGraph { break }
                let moment = Rebuild.Moment(
                    shard, rebuild.collection, commitTimes, nanos: now,
                    nowMillis: expiry.nowMillis())
                isNearlyDone = try rebuild.step(moment, cancellation: maintenance)
            }
            guard isNearlyDone else { return }
            rebuild.state.store(.finishing, ordering: .releasing)
            let result = shard.queue.push(.finish(rebuild), weight: 0, ignoresBound: true)
            if case .accepted = result { return }
            rebuild.abandon()
        } catch {
            rebuild.abandon()
            process.rebuildNanos = time.monotonicNanos() + Self.rebuildRetryNanos
            notice(
                "shard \(shard.index): a rebuild of collection "
                    + "\"\(rebuild.collection.scope.namespace)\" failed: \(error.message)")
        }
    }

    /// Memory that rebuilds hold beyond the collections' own, and about what dead rows take, which a
    /// rebuild gives back. As of the last step of the shards' maintenance; any thread.
    public var rebuildMemory: (held: Int, dead: Int) {
        shards.reduce((0, 0)) { sum, shard in
            (sum.0 + shard.heldBytes, sum.1 + shard.deadBytes.load(ordering: .relaxed))
        }
    }

    private static let rebuildTurnNanos: UInt64 = 10_000_000
    private static let rebuildStepsMax = 16

    /// After a rebuild that failed; the documents it stumbled over will still be there.
    private static let rebuildRetryNanos: UInt64 = 60_000_000_000

    private func nextRebuild(_ shard: Shard, _ process: FoldingProcess) -> Rebuild? {
        let now = time.monotonicNanos()
        guard now >= process.rebuildNanos else { return nil }
        let looksForExpired = now >= process.expiryNanos
        if looksForExpired { process.expiryNanos = now + Self.expiryLookNanos }
        var deadBytes = 0
        var chosen: Collection?
        for collection in catalog.all where !collection.isDropped {
            let part = collection.shard(shard.index)
            let dead = part.deadCount
            if dead > 0 { deadBytes += part.residentBytes / part.slotCount * dead }
            // A graph that is nearly there is carried over in a fraction of the time.
            let isBuilding = process.bulks.contains { $0.part === part }
            let agreement = part.agreement()
            if agreement == .searchesDiffer, !isBuilding { part.adoptSearchDefaults() }
            if chosen != nil { continue }
            let isUrgent = agreement == .outdated || part.isMissingAnything
            let isWorthwhile = isWorthwhile(part, of: collection, looksForExpired: looksForExpired)
            if isUrgent || !isBuilding && isWorthwhile {
                chosen = collection
            }
        }
        shard.deadBytes.store(deadBytes, ordering: .relaxed)
        guard let chosen else { return nil }
        let part = chosen.shard(shard.index)
        // The old part lives on until the new one is whole.
        let needed = part.residentBytes / max(1, part.slotCount) * part.liveCount
        guard budget.hasRoom(for: needed) else {
            process.rebuildNanos = now + Self.rebuildRoomNanos
            return nil
        }
        return Rebuild(chosen, part, bulkBuilds, gate: shard.foldGate)
    }

    /// Between two looks whether there is room for a rebuild by now.
    private static let rebuildRoomNanos: UInt64 = 1_000_000_000

    /// Counting those that have expired reads a column of eight bytes a row.
    private static let expiryLookNanos: UInt64 = 10_000_000_000

    /// Whether enough is dead or has expired, or codes no longer fit.
    private func isWorthwhile(
        _ part: CollectionShard, of collection: Collection, looksForExpired: Bool
    ) -> Bool {
        if looksForExpired, part.hasOutwornCodes { return true }
        var dead = part.deadCount - part.keptDeadCount
        if part.fields.retentionMillis > 0 {
            // Those that are kept for now are dropped when their time has come, and not copied until
            // there is something to drop.
            guard looksForExpired else { return false }
            dead = droppableCount(part, of: collection)
        }
        if looksForExpired, part.expiringCount > 0 { dead += expiredCount(part) }
        let living = part.liveCount
        return dead > configuration.rebuildDeadRowsMin
            && dead > living * configuration.rebuildDeadPercent / 100
    }

    private func droppableCount(_ part: CollectionShard, of collection: Collection) -> Int {
        let floor =
            collection.retained(commitTimes, nowMillis: expiry.nowMillis())
            ?? shards[part.shard].published
        var count = 0
        for slot in 0..<part.slotCount {
            let died = part.rows.died.load(slot)
            if died != 0, died <= floor.raw { count += 1 }
        }
        return count
    }

    private func expiredCount(_ part: CollectionShard) -> Int {
        let expired = expiry.nowMillis() - Rebuild.expiryGraceMillis
        var count = 0
        for slot in 0..<part.slotCount
        where part.rows.expiresAt[slot] <= expired && part.rows.died.load(slot) == 0 {
            count += 1
        }
        return count
    }
}

extension Shard {
    /// Parts that were replaced, until their last reader has gone. Freeing gigabytes takes long: not
    /// on a thread that somebody waits for.
    func retire(_ part: CollectionShard) { retired.withLock { $0.append(part) } }

    /// Maintenance process only; whether something was freed.
    func releaseRetired() -> Bool {
        var waiting = retired.withLock { parts in
            let taken = parts
            parts = []
            return taken
        }
        guard !waiting.isEmpty else { return false }
        var kept: [CollectionShard] = []
        var bytes = 0
        while var part = waiting.popLast() {
            // No new reader can come: only those that hold it already.
            if isKnownUniquelyReferenced(&part) { continue }
            bytes += part.residentBytes
            kept.append(part)
        }
        let count = kept.count
        retiredBytes.store(bytes, ordering: .relaxed)
        retired.withLock { $0 += kept }
        return count == 0
    }

    /// Memory that a rebuild has taken, and that readers of replaced parts still hold. Any thread.
    var heldBytes: Int {
        rebuildBytes.load(ordering: .relaxed) + retiredBytes.load(ordering: .relaxed)
    }

    func reportRebuild(rowsLeft: Int, bytes: Int) {
        rebuildRowsLeft.store(rowsLeft, ordering: .relaxed)
        rebuildBytes.store(bytes, ordering: .relaxed)
    }
}
