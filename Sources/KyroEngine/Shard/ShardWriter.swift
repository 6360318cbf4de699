// The one thread that changes a shard: queue → log → sync → indexes → publish → acknowledge.
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore

/// Owns a shard's log and applies its mutations. Everything here runs on the shard's writer thread.
///
/// A group is what waits in the queue: it becomes one batch of the log and one sync, whichever
/// callers it came from. Nothing is applied before the log has it, and nothing is acknowledged
/// before readers see it, so an acknowledged write is found by the very next read.
final class ShardWriter {
    let shard: Shard
    let log: ShardLog
    private let clock: SequenceClock
    private let commitTimes: Locked<CommitTimes>
    /// Of collections that have none of their own.
    private let durability: Durability
    private let groupBytesMax: Int
    private let time: any Clock
    private let expiry: ExpiryClock
    private let notice: @Sendable (String) -> Void
    /// Called after each group with what the log has grown to.
    private let onGroup: (ShardWriter) -> Void
    /// Called when there is no memory for a group; returns what its callers are told.
    private let refuseMemory: () -> KyroError

    private var collections: [CollectionID: Collection]
    private var producers: [ProducerKey: UInt64]
    /// Batches that this shard could not log.
    private var gaps: [ProducerKey: UInt64] = [:]
    private var linger: CommitLinger
    /// What the sync of the group in hand took.
    private var groupSyncNanos: UInt64?
    /// Whether something is written and not yet durable.
    private var isDirty = false
    /// When the first promise of what is not yet durable falls due.
    private var syncDueNanos: UInt64?
    /// The last group found no room.
    private var isShort = false

    init(
        shard: Shard, log: ShardLog, engine: Engine, producers: [ProducerKey: UInt64],
        onGroup: @escaping (ShardWriter) -> Void, refuseMemory: @escaping () -> KyroError
    ) {
        self.shard = shard
        self.log = log
        clock = engine.clock
        commitTimes = engine.commitTimes
        durability = engine.configuration.fsync
        groupBytesMax = engine.configuration.groupBytesMax
        linger = CommitLinger(nanosMax: UInt64(engine.configuration.commitLingerMicros) * 1_000)
        time = engine.time
        expiry = engine.expiry
        notice = engine.notice
        self.producers = producers
        self.onGroup = onGroup
        self.refuseMemory = refuseMemory
        collections = engine.catalog.byID
    }

    /// One group of what waits; finished when the queue is closed and empty, with the log sealed.
    func turn(mayWait: Bool) -> Turn {
        var commands = shard.queue.popAll(
            weightLimit: groupBytesMax, timeoutMillis: mayWait ? syncTimeoutMillis : 0)
        if commands.isEmpty, shard.queue.isDrained {
            seal()
            return .finished
        }
        if mayWait { waitForMore(&commands) }
        process(commands)
        syncIfDue()
        return commands.isEmpty ? .idle : .again
    }

    /// Lets the callers of the last group come along, where a sync lies ahead that they can share.
    private func waitForMore(_ commands: inout [ShardCommand]) {
        let missing = linger.missing(after: commands.count)
        guard missing > 0 else { return }
        var isSyncAhead = false
        for command in commands {
            guard case .write(let write) = command else { return }
            if durability(of: write.collection) == .always { isSyncAhead = true }
        }
        guard isSyncAhead else { return }
        shard.queue.wait(forDepth: missing, timeoutNanos: linger.waitNanos)
        commands += shard.queue.popAll(weightLimit: groupBytesMax, timeoutMillis: 0)
    }

    private func process(_ commands: [ShardCommand]) {
        var writes: [WriteCommand] = []
        for command in commands {
            if case .write(let write) = command {
                writes.append(write)
                continue
            }
            commit(writes)
            writes.removeAll()
            perform(command)
        }
        commit(writes)
    }

    private func perform(_ command: ShardCommand) {
        switch command {
        case .write: return
        case .drop(let collection):
            collections[collection.id] = nil
            producers = producers.filter { $0.key.collection != collection.id }
            gaps = gaps.filter { $0.key.collection != collection.id }
        case .flush(let completion):
            do {
                try sync()
                completion(.success(()))
            } catch {
                completion(.failure(error))
            }
        case .mark(let body):
            // What the manifest names must be durable first.
            do throws(KyroError) {
                try sync()
                for collection in collections.values {
                    try collection.shard(shard.index).requireWhole()
                }
                body(.success(mark()))
            } catch {
                body(.failure(error))
            }
        case .finish(let rebuild): finish(rebuild)
        case .advance(let completion):
            do throws(KyroError) {
                try advance()
                completion(.success(()))
            } catch {
                completion(.failure(error))
            }
        case .releaseLog(let lsn):
            do {
                try log.truncate(before: lsn)
            } catch {
                // The log only stays longer than it must; the next snapshot tries again.
                notice("shard \(shard.index): old log files were not removed: \(error)")
            }
            reportLog()
        case .setTime:
            do {
                try log.setTime(wallMillis: expiry.nowMillis())
            } catch {
                if error.isShortage {
                    notice("shard \(shard.index): the accepted time was not logged: \(error)")
                } else {
                    _ = becomeReadOnly(error)
                }
            }
        case .producerSequence(let key, let completion):
            // The producer learns here what it has to send again; a gap it leaves is its own choice.
            gaps[key] = nil
            completion(producers[key] ?? 0)
        }
    }

    /// Brings a rebuilt part nearer to the living one, and puts it into its place when it is there;
    /// else once more behind what waits by then.
    private func finish(_ rebuild: Rebuild) {
        let collection = rebuild.collection
        if collection.isDropped { return rebuild.abandon() }
        do throws(KyroError) {
            let moment = Rebuild.Moment(
                shard, collection, commitTimes, nanos: time.monotonicNanos(),
                nowMillis: expiry.nowMillis())
            if try rebuild.finishStep(moment) {
                rebuild.old.endRebuild()
                collection.install(rebuild.new, at: shard.index)
                shard.retire(rebuild.old)
                shard.rebuilds.add(1, ordering: .relaxed)
                rebuild.state.store(.installed, ordering: .releasing)
                shard.wantSnapshot(of: rebuild.new, insteadOf: rebuild.old)
                shard.foldGate.open()
                return
            }
            let command = ShardCommand.finish(rebuild)
            if case .accepted = shard.queue.push(command, weight: 0, ignoresBound: true) { return }
        } catch {
            shard.foldGate.open()
        }
        rebuild.abandon()
    }

    private func advance() throws(KyroError) {
        if let refusal = shard.refusal { throw refusal }
        clock.beginGroup(shard: shard.index)
        defer { clock.endGroup(shard: shard.index) }
        let record = LogRecord(
            collection: CollectionID(0), schemaVersion: 0, seq: clock.next(), operation: .mark)
        var group = Group()
        group.records = [record]
        group.needsSync = true
        try append(group)
        shard.publish(record.seq)
        if !isDirty { shard.setDurable(record.seq) }
    }

    private func mark() -> SnapshotMark {
        SnapshotMark(
            seq: shard.published, lsn: log.currentLSN,
            collections: collections.values.sorted { $0.id < $1.id }.map { collection in
                let rows = collection.shard(shard.index)
                return SnapshotMark.CollectionRows(
                    rows: rows, root: rows.currentRoot, slotCount: rows.slotCount)
            }, producers: producers, hold: RepairHold(shard, at: shard.published))
    }

    // MARK: Group commit

    /// Commits in groups that end between two commands once they hold `groupBytesMax`: what a
    /// command writes can be more than what it took in the queue, since an update logs its document.
    private func commit(_ commands: [WriteCommand]) {
        var rest = commands[...]
        while !rest.isEmpty {
            if let refusal = shard.refusal {
                for command in rest { fail(command, refusal) }
                return
            }
            rest = rest.dropFirst(commitGroup(of: rest))
        }
    }

    /// - Returns: how many of the commands the group took, at least one.
    private func commitGroup(of waiting: ArraySlice<WriteCommand>) -> Int {
        clock.beginGroup(shard: shard.index)
        var group = Group()
        for command in waiting {
            if group.byteCount >= groupBytesMax { break }
            prepare(command, &group)
        }
        let commands = waiting.prefix(group.outcomes.count)
        do throws(KyroError) {
            if !group.records.isEmpty {
                try reserve(for: group.records)
                try append(group)
            }
        } catch {
            clock.endGroup(shard: shard.index)
            if error.reason == KyroError.Reason.outOfMemory.rawValue, commitRemovals(of: commands) {
                for command in commands where !command.isRemoval {
                    rememberGap(command)
                    fail(command, error)
                }
                return commands.count
            }
            for command in commands {
                rememberGap(command)
                fail(command, error)
            }
            return commands.count
        }
        apply(group)
        clock.endGroup(shard: shard.index)
        for (key, sequence) in group.producers {
            producers[key] = sequence
            if gaps[key] == sequence { gaps[key] = nil }
        }
        linger.groupEnds(
            commandCount: commands.count,
            waiting: waiting.count - commands.count + shard.queue.depth,
            syncNanos: groupSyncNanos)
        for (command, outcomes) in zip(commands, group.outcomes) {
            command.ticket.complete(outcomes)
        }
        if !group.records.isEmpty { shard.foldGate.open() }
        onGroup(self)
        return commands.count
    }

    /// Without memory for the documents of a group its deletes go on, which take none.
    ///
    /// - Returns: false when there is nothing but deletes, or none.
    private func commitRemovals(of commands: ArraySlice<WriteCommand>) -> Bool {
        let removals = commands.filter(\.isRemoval)
        guard !removals.isEmpty, removals.count < commands.count else { return false }
        _ = commitGroup(of: removals[...])
        return true
    }

    /// What the log accepts must be applicable: memory is asked for before it.
    private func reserve(for records: [LogRecord]) throws(KyroError) {
        var documents: [CollectionID: [Document]] = [:]
        for record in records {
            guard case .upsert(let document) = record.operation else { continue }
            documents[record.collection, default: []].append(document)
        }
        for (id, added) in documents {
            guard let rows = collections[id]?.shard(shard.index) else { continue }
            if try rows.tryReserve(added) { continue }
            throw refuseMemory()
        }
    }

    /// A batch that could not be logged: later ones of its producer must not lift the mark above
    /// it, or its resend would pass for a duplicate.
    private func rememberGap(_ command: WriteCommand) {
        guard let mark = command.producer else { return }
        let key = ProducerKey(collection: command.collection.id, producer: mark.id)
        gaps[key] = min(gaps[key] ?? .max, mark.clientSequence)
    }

    private struct Group {
        var records: [LogRecord] = []
        /// Whether one of them must be durable before it is acknowledged.
        var needsSync = false
        /// The shortest promise among the others.
        var intervalMillis: Int64?
        /// Of the documents in the records, near enough.
        var byteCount = 0
        /// By command.
        var outcomes: [[(position: Int, outcome: WriteOutcome)]] = []
        var producers: [ProducerKey: UInt64] = [:]
        /// What this group has made of documents that it touched; nil once removed.
        var documents: [DocumentKey: Document?] = [:]
    }

    private struct DocumentKey: Hashable {
        var collection: CollectionID
        var id: DocumentID
    }

    /// Turns a command into log records and outcomes. A record that the log takes can be applied:
    /// every check comes before it.
    private func prepare(_ command: WriteCommand, _ group: inout Group) {
        let collection = command.collection
        guard !collection.isDropped else {
            let error = KyroError(
                .collectionNotFound,
                "collection \"\(collection.scope.namespace)\" was dropped meanwhile")
            group.outcomes.append(command.items.map { ($0.position, .failed(error)) })
            return
        }
        collections[collection.id] = collection
        if let mark = command.producer {
            let key = ProducerKey(collection: collection.id, producer: mark.id)
            if let verdict = judge(mark, key, group) {
                group.outcomes.append(command.items.map { ($0.position, verdict) })
                return
            }
            group.producers[key] = mark.clientSequence
        }
        let recordCount = group.records.count
        let commandStart = group.byteCount
        var outcomes: [(position: Int, outcome: WriteOutcome)] = []
        outcomes.reserveCapacity(command.items.count)
        for item in command.items {
            outcomes.append(
                (item.position, prepare(item, command, since: commandStart, &group)))
        }
        group.outcomes.append(outcomes)
        // A batch that changed nothing here has been judged here all the same: a resend must not be
        // judged again, and every shard must know after a restart how far the producer has got.
        if command.producer != nil, group.records.count == recordCount {
            _ = record(.mark, command, &group)
        }
    }

    /// What a stream's batch gets without being looked at; nil when it is the producer's next.
    private func judge(_ mark: ProducerMark, _ key: ProducerKey, _ group: Group) -> WriteOutcome? {
        let applied = group.producers[key] ?? producers[key]
        if mark.clientSequence <= applied ?? 0 { return .duplicate }
        if let gap = gaps[key], mark.clientSequence > gap {
            return .failed(
                KyroError(
                    .queueFull,
                    "batch \(gap) of this producer was not written; send it again first",
                    retryAfterMillis: 1_000))
        }
        if applied == nil, producers.count + group.producers.count >= Limits.producersMax {
            return .failed(
                .overLimit(
                    "open.producer_id",
                    "is one more than the \(Limits.producersMax) producers that a shard remembers; "
                        + "use the same ids again"))
        }
        return nil
    }

    private func prepare(
        _ item: WriteCommand.Item, _ command: WriteCommand, since commandStart: Int,
        _ group: inout Group
    ) -> WriteOutcome {
        let rows = command.collection.shard(shard.index)
        let key = DocumentKey(collection: command.collection.id, id: item.mutation.id)
        switch item.mutation {
        case .upsert(let document):
            group.documents[key] = .some(document)
            return record(.upsert(document), command, &group)
        case .remove(let id):
            // What has expired cannot be removed, as it cannot be updated: whether a rebuild has
            // dropped it yet must not show.
            let nowMillis = expiry.nowMillis()
            let exists =
                if let pending = group.documents[key] {
                    pending.map { ($0.expiresAtMillis ?? .max) > nowMillis } ?? false
                } else {
                    rows.isAlive(id, nowMillis: nowMillis)
                }
            guard exists else { return .notFound }
            group.documents[key] = .some(nil)
            return record(.remove(id), command, &group)
        case .update(let update):
            do throws(KyroError) {
                let nowMillis = expiry.nowMillis()
                let current: Document?
                if let pending = group.documents[key] {
                    // As `newestDocument`: the outcome must not depend on who shares a group.
                    current = pending.flatMap {
                        ($0.expiresAtMillis ?? .max) > nowMillis ? $0 : nil
                    }
                } else {
                    current = try rows.newestDocument(update.set.id, nowMillis: nowMillis)
                }
                guard let current else { return .notFound }
                var merged = current.applying(update)
                var validation = DocumentValidation(schema: command.collection.schema)
                var path: String { "mutations[\(item.position)].update" }
                try validation.check(&merged, path: path + ".set")
                guard group.byteCount - commandStart <= Limits.updatedBytesMax else {
                    throw .overLimit(
                        path,
                        "comes after updates of this batch that rewrite \(Limits.updatedBytesMax) "
                            + "bytes of documents, which is the limit; send fewer in a batch")
                }
                group.documents[key] = .some(merged)
                return record(.upsert(merged), command, &group)
            } catch {
                return .failed(error)
            }
        }
    }

    private func record(
        _ operation: LogRecord.Operation, _ command: WriteCommand, _ group: inout Group
    ) -> WriteOutcome {
        let seq = clock.next()
        if case .upsert(let document) = operation {
            group.byteCount += document.approximateByteCount
        }
        switch durability(of: command.collection) {
        case .always: group.needsSync = true
        case .interval(let millis):
            group.intervalMillis = min(group.intervalMillis ?? .max, millis)
        case .never: break
        }
        group.records.append(
            LogRecord(
                collection: command.collection.id,
                schemaVersion: command.collection.schemaVersion, seq: seq,
                producer: command.producer, operation: operation))
        return .applied(seq)
    }

    private func append(_ group: Group) throws(KyroError) {
        do throws(StoreError) {
            _ = try log.append(group.records, wallMillis: expiry.nowMillis())
            // Before the group is published: who reads at a time must not miss that it came later.
            if let first = group.records.first?.seq {
                commitTimes.withLock { $0.note(log.lastWallMillis, first: first) }
            }
            isDirty = true
            groupSyncNanos = nil
            if group.needsSync {
                let started = time.monotonicNanos()
                _ = try log.sync()
                groupSyncNanos = time.monotonicNanos() - started
                isDirty = false
                syncDueNanos = nil
            } else if let millis = group.intervalMillis {
                let due = time.monotonicNanos() + UInt64(millis) * 1_000_000
                syncDueNanos = min(syncDueNanos ?? .max, due)
            }
        } catch {
            // Nothing of this group was written: the log stays whole, and room may come back.
            if error.isShortage {
                isShort = true
                shard.setShortage("writes are refused for now: \(error)")
                throw error.kyroError
            }
            throw becomeReadOnly(error)
        }
        if isShort {
            isShort = false
            shard.setShortage("")
        }
        reportLog()
    }

    private func apply(_ group: Group) {
        var touched: [CollectionID: CollectionShard] = [:]
        for record in group.records {
            guard let collection = collections[record.collection] else { continue }
            let rows = collection.shard(shard.index)
            touched[record.collection] = rows
            do throws(KyroError) {
                try rows.apply(record)
            } catch {
                preconditionFailure("an accepted record could not be applied: \(error)")
            }
        }
        guard let last = group.records.last else { return }
        for rows in touched.values { rows.publish() }
        shard.publish(last.seq)
        if !isDirty { shard.setDurable(last.seq) }
    }

    private func fail(_ command: WriteCommand, _ error: KyroError) {
        command.ticket.complete(command.items.map { ($0.position, .failed(error)) })
    }

    // MARK: Durability

    private func durability(of collection: Collection) -> Durability {
        collection.durability ?? durability
    }

    /// How long the queue may be waited for before unsynced writes are due.
    private var syncTimeoutMillis: Int? {
        guard let syncDueNanos else { return nil }
        let now = time.monotonicNanos()
        guard syncDueNanos > now else { return 0 }
        return Int((syncDueNanos - now + 999_999) / 1_000_000)
    }

    private func syncIfDue() {
        guard let due = syncDueNanos, time.monotonicNanos() >= due else { return }
        syncDueNanos = nil
        // A failure has made the shard read-only; the next write tells its caller.
        try? sync()
    }

    private func sync() throws(KyroError) {
        guard isDirty else { return }
        do throws(StoreError) {
            _ = try log.sync()
        } catch {
            throw becomeReadOnly(error)
        }
        isDirty = false
        syncDueNanos = nil
        shard.setDurable(shard.published)
        reportLog()
    }

    /// A log that failed is never written again: what it holds is unknown until it is read anew.
    private func becomeReadOnly(_ error: StoreError) -> KyroError {
        // The first failure is the cause; the log only repeats it.
        if shard.state == .serving {
            shard.setState(.readOnly, problem: "\(error)")
            notice("shard \(shard.index) takes no writes until the server is restarted: \(error)")
        }
        return shard.refusal ?? KyroError(.shardReadOnly, "\(error)")
    }

    private func seal() {
        guard shard.state == .serving else { return }
        do throws(StoreError) {
            try log.seal(wallMillis: expiry.nowMillis())
            isDirty = false
            shard.setDurable(shard.published)
        } catch {
            _ = becomeReadOnly(error)
        }
    }

    private func reportLog() {
        shard.updateLog {
            $0.endLSN = log.currentLSN.raw
            $0.syncedLSN = log.syncedLSN.raw
            $0.diskBytes = log.diskBytes
        }
    }
}

extension CollectionShard {
    /// What the log says, done to the rows.
    func apply(_ record: LogRecord) throws(KyroError) {
        switch record.operation {
        case .upsert(let document): try upsert(document, seq: record.seq)
        case .remove(let id): _ = try remove(id, seq: record.seq)
        case .mark: return
        }
    }
}
