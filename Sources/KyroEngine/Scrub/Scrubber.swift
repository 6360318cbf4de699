// The scrub: what the disk holds is read again and again at a bounded rate, so that damage is found
// while memory still has what it took, and not at the next start.
import KyroModel
import KyroPlatform
import KyroStore
import Synchronization

/// One process for all shards, round after round. What it finds is told, listed in the status, and
/// healed by new snapshots of the shard: then neither generation, nor the log behind the older one,
/// is in a damaged file.
///
/// `@unchecked Sendable`: the plain fields are touched in the process's turns alone.
final class Scrubber: @unchecked Sendable {
    private let engine: Engine
    private let bytesPerSecond: UInt64
    private let pauseNanos: UInt64
    private var shard = 0
    private var isInRound = false
    private var work: [(source: any ScrubSource, place: ScrubFinding.Place)] = []
    /// Keeps the segments that are to be read.
    private var hold: LogHold?
    private var nextNanos: UInt64 = 0
    private let healing = Atomic<Bool>(false)
    private var retryNanos: UInt64 = 0

    private static let retryPauseNanos: UInt64 = 60_000_000_000

    init(_ engine: Engine, bytesPerSecond: Int, pauseMillis: Int64) {
        self.engine = engine
        self.bytesPerSecond = UInt64(bytesPerSecond)
        pauseNanos = UInt64(pauseMillis) * 1_000_000
    }

    func turn(mayWait: Bool) -> Turn {
        if engine.maintenance.isCancelled {
            hold = nil
            return .finished
        }
        let now = engine.time.monotonicNanos()
        guard engine.isServing, now >= nextNanos else {
            if mayWait {
                let rest = engine.isServing ? nextNanos - now : 100_000_000
                _ = engine.scrubGate.wait(timeoutNanos: min(rest, 1_000_000_000))
            }
            return .idle
        }
        heal(nowNanos: now)
        step(nowNanos: now)
        return .again
    }

    // MARK: Reading

    private func step(nowNanos now: UInt64) {
        if !isInRound {
            isInRound = true
            shard = 0
            begin(engine.shards[0])
        }
        guard !work.isEmpty else { return endShard(nowNanos: now) }
        let current = engine.shards[shard]
        let read: Int
        switch work[0].source.step() {
        case .whole(let byteCount): read = byteCount
        case .damaged(let byteCount, let offset, let finding):
            read = byteCount
            note(
                ScrubFinding(
                    place: work[0].place, path: work[0].source.path, offset: offset,
                    finding: finding), in: current)
        case .finished:
            if case .log(let end) = work[0].place { hold?.move(to: end) }
            work.removeFirst()
            return
        }
        current.scrub.withLock { $0.bytes += UInt64(read) }
        nextNanos = max(now, nextNanos) + UInt64(read) * 1_000_000_000 / bytesPerSecond
    }

    /// Snapshots first: what they hold is older than what the log holds.
    private func begin(_ shard: Shard) {
        shard.scrub.withLock { $0.bytes = 0 }
        guard shard.state != .stopped, let log = shard.openedLog else { return }
        let directory = engine.directory.shardPath(shard.index)
        let identity = engine.directory.identity(ofShard: shard.index)
        let manifest = engine.directory.manifest.shards[shard.index]
        for reference in [manifest.snapshot, manifest.previousSnapshot] {
            guard let reference else { continue }
            work.append(
                (
                    SnapshotScrub(
                        directory: directory, fileSystem: engine.files, identity: identity,
                        reference: reference), .snapshot(reference.fileName)
                ))
        }
        let first = log.firstLSN
        hold = log.hold(from: first)
        guard hold != nil else { return }
        let segments =
            (try? SegmentScrub.closed(
                directory: directory, fileSystem: engine.files, identity: identity, from: first
            ) { path, finding in
                note(
                    ScrubFinding(
                        place: .log(end: log.currentLSN), path: path, offset: 0, finding: finding),
                    in: shard)
            }) ?? []
        for segment in segments { work.append((segment, .log(end: segment.end))) }
    }

    private func endShard(nowNanos now: UInt64) {
        hold = nil
        let millis = engine.expiry.nowMillis()
        engine.shards[shard].scrub.withLock { state in
            state.roundEndMillis = millis
            state.roundBytes = state.bytes
            state.rounds += 1
        }
        shard += 1
        if shard < engine.shards.count { return begin(engine.shards[shard]) }
        isInRound = false
        nextNanos = max(now, nextNanos) + pauseNanos
    }

    private func note(_ finding: ScrubFinding, in shard: Shard) {
        // A file that was replaced meanwhile has nothing to say.
        guard !engine.isReplaced(finding.place, in: shard),
            shard.scrub.withLock({ $0.add(finding) })
        else { return }
        engine.notice(
            "shard \(shard.index): \(finding.path) is damaged at offset \(finding.offset): "
                + "\(finding.finding); what it held is in memory, and new snapshots follow")
    }

    // MARK: Healing

    private func heal(nowNanos now: UInt64) {
        for shard in engine.shards where shard.scrub.withLock({ $0.hasOpenFindings }) {
            if markHealed(shard) { continue }
            guard shard.state == .serving, now >= retryNanos,
                healing.compareExchange(
                    expected: false, desired: true, ordering: .sequentiallyConsistent
                ).exchanged
            else { continue }
            retryNanos = now + Self.retryPauseNanos
            // The segments to be given up must not be held for their own sake.
            work.removeAll { if case .log = $0.place { true } else { false } }
            hold = nil
            engine.renewSnapshots(of: shard) { [self] error in
                if let error {
                    engine.notice(
                        "shard \(shard.index): damage is not healed yet, since no snapshot could be "
                            + "taken: \(error.message)")
                }
                healing.store(false, ordering: .sequentiallyConsistent)
                engine.scrubGate.open()
            }
        }
    }

    /// - Returns: true when nothing is left to heal.
    private func markHealed(_ shard: Shard) -> Bool {
        for finding in shard.scrub.withLock({ $0.findings }) where !finding.isHealed {
            guard engine.isReplaced(finding.place, in: shard) else { continue }
            shard.scrub.withLock { state in
                for index in state.findings.indices
                where state.findings[index].path == finding.path
                    && state.findings[index].offset == finding.offset
                {
                    state.findings[index].isHealed = true
                }
            }
            engine.notice(
                "shard \(shard.index): healed: new snapshots stand in for \(finding.path); check the "
                    + "disk")
        }
        return !shard.scrub.withLock { $0.hasOpenFindings }
    }
}

extension Engine {
    /// New snapshots of a shard until nothing rests on a damaged file: one where either snapshot is
    /// damaged, or log that only the older one needs; two where the log behind both is.
    func renewSnapshots(
        of shard: Shard, attemptsLeft: Int = 2,
        _ completion: @escaping @Sendable (KyroError?) -> Void
    ) {
        keepSoundSnapshot(of: shard)
        let command = ShardCommand.advance { [self] result in
            if case .failure(let error) = result { return completion(error) }
            SnapshotJob(engine: self, shard: shard).start { [self] result in
                if case .failure(let error) = result { return completion(error) }
                let isOpen = shard.scrub.withLock { $0.findings }.contains {
                    !$0.isHealed && !isReplaced($0.place, in: shard)
                }
                guard isOpen, attemptsLeft > 1 else { return completion(nil) }
                renewSnapshots(of: shard, attemptsLeft: attemptsLeft - 1, completion)
            }
        }
        guard case .accepted = shard.queue.push(command, weight: 0, ignoresBound: true) else {
            return completion(KyroError(.draining, "the server is stopping"))
        }
    }

    /// The next snapshot's elder must not be a damaged one when the other is sound.
    private func keepSoundSnapshot(of shard: Shard) {
        let manifest = directory.manifest.shards[shard.index]
        let damaged = shard.scrub.withLock { $0.findings }.filter { !$0.isHealed }.map(\.place)
        guard let latest = manifest.snapshot, damaged.contains(.snapshot(latest.fileName)) else {
            return
        }
        if let older = manifest.previousSnapshot, damaged.contains(.snapshot(older.fileName)) {
            return
        }
        shard.updateLog { $0.base = manifest.previousSnapshot }
    }

    /// Whether nothing rests on the damaged place any more.
    func isReplaced(_ place: ScrubFinding.Place, in shard: Shard) -> Bool {
        let manifest = directory.manifest.shards[shard.index]
        switch place {
        case .snapshot(let name):
            return manifest.snapshot?.fileName != name
                && manifest.previousSnapshot?.fileName != name
        case .log(let end): return manifest.truncationLSN >= end
        }
    }
}
