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
    private let policy: FsyncPolicy
    private let groupBytesMax: Int
    private let time: any Clock
    /// Called after each group with what the log has grown to.
    private let onGroup: (ShardWriter) -> Void
    /// Called when there is no memory for a group; returns what its callers are told.
    private let refuseMemory: () -> KyroError

    private var collections: [CollectionID: Collection] = [:]
    private var producers: [ProducerKey: UInt64]
    /// Batches that this shard could not log.
    private var gaps: [ProducerKey: UInt64] = [:]
    private var lastSyncNanos: UInt64
    /// Written and not yet durable.
    private var isDirty = false
    /// The last group found no room.
    private var isShort = false

    init(
        shard: Shard, log: ShardLog, clock: SequenceClock, policy: FsyncPolicy,
        groupBytesMax: Int, time: any Clock, collections: [Collection],
        producers: [ProducerKey: UInt64], onGroup: @escaping (ShardWriter) -> Void,
        refuseMemory: @escaping () -> KyroError
    ) {
        self.shard = shard
        self.log = log
        self.clock = clock
        self.policy = policy
        self.groupBytesMax = groupBytesMax
        self.time = time
        self.producers = producers
        self.onGroup = onGroup
        self.refuseMemory = refuseMemory
        lastSyncNanos = time.monotonicNanos()
        for collection in collections { self.collections[collection.id] = collection }
    }

    /// One group of what waits; finished when the queue is closed and empty, with the log sealed.
    func turn(mayWait: Bool) -> Turn {
        let commands = shard.queue.popAll(
            weightLimit: groupBytesMax, timeoutMillis: mayWait ? syncTimeoutMillis : 0)
        if commands.isEmpty, shard.queue.isDrained {
            seal()
            return .finished
        }
        process(commands)
        syncIfDue()
        return commands.isEmpty ? .idle : .again
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
                body(.success(mark()))
            } catch {
                body(.failure(error))
            }
        case .releaseLog(let lsn):
            do {
                try log.truncate(before: lsn)
            } catch {
                // The log only stays longer than it must; the next snapshot tries again.
                shard.updateLog { $0.diskBytes = log.diskBytes }
            }
            reportLog()
        case .producerSequence(let key, let completion):
            // The producer learns here what it has to send again; a gap it leaves is its own choice.
            gaps[key] = nil
            completion(producers[key] ?? 0)
        }
    }

    private func mark() -> SnapshotMark {
        SnapshotMark(
            seq: shard.published, lsn: log.currentLSN,
            collections: collections.values.sorted { $0.id < $1.id }.map { collection in
                let rows = collection.shard(shard.index)
                return SnapshotMark.CollectionRows(
                    rows: rows, root: rows.currentRoot, slotCount: rows.slotCount)
            }, producers: producers)
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
                try append(group.records)
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
            let exists =
                if let pending = group.documents[key] { pending != nil } else { rows.isAlive(id) }
            guard exists else { return .notFound }
            group.documents[key] = .some(nil)
            return record(.remove(id), command, &group)
        case .update(let update):
            do throws(KyroError) {
                let nowMillis = time.wallMillis()
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
                let path = "mutations[\(item.position)].update"
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
        group.records.append(
            LogRecord(
                collection: command.collection.id,
                schemaVersion: command.collection.schemaVersion, seq: seq,
                producer: command.producer, operation: operation))
        return .applied(seq)
    }

    private func append(_ records: [LogRecord]) throws(KyroError) {
        do throws(StoreError) {
            _ = try log.append(records, wallMillis: time.wallMillis())
            isDirty = true
            if case .always = policy {
                _ = try log.sync()
                isDirty = false
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

    /// How long the queue may be waited for before unsynced writes are due.
    private var syncTimeoutMillis: Int? {
        guard case .interval(let millis) = policy, isDirty else { return nil }
        return Int(millis)
    }

    private func syncIfDue() {
        guard case .interval(let millis) = policy, isDirty else { return }
        let now = time.monotonicNanos()
        guard now >= lastSyncNanos + UInt64(millis) * 1_000_000 else { return }
        lastSyncNanos = now
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
        shard.setDurable(shard.published)
        reportLog()
    }

    /// A log that failed is never written again: what it holds is unknown until it is read anew.
    private func becomeReadOnly(_ error: StoreError) -> KyroError {
        shard.setState(.readOnly, problem: "\(error)")
        return shard.refusal ?? KyroError(.shardReadOnly, "\(error)")
    }

    private func seal() {
        guard shard.state == .serving else { return }
        do throws(StoreError) {
            try log.seal(wallMillis: time.wallMillis())
            shard.setDurable(shard.published)
        } catch {
            shard.setState(.readOnly, problem: "\(error)")
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
