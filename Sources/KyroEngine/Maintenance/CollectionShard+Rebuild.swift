// What a rebuild asks of the part that it replaces, and of the one that it makes.
import KyroIndex
import KyroModel

extension CollectionShard {
    /// From now on `takeDeaths` tells who died.
    func beginRebuild() { deaths.withLock { $0 = [] } }
    func endRebuild() { deaths.withLock { $0 = nil } }

    /// Slots that died since the last call, each once.
    func takeDeaths() -> [UInt32] {
        deaths.withLock { deaths in
            let taken = deaths ?? []
            if !taken.isEmpty { deaths = [] }
            return taken
        }
    }

    /// Whether codes of some field would be better if they were trained on the rows there are now;
    /// a rebuild does that.
    var hasOutwornCodes: Bool {
        for entry in currentRoot.vectors where entry.value.codesNeedTraining { return true }
        return false
    }

    /// In a part that is being rebuilt, before anybody reads it: takes over a row's columns, born as
    /// it was, and leaves its indexes to whoever takes those over.
    func takeColumns(_ oldSlot: Int, of old: CollectionShard, died: UInt64) -> Int {
        let id = old.rows.ids[oldSlot]
        let key = key(id)
        let root = currentRoot
        let slot = appendColumns(
            id, older: root.ids.find(key, in: rows.ids), born: old.rows.born[oldSlot],
            expiresAt: old.rows.expiresAt[oldSlot], blob: old.rows.blob(oldSlot))
        setNewest(key, slot: slot)
        if died != 0 { takeDead(slot, died) }
        return slot
    }

    /// In a part that is being rebuilt: takes over a row as its document has it, indexes and all.
    /// The version before is not ended: who ended it in the old part is among the deaths.
    func takeDocument(_ document: Document, born: UInt64, died: UInt64) throws(KyroError) -> Int {
        try prepareIndexes(for: document)
        let root = currentRoot
        let key = key(document.id)
        let slot = append(
            document, older: root.ids.find(key, in: rows.ids), born: Sequence(born), root: root)
        setNewest(key, slot: slot)
        if died != 0 {
            for entry in document.texts {
                root.texts[entry.name]?.remove(entry.value, slot: Slot(index: slot))
            }
            takeDead(slot, died)
        }
        return slot
    }

    private func takeDead(_ slot: Int, _ died: UInt64) {
        rows.marks.mark(slot)
        rows.died.store(died, slot)
        live.subtract(1, ordering: .relaxed)
        keptDead.add(1, ordering: .relaxed)
    }

    /// In a part that is being rebuilt: a row died in the old one.
    func takeDeath(_ slot: Int, died: UInt64) throws(KyroError) {
        guard rows.died.load(slot) == 0 else { return }
        try end(slot, seq: Sequence(died), root: currentRoot)
    }

    /// In a part that is being rebuilt: the fields that the old one has, under these options.
    func prepareIndexes(
        like old: IndexRoot, _ target: FieldMap<VectorField>, _ targetTexts: FieldMap<TextField>
    ) {
        let root = currentRoot
        var (vectors, sparse, texts) = (root.vectors, root.sparse, root.texts)
        for entry in old.vectors where vectors[entry.name] == nil {
            vectors[entry.name] = VectorIndex(
                like: entry.value,
                indexing: target[entry.name]?.indexing ?? entry.value.field.indexing)
        }
        for entry in old.sparse where sparse[entry.name] == nil {
            sparse[entry.name] = SparseIndex()
        }
        for entry in old.texts where texts[entry.name] == nil {
            texts[entry.name] = TextIndex(field: targetTexts[entry.name] ?? entry.value.field)
        }
        _ = replaceRoot {
            IndexRoot(ids: $0.ids, vectors: vectors, sparse: sparse, texts: texts)
        }
    }

    /// In a part that is being rebuilt: what the old one was missing of a row, or had analysed
    /// otherwise, from its document.
    func makeIndexes(_ missing: MissingStructures, slot: Int) throws(KyroError) {
        let document = try storedDocument(at: slot)
        try prepareIndexes(for: document)
        let root = currentRoot
        let isDead = rows.died.load(slot) != 0
        if missing.metadata {
            metadata.append(
                metadata: document.metadata, eventTimeMillis: document.eventTimeMillis,
                slot: Slot(index: slot))
        }
        for entry in document.sparseVectors where missing.sparse[entry.name] != nil {
            root.sparse[entry.name]?.append(entry.value, slot: Slot(index: slot))
        }
        for entry in document.texts where missing.texts[entry.name] != nil {
            guard
                root.texts[entry.name]?.tryReserve(
                    byteCount: entry.value.utf8.count, texts: 1, slotCount: slot + 1) ?? true
            else {
                throw KyroError(.outOfMemory, "no memory for the text \"\(entry.name)\"")
            }
            root.texts[entry.name]?.append(entry.value, slot: Slot(index: slot))
            if isDead { root.texts[entry.name]?.remove(entry.value, slot: Slot(index: slot)) }
        }
    }
}
