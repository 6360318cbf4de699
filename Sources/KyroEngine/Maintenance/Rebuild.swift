// A collection's part made anew beside the living one: without its dead versions, and with its vector
// and text indexes as the schema says.
//
// The maintenance process copies, a step at a time: the columns of the rows below a fixed count,
// then what the indexes hold of them, then the rows that came since, document by document. When
// little is left the shard's writer takes the rebuild over and does the rest between its groups, at
// least twice as fast as rows come in, so that it ends however fast they do; at the moment when
// nothing is left the new part takes the old one's place. Who reads the old part reads on: it knows
// everything that its reader's sequence may see.
//
// A row is left out when it died at or below what the shard had published at the beginning of the
// step, longer ago than the collection's retention, and no leased sequence sees it, or when it expired a while ago. A row that dies later is
// copied as if it lived, and dies in the new part when the rest is done: the old part keeps a list
// of such deaths.
import KyroBytes
import KyroIndex
import KyroModel
import KyroPlatform
import Synchronization

/// `@unchecked Sendable`: the maintenance process has it until it queues it for the writer.
final class Rebuild: @unchecked Sendable {
    enum State: Int, AtomicRepresentable {
        case building
        /// The writer has it.
        case finishing
        case installed
        case abandoned
    }

    /// What the copying of structures still has to do, in this order.
    private enum Task {
        case eventTimes
        case metadata
        case vectors(String)
        case lengths(String)
        case postings(String)
        case sparse(String)
        /// From the documents, what the old part is missing or has analysed otherwise.
        case missing
        /// Carried over, and what is lacking then inserted.
        case graph(String)
        case tail(String)
    }

    let collection: Collection
    let old: CollectionShard
    let new: CollectionShard
    let state = Atomic<State>(.building)
    /// What the old part lacks, and from `planTasks` on texts that are analysed anew.
    private var missing: MissingStructures
    /// What the new part's indexes are made as.
    private let target: FieldMap<VectorField>
    private let targetTexts: FieldMap<TextField>
    /// Rows below are copied column by column and index by index.
    private let bulkEnd: Int
    private var map = SlotMap()
    private var tasks: [Task]?
    /// Within the first task.
    private var position = 0
    private var carry: IndexCarry?
    private let bulkBuilds: BulkBuilds
    /// Opened when a graph is built.
    private let gate: Gate
    private var bulk: BulkJob?
    /// A graph could not be built at once.
    private var foldsSingly = false
    private var deaths: [UInt32] = []
    /// Of the highest that was left out.
    private var horizon: UInt64
    private var slotsSeen = 0
    private var backlogBefore = Int.max
    private let rowsLeft = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)

    /// Rows whose columns are copied in a step: about 2 ms.
    private static let columnRows = 2_048
    /// Postings and values in a step.
    private static let entriesMax = 1 << 18
    /// Rows whose neighbours are looked through in a step, up to 20 µs each.
    private static let carriedRows = 512
    /// Rows copied as documents in a step, 10 to 40 µs each.
    private static let documentRows = 512
    /// The writer takes over when so few rows are left.
    private static let handOverRows = 512
    /// What the writer copies between two groups besides twice what came in: less than 1 ms.
    private static let writerRows = 24
    /// So long after its expiry a document goes, lest a small correction of the clock bring it back.
    static let expiryGraceMillis: Int64 = 60_000

    init(
        _ collection: Collection, _ old: CollectionShard, _ bulkBuilds: BulkBuilds, gate: Gate
    ) {
        self.collection = collection
        self.old = old
        new = CollectionShard(
            fields: old.fields, shard: old.shard, hashSeed: old.hashSeed,
            metadata: MetadataIndex())
        missing = old.missing
        let schema = collection.schema
        target = schema.vectors
        targetTexts = schema.texts
        self.bulkBuilds = bulkBuilds
        self.gate = gate
        horizon = old.horizon.raw
        old.beginRebuild()
        bulkEnd = old.slotCount
        rowsLeft.store(bulkEnd, ordering: .relaxed)
    }

    /// Rows of the old part that were not looked at yet. Any thread.
    var remaining: Int { rowsLeft.load(ordering: .relaxed) }
    /// Memory of the new part. Any thread.
    var residentBytes: Int { bytes.load(ordering: .relaxed) }

    /// The schema has changed since, so that the new part would have to be made once more.
    var isOutdated: Bool {
        let schema = collection.schema
        let hasOldVectors = target.contains { entry in
            guard let wanted = schema.vectors[entry.name]?.indexing else { return false }
            return !entry.value.indexing.isBuilt(like: wanted)
        }
        return hasOldVectors
            || targetTexts.contains { entry in
                schema.texts[entry.name].map { $0 != entry.value } ?? false
            }
    }

    /// What a step sees of the shard.
    struct Moment {
        let published: Sequence
        let leased: [Sequence]
        let nowMillis: Int64
        /// What died above it stays: the retention's, else what is published.
        private let floor: Sequence

        /// The sequence first: what is leased later lies at or above it.
        init(
            _ shard: Shard, _ collection: Collection, _ times: Locked<CommitTimes>, nanos: UInt64,
            nowMillis: Int64
        ) {
            published = shard.published
            floor = min(published, collection.retained(times, nowMillis: nowMillis) ?? published)
            leased = collection.leases.raiseHorizon(to: floor, nowNanos: nanos)
            self.nowMillis = nowMillis
        }

        func keeps(born: UInt64, died: UInt64) -> Bool {
            died > floor.raw || leased.contains { born <= $0.raw && $0.raw < died }
        }
    }

    // MARK: Maintenance

    /// One step; true when the writer should take over.
    func step(_ moment: Moment, cancellation: Cancellation) throws(KyroError) -> Bool {
        defer { report() }
        if map.count < bulkEnd {
            let end = min(bulkEnd, map.count + Self.columnRows)
            guard new.tryReserveColumns(of: old, map.count..<end) else { throw noMemory }
            try visit(upTo: end, moment) { slot, died in
                new.takeColumns(slot, of: old, died: died)
            }
            return false
        }
        if tasks == nil { planTasks() }
        if let task = tasks?.first {
            if try perform(task, cancellation) {
                tasks?.removeFirst()
                position = 0
            }
            return false
        }
        try catchUp(rowsMax: Self.documentRows, moment)
        return isNearlyDone
    }

    private var noMemory: KyroError {
        KyroError(.outOfMemory, "no memory for a part of \(old.liveCount) documents")
    }

    private var isNearlyDone: Bool {
        let backlog = old.slotCount - map.count + deaths.count
        if backlog <= Self.handOverRows { return true }
        // Writers are as fast as this: only the writer itself can end it.
        let isHopeless = backlog >= backlogBefore
        backlogBefore = backlog
        return isHopeless
    }

    private func report() {
        rowsLeft.store(max(0, old.slotCount - map.count), ordering: .relaxed)
        if position == 0 {
            new.publish()
            bytes.store(new.residentBytes + map.residentBytes, ordering: .relaxed)
        }
        reportVectors()
        reportTexts()
    }

    private func reportTexts() {
        guard let tasks else { return }
        var rows: FieldMap<UInt64> = [:]
        for name in new.currentRoot.texts.names {
            rows[name] = UInt64(textRowsDone(name, tasks))
        }
        old.rebuildTextRows.withLock { [rows] in $0 = rows }
    }

    /// Rows of the old part whose texts are in the new index, or have none.
    private func textRowsDone(_ name: String, _ tasks: [Task]) -> Int {
        for (index, task) in tasks.enumerated() {
            switch task {
            case .lengths(name), .postings(name): return 0
            case .missing:
                if missing.texts[name] != nil { return index == 0 ? position : 0 }
            case .eventTimes, .metadata, .vectors, .lengths, .postings, .sparse, .graph, .tail:
                continue
            }
        }
        return map.count
    }

    /// A row counts half when it is copied, and whole when it is linked, where it is to be.
    private func reportVectors() {
        guard tasks != nil else { return }
        var rows = old.rebuildRows.withLock { $0 }
        for entry in new.currentRoot.vectors {
            let index = entry.value
            let copied = index.rowCount
            let isLinked = index.buildsGraph || index.field.indexing.kind == .ivf
            var linked = isLinked ? index.indexedCount : copied
            if let carry, case .graph(let name)? = tasks?.first, name == entry.name {
                linked = carry.rowsDone
            }
            let done = UInt64((copied + min(linked, copied)) / 2)
            guard let known = rows[entry.name] else { continue }
            rows[entry.name]?.done = min(max(done, known.done), known.total)
        }
        old.rebuildRows.withLock { [rows] in $0 = rows }
    }

    /// Rows in order: those that stay are taken and those that do not are noted.
    private func visit(
        upTo end: Int, _ moment: Moment,
        take: (_ slot: Int, _ died: UInt64) throws(KyroError) -> Int
    ) throws(KyroError) {
        let rows = old.rows
        let expired = moment.nowMillis - Self.expiryGraceMillis
        while map.count < end {
            let slot = map.count
            let died = rows.died.load(slot)
            let isDead = died != 0 && died <= moment.published.raw
            if isDead, !moment.keeps(born: rows.born[slot], died: died) {
                horizon = max(horizon, died)
                map.append(nil)
            } else if died == 0, rows.expiresAt[slot] <= expired {
                map.append(nil)
            } else {
                map.append(try take(slot, isDead ? died : 0))
                // It may have died in the group that was under way when the old part began to keep
                // its list. Dying twice does no harm.
                if died != 0, !isDead { deaths.append(UInt32(slot)) }
            }
        }
    }

    // MARK: Structures

    private func planTasks() {
        let root = old.currentRoot
        new.prepareIndexes(like: root, target, targetTexts)
        var rows: FieldMap<RebuildRows> = [:]
        for entry in root.vectors {
            rows[entry.name] = RebuildRows(total: UInt64(entry.value.rowCount))
        }
        old.rebuildRows.withLock { [rows] in $0 = rows }
        var planned: [Task] = []
        if !missing.metadata { planned += [.eventTimes, .metadata] }
        planned += root.vectors.names.map { .vectors($0) }
        for entry in root.texts where missing.texts[entry.name] == nil {
            let isTakenOver =
                entry.value.hasPositions
                && new.currentRoot.texts[entry.name]?.field.isAnalysed(like: entry.value.field)
                    ?? false
            if !isTakenOver { missing.texts[entry.name] = true }
        }
        for name in root.texts.names where missing.texts[name] == nil {
            planned += [.lengths(name), .postings(name)]
        }
        for name in root.sparse.names where missing.sparse[name] == nil {
            planned.append(.sparse(name))
        }
        if !missing.isEmpty { planned.append(.missing) }
        for name in root.vectors.names { planned += [.graph(name), .tail(name)] }
        tasks = planned
    }

    /// A step of a task; true at its end.
    private func perform(
        _ task: Task, _ cancellation: Cancellation
    ) throws(KyroError) -> Bool {
        let (from, to) = (old.currentRoot, new.currentRoot)
        let isAlive = { [rows = new.rows] (slot: Int) in rows.died.load(slot) == 0 }
        switch task {
        case .eventTimes:
            let slots = nextRange(bulkEnd)
            new.metadata.takeEventTimes(from: old.metadata, slots: slots, map: map)
            return position == bulkEnd
        case .metadata:
            guard position < old.metadata.fieldCount else { return true }
            new.metadata.takeField(position, from: old.metadata, below: bulkEnd, map: map)
            position += 1
            return false
        case .vectors(let name):
            guard let source = from.vectors[name], let target = to.vectors[name] else {
                return true
            }
            let rowCount = source.rowCount
            let range = nextRange(rowCount)
            guard target.tryReserve(vectors: range.count, slotCount: new.writtenCount) else {
                throw noMemory
            }
            try target.takeRows(from: source, range, below: bulkEnd, map: map)
            return position == rowCount
        case .lengths(let name):
            guard let source = from.texts[name], let target = to.texts[name] else { return true }
            let slots = nextRange(bulkEnd)
            target.takeLengths(from: source, slots: slots, map: map, isAlive: isAlive)
            return position == bulkEnd
        case .postings(let name):
            guard let source = from.texts[name], let target = to.texts[name] else { return true }
            return untilTired(source.termCount) { term in
                target.takePostings(
                    from: source, term: term, below: bulkEnd, map: map, isAlive: isAlive)
            }
        case .sparse(let name):
            guard let source = from.sparse[name], let target = to.sparse[name] else {
                return true
            }
            return untilTired(source.knownDimensions) { list in
                target.takePostings(from: source, list: list, below: bulkEnd, map: map)
            }
        case .missing:
            for slot in nextRange(bulkEnd, count: Self.documentRows) { try makeMissing(slot) }
            return position == bulkEnd
        case .graph(let name):
            guard let source = from.vectors[name], let target = to.vectors[name] else {
                return true
            }
            if position == 0 {
                if !foldsSingly,
                    bulkBuilds.isWanted(for: target, inPlaceOf: source, below: bulkEnd, map: map)
                {
                    startBulk(name, target)
                    return true
                }
                carry = IndexCarry(from: source, to: target, below: bulkEnd, map: map)
                position = 1
            }
            guard carry?.step(rowsMax: Self.carriedRows) ?? true else { return false }
            carry = nil
            return true
        case .tail(let name):
            guard let source = from.vectors[name], let target = to.vectors[name] else {
                return true
            }
            if let job = bulk {
                takeGraph(job)
                return false
            }
            let visibility = new.view(seq: .zero, nowMillis: .min).visibility
            if !foldsSingly, bulkBuilds.isWanted(for: target, visibility) {
                // Where the old part's is no better, nobody waits for it: it is built when the new
                // part is in its place.
                let known = old.view(seq: .zero, nowMillis: .min).visibility
                if bulkBuilds.isWanted(for: source, known) { return true }
                startBulk(name, target)
                return false
            }
            let inserted = target.foldStep(
                rowsMax: Self.documentRows, visibility: visibility, cancellation: cancellation)
            let isStuck = inserted == 0 && !target.isTraining
            return isStuck || target.tailCount <= source.tailCount
        }
    }

    /// A step would find nothing to do before the graph is built that it needs.
    var isAwaitingGraph: Bool { bulk?.isOpen ?? false }

    private func startBulk(_ name: String, _ target: VectorIndex) {
        let job = BulkJob(collection, new, name, target, gate: gate)
        bulk = job
        bulkBuilds.add(job)
    }

    private func takeGraph(_ job: BulkJob) {
        switch job.outcome {
        case .open: return
        case .failed:
            // Carried over, where there is something to carry.
            foldsSingly = true
            tasks?.insert(.graph(job.name), at: 0)
            position = 0
        case .built(let successor):
            let isTaken = new.replaceVectors(job.name, job.index, by: successor)
            precondition(isTaken, "vectors \"\(job.name)\" of a part that nobody else knows")
        }
        bulk = nil
    }

    private func nextRange(_ end: Int, count: Int = columnRows) -> Range<Int> {
        let begin = position
        position = min(end, begin + count)
        return begin..<position
    }

    /// Lists from `position` on until enough entries were seen; true behind the last.
    private func untilTired(_ count: Int, _ body: (Int) -> Int) -> Bool {
        var entries = 0
        while position < count, entries < Self.entriesMax {
            entries += body(position) + 8
            position += 1
        }
        return position == count
    }

    private func makeMissing(_ oldSlot: Int) throws(KyroError) {
        guard let slot = map[oldSlot] else { return }
        try new.makeIndexes(missing, slot: slot)
    }

    // MARK: Catching up

    /// Rows that came since, and deaths. The old part's counts are read before its root: what they
    /// cover the root can find.
    private func catchUp(rowsMax: Int, _ moment: Moment) throws(KyroError) {
        let end = min(old.slotCount, map.count + rowsMax)
        let root = old.currentRoot
        try visit(upTo: end, moment) { (slot, died) throws(KyroError) in
            let document = try old.document(at: slot, root: root, projection: .everything)
            guard try new.tryReserve([document]) else { throw noMemory }
            return try new.takeDocument(document, born: old.rows.born[slot], died: died)
        }
        deaths += old.takeDeaths()
        var later: [UInt32] = []
        var done = 0
        for slot in deaths {
            guard Int(slot) < map.count, done < rowsMax else {
                later.append(slot)
                continue
            }
            guard let copy = map[Int(slot)] else { continue }
            try new.takeDeath(copy, died: old.rows.died.load(Int(slot)))
            done += 1
        }
        deaths = later
    }

    // MARK: The shard's writer

    /// A bounded piece of the rest, between two groups; true when nothing is left and the new part
    /// is as current as the old one.
    func finishStep(_ moment: Moment) throws(KyroError) -> Bool {
        let slotCount = old.slotCount
        let arrived = slotsSeen == 0 ? 0 : slotCount - slotsSeen
        slotsSeen = slotCount
        try catchUp(rowsMax: Self.writerRows + 2 * arrived, moment)
        rowsLeft.store(slotCount - map.count, ordering: .relaxed)
        guard map.count == slotCount, deaths.isEmpty else { return false }
        new.publish()
        new.setHorizon(Sequence(horizon))
        return true
    }

    /// The old part stays what it is.
    func abandon() {
        bulk?.cancel()
        old.endRebuild()
        old.rebuildRows.withLock { $0 = [:] }
        old.rebuildTextRows.withLock { $0 = [:] }
        state.store(.abandoned, ordering: .releasing)
    }
}
