// One collection's rows and indexes in one shard.
import KyroBytes
import KyroIndex
import KyroModel
import KyroPlatform
import KyroStore
import Synchronization

/// What readers find indexes through. A new one replaces the old whenever a field appears or the id
/// table grows; readers that hold the old one read on.
final class IndexRoot: Sendable {
    let ids: IDTable
    // By the bytes of the names, as everywhere: a String-keyed dictionary would take two spellings
    // of one character for one field.
    let vectors: FieldMap<VectorIndex>
    let sparse: FieldMap<SparseIndex>
    let texts: FieldMap<TextIndex>

    init(
        ids: IDTable, vectors: FieldMap<VectorIndex> = [:], sparse: FieldMap<SparseIndex> = [:],
        texts: FieldMap<TextIndex> = [:]
    ) {
        self.ids = ids
        self.vectors = vectors
        self.sparse = sparse
        self.texts = texts
    }
}

/// The columns that every row has.
final class VersionColumns: SlotOrder {
    let born = Column<UInt64>()
    /// Zero for the living.
    let died = AtomicColumn64()
    /// Unix milliseconds; `Int64.max` for what never expires.
    let expiresAt = Column<Int64>()
    /// Of rows that die or expire.
    let marks = RowMarks()
    /// The slot of the version before, plus one; zero when there is none.
    let previous = Column<UInt32>()
    let ids = IDColumn()
    let blobOffsets = Column<UInt64>()
    let blobLengths = Column<UInt32>()
    /// Stored documents, without their dense vectors.
    let blobs = ByteArena()

    func precedes(_ a: Int, _ b: Int) -> Bool { ids.precedes(a, b) }

    /// Of a row whose other columns were read from a snapshot.
    func markRead(_ slot: Int) {
        marks.append(slot, isMarked: died.load(slot) != 0 || expiresAt[slot] != .max)
    }

    func blob(_ slot: Int) -> [UInt8] {
        blobs.bytes(at: Int(blobOffsets[slot]), count: Int(blobLengths[slot]))
    }

    func residentBytes(slotCount: Int) -> Int {
        born.residentBytes(rowCount: slotCount) + died.residentBytes(rowCount: slotCount)
            + expiresAt.residentBytes(rowCount: slotCount)
            + marks.residentBytes(rowCount: slotCount)
            + previous.residentBytes(rowCount: slotCount) + ids.residentBytes(slotCount: slotCount)
            + blobOffsets.residentBytes(rowCount: slotCount)
            + blobLengths.residentBytes(rowCount: slotCount) + blobs.residentBytes
    }
}

/// Rows in the order of their sequences, and the indexes over them.
///
/// The shard's writer alone calls what is marked so. Readers take a `CollectionView` and need
/// nothing else: rows below its count never change but for `died`, which is an atomic cell.
final class CollectionShard: Sendable {
    /// What the rows belong to. Not the collection itself, which owns this object.
    let fields: CollectionFields
    let shard: Int
    let rows = VersionColumns()
    let metadata: MetadataIndex
    let root: Locked<IndexRoot>
    /// Rows that readers may look at.
    private let published = Atomic<Int>(0)
    let live = Atomic<Int>(0)
    let writer: Locked<WriterState>
    /// Of the id table alone; placement has its own.
    let hashSeed: UInt64
    /// Versions that died at or below are not there; what died later is. Set before readers see the
    /// part.
    private let horizonSeq = Atomic<UInt64>(0)
    /// Slots that died since a rebuild began; nil while there is none.
    let deaths = Locked<[UInt32]?>(nil)
    private let missingFlag = Atomic<Bool>(false)
    private let missingState = Locked(MissingStructures())
    /// Dead rows that the rebuild which made this part had to keep.
    let keptDead = Atomic<Int>(0)
    /// A version of the schema that all indexes were found to agree with.
    let agreedVersion = Atomic<UInt32>(0)
    /// How far a rebuild of this part is, by vector field; none while there is no rebuild.
    let rebuildRows = Locked<FieldMap<RebuildRows>>([:])
    /// Rows that a rebuild of this part has in its new text indexes; none while there is no rebuild.
    let rebuildTextRows = Locked<FieldMap<UInt64>>([:])
    /// Rows that expire some day.
    private let expiring = Atomic<Int>(0)

    struct WriterState {
        /// Rows written, published or not.
        var slotCount = 0
        /// Ids in the table, dead ones included.
        var idCount = 0
    }

    init(
        fields: CollectionFields, shard: Int, hashSeed: UInt64,
        metadata: MetadataIndex = MetadataIndex()
    ) {
        self.fields = fields
        self.shard = shard
        self.hashSeed = hashSeed
        self.metadata = metadata
        root = Locked(IndexRoot(ids: IDTable(capacity: 256)))
        writer = Locked(WriterState())
    }

    var currentRoot: IndexRoot { root.withLock { $0 } }
    var slotCount: Int { published.load(ordering: .acquiring) }
    var liveCount: Int { live.load(ordering: .relaxed) }
    var deadCount: Int { max(0, slotCount - liveCount) }
    var keptDeadCount: Int { keptDead.load(ordering: .relaxed) }
    var expiringCount: Int { expiring.load(ordering: .relaxed) }

    // MARK: Reading

    var horizon: Sequence { Sequence(horizonSeq.load(ordering: .acquiring)) }

    /// Before readers see the part.
    func setHorizon(_ seq: Sequence) { horizonSeq.store(seq.raw, ordering: .releasing) }

    /// Whether a snapshot could not give some structure back; which, says `missing`.
    var isMissingAnything: Bool { missingFlag.load(ordering: .relaxed) }
    var missing: MissingStructures { missingState.withLock { $0 } }

    /// Before readers see the part: queries that need one of these are told to come again, until a
    /// rebuild, which begins by itself, has put a whole part in this one's place.
    func setMissing(_ structures: MissingStructures) {
        missingState.withLock { $0 = structures }
        missingFlag.store(!structures.isEmpty, ordering: .relaxed)
    }

    func view(seq: Sequence, nowMillis: Int64) -> CollectionView {
        let slotCount = published.load(ordering: .acquiring)
        return CollectionView(
            shard: self, root: currentRoot,
            visibility: Visibility(
                born: rows.born, died: rows.died, expiresAt: rows.expiresAt, seq: seq.raw,
                slotCount: slotCount, nowMillis: nowMillis, marks: rows.marks))
    }

    func key(_ id: DocumentID) -> IDKey { IDKey(id, seed: hashSeed) }

    // MARK: Writing, by the shard's writer alone

    /// The newest version of a document, if it lives and has not expired; what an update changes.
    func newestDocument(_ id: DocumentID, nowMillis: Int64) throws(KyroError) -> Document? {
        let root = currentRoot
        guard let slot = root.ids.find(key(id), in: rows.ids), rows.died.load(slot) == 0,
            rows.expiresAt[slot] > nowMillis
        else { return nil }
        return try document(at: slot, root: root, projection: .everything)
    }

    func isAlive(_ id: DocumentID, nowMillis: Int64) -> Bool {
        guard let slot = currentRoot.ids.find(key(id), in: rows.ids) else { return false }
        return rows.died.load(slot) == 0 && rows.expiresAt[slot] > nowMillis
    }

    /// Writes a new version and ends the one before. Readers see neither until `publish`.
    func upsert(_ document: Document, seq: Sequence) throws(KyroError) {
        try prepareIndexes(for: document)
        let root = currentRoot
        let key = key(document.id)
        let older = root.ids.find(key, in: rows.ids)
        let slot = append(document, older: older, born: seq, root: root)
        if let older, rows.died.load(older) == 0 { try end(older, seq: seq, root: root) }
        setNewest(key, slot: slot)
    }

    /// Writes columns and indexes of a new row.
    func append(
        _ document: Document, older: Int?, born: Sequence, root: IndexRoot
    ) -> Int {
        let slot = appendColumns(
            document.id, older: older, born: born.raw,
            expiresAt: document.expiresAtMillis ?? .max,
            blob: DocumentCodec.encode(document, includingVectors: false))
        metadata.append(
            metadata: document.metadata, eventTimeMillis: document.eventTimeMillis,
            slot: Slot(index: slot))
        for entry in document.vectors {
            root.vectors[entry.name]?.append(entry.value, slot: Slot(index: slot))
        }
        for entry in document.sparseVectors {
            root.sparse[entry.name]?.append(entry.value, slot: Slot(index: slot))
        }
        for entry in document.texts {
            root.texts[entry.name]?.append(entry.value, slot: Slot(index: slot))
        }
        return slot
    }

    func appendColumns(
        _ id: DocumentID, older: Int?, born: UInt64, expiresAt: Int64, blob: [UInt8]
    ) -> Int {
        let slot = writer.withLock { $0.slotCount }
        precondition(slot < Int(UInt32.max) - 1, "collection shard is out of slots at \(slot)")
        rows.ids.append(id, slot: slot)
        rows.born.append(born, at: slot)
        rows.died.reserve(row: slot)
        rows.expiresAt.append(expiresAt, at: slot)
        rows.marks.append(slot, isMarked: expiresAt != .max)
        rows.previous.append(older.map { UInt32($0) + 1 } ?? 0, at: slot)
        rows.blobOffsets.append(UInt64(rows.blobs.append(blob)), at: slot)
        rows.blobLengths.append(UInt32(blob.count), at: slot)
        if expiresAt != .max { expiring.add(1, ordering: .relaxed) }
        return slot
    }

    /// Counts the row in and makes it what its id leads to.
    func setNewest(_ key: IDKey, slot: Int) {
        // A caller that has not reserved cannot be told that there is no memory.
        guard growIDs(by: 1) else { preconditionFailure("out of memory for ids at slot \(slot)") }
        let root = currentRoot
        let isNew = root.ids.set(key, slot: slot, in: rows.ids)
        live.add(1, ordering: .relaxed)
        writer.withLock {
            $0.slotCount = slot + 1
            if isNew { $0.idCount += 1 }
        }
    }

    /// Ends a document; false when it does not live.
    func remove(_ id: DocumentID, seq: Sequence) throws(KyroError) -> Bool {
        let root = currentRoot
        guard let slot = root.ids.find(key(id), in: rows.ids), rows.died.load(slot) == 0 else {
            return false
        }
        try end(slot, seq: seq, root: root)
        return true
    }

    /// Lets readers see the rows written so far.
    func publish() {
        published.store(writer.withLock { $0.slotCount }, ordering: .releasing)
    }

    func end(_ slot: Int, seq: Sequence, root: IndexRoot) throws(KyroError) {
        let document = try storedDocument(at: slot)
        for entry in document.texts {
            root.texts[entry.name]?.remove(entry.value, slot: Slot(index: slot))
        }
        rows.marks.mark(slot)
        rows.died.store(seq.raw, slot)
        live.subtract(1, ordering: .relaxed)
        // After the cell: who finds the cell empty finds the death here.
        deaths.withLock { $0?.append(UInt32(slot)) }
    }

    func prepareIndexes(for document: Document) throws(KyroError) {
        let root = currentRoot
        let isComplete =
            document.vectors.entries.allSatisfy { root.vectors[$0.name] != nil }
            && document.sparseVectors.entries.allSatisfy { root.sparse[$0.name] != nil }
            && document.texts.entries.allSatisfy { root.texts[$0.name] != nil }
        if isComplete { return }
        let schema = fields.schema
        var newVectors: FieldMap<VectorIndex> = [:]
        var (sparse, texts) = (root.sparse, root.texts)
        for entry in document.vectors where root.vectors[entry.name] == nil {
            let field = schema.vectors[entry.name]
            newVectors[entry.name] = VectorIndex(
                field: field ?? VectorField(dimension: entry.value.count))
        }
        for entry in document.sparseVectors where sparse[entry.name] == nil {
            sparse[entry.name] = SparseIndex()
        }
        for entry in document.texts where texts[entry.name] == nil {
            texts[entry.name] = TextIndex(field: schema.texts[entry.name] ?? TextField())
        }
        _ = replaceRoot {
            // Maintenance may have put a successor into the place of one of these.
            var vectors = $0.vectors
            for entry in newVectors { vectors[entry.name] = entry.value }
            return IndexRoot(ids: $0.ids, vectors: vectors, sparse: sparse, texts: texts)
        }
        // The schema may have changed since it was read.
        agreedVersion.store(0, ordering: .sequentiallyConsistent)
    }

    /// Rows written, published or not. Writer only.
    var writtenCount: Int { writer.withLock { $0.slotCount } }

    /// Makes the id table large enough for so many more; false when there is no memory for it.
    /// Writer only.
    func growIDs(by count: Int) -> Bool {
        let ids = currentRoot.ids
        let idCount = writer.withLock { $0.idCount }
        var capacity = ids.capacity
        while capacity < 2 * (idCount + count) { capacity *= 2 }
        guard capacity > ids.capacity else { return true }
        // Filled before it is installed: readers wait for the root's lock, never for this.
        guard let larger = ids.grown(to: capacity, ids: rows.ids, seed: hashSeed) else {
            return false
        }
        _ = replaceRoot {
            IndexRoot(ids: larger, vectors: $0.vectors, sparse: $0.sparse, texts: $0.texts)
        }
        return true
    }

    func replaceRoot(_ change: (IndexRoot) -> IndexRoot) -> IndexRoot {
        root.withLock {
            let changed = change($0)
            $0 = changed
            return changed
        }
    }

    /// After a snapshot has filled the columns: the indexes it held, counts, and the id table from
    /// the newest versions. Versions of one id lie in ascending slots, so the last one set stays.
    func adopt(
        slotCount: Int, vectors: FieldMap<VectorIndex>, sparse: FieldMap<SparseIndex>,
        texts: FieldMap<TextIndex>
    ) {
        var capacity = 256
        while capacity < 2 * (slotCount + 1) { capacity *= 2 }
        let ids = IDTable(capacity: capacity)
        var idCount = 0
        var liveCount = 0
        for slot in 0..<slotCount {
            if ids.set(slot: slot, in: rows.ids, seed: hashSeed) { idCount += 1 }
            if rows.died.load(slot) == 0 { liveCount += 1 }
            if rows.expiresAt[slot] != .max { expiring.add(1, ordering: .relaxed) }
        }
        _ = replaceRoot { _ in
            IndexRoot(ids: ids, vectors: vectors, sparse: sparse, texts: texts)
        }
        live.store(liveCount, ordering: .relaxed)
        writer.withLock { $0 = WriterState(slotCount: slotCount, idCount: idCount) }
        publish()
    }

    // MARK: Documents

    /// Without dense vectors.
    func storedDocument(at slot: Int) throws(KyroError) -> Document {
        do {
            return try DocumentCodec.decode(rows.blob(slot))
        } catch {
            throw KyroError(
                .internal, "the stored document at slot \(slot) does not decode: \(error)")
        }
    }

    func document(
        at slot: Int, root: IndexRoot, projection: Projection
    ) throws(KyroError) -> Document {
        var document = try storedDocument(at: slot)
        if !projection.metadata.isAll {
            for name in document.metadata.names where !projection.metadata.contains(name) {
                document.metadata[name] = nil
            }
        }
        if !projection.texts.isAll {
            for name in document.texts.names where !projection.texts.contains(name) {
                document.texts[name] = nil
            }
        }
        if !projection.sparseVectors.isAll {
            for name in document.sparseVectors.names
            where !projection.sparseVectors.contains(name) {
                document.sparseVectors[name] = nil
            }
        }
        if !projection.multiVectors.isAll {
            for name in document.multiVectors.names
            where !projection.multiVectors.contains(name) {
                document.multiVectors[name] = nil
            }
        }
        if !projection.vectors.isNone {
            for entry in root.vectors where projection.vectors.contains(entry.name) {
                document.vectors[entry.name] = try entry.value.vector(of: Slot(index: slot))
            }
        }
        return document
    }

    var residentBytes: Int {
        let root = currentRoot
        var total = rows.residentBytes(slotCount: slotCount) + root.ids.residentBytes
        total += metadata.residentBytes
        for entry in root.vectors { total += entry.value.residentBytes }
        for entry in root.sparse { total += entry.value.residentBytes }
        for entry in root.texts { total += entry.value.residentBytes }
        return total
    }
}

/// One read's view of a collection in one shard.
struct CollectionView: Sendable {
    let shard: CollectionShard
    let root: IndexRoot
    let visibility: Visibility

    /// The version of a document that this view sees.
    /// - Parameter expired: whether one that has expired counts too.
    func slot(of id: DocumentID, expired: Bool = false) -> Int? {
        let rows = shard.rows
        var candidate = root.ids.find(shard.key(id), in: rows.ids)
        while let slot = candidate {
            // A version above the published count is still being written; the one before it is
            // reachable because `previous` was stored before the id table's cell.
            if visibility.isVisible(slot) { return slot }
            if expired, visibility.isAlive(slot) { return slot }
            if slot < visibility.slotCount, rows.born[slot] <= visibility.seq { return nil }
            let older = rows.previous[slot]
            candidate = older == 0 ? nil : Int(older) - 1
        }
        return nil
    }
}
